"""Upper and lower surface of a vertebral body: planes, normals and the heights between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscope.anatomy.frame import Lattice
from osteoscope.anatomy.vertebra import BodyHeights
from osteoscope.core.robust import MAD_TO_SD

_FOOTPRINT_SHARE = 0.8
"""Share of the half-axes of the body's outline inside which the endplates are fitted: the rim
is rounded and bears osteophytes."""
_MIDSAGITTAL_MM = 3.0
"""Half width of the slab around the mid-sagittal plane in which heights are taken."""
RIM_MM = (0.4, 2.6)
"""Distances behind a wall at which its height is taken: on the ring apophysis, behind the
rounding of the edge."""
_MIDDLE_MM = 2.5
"""Half width of the patch around the middle."""
_SMOOTHING_VOXELS = 1.0
"""Length, in voxels along the superior axis, over which the profile of heights is smoothed: a
surface that crosses the voxels' layers at a small angle is a staircase of that step."""
_EDGE_DROP = 0.9
"""An end column below this share of the next one inwards is the rounding of the edge."""
_ROUNDED_VOXELS = 0.8
"""How far behind a wall a mask's edge is rounded, in voxels; columns there weigh little in one of
two readings, in which the profile runs on to the wall from within."""
_ROUNDED_WEIGHT = 0.1


@dataclass(frozen=True, eq=False)
class Surfaces:
    """Upper and lower surface of a body over a lattice of columns.

    Args:
        l_mm: (nl,) lateral coordinate of the columns.
        p_mm: (np,) posterior coordinate of the columns.
        upper_mm: (nl, np) height of the upper surface; NaN where a column misses the body.
        lower_mm: (nl, np) height of the lower surface.
        left_mm: Lateral extent of the body at mid-height.
        posterior_mm: Extent from the anterior to the posterior wall, mid-sagittal, mid-height.
    """

    l_mm: NDArray[np.float64]
    p_mm: NDArray[np.float64]
    upper_mm: NDArray[np.float64]
    lower_mm: NDArray[np.float64]
    left_mm: tuple[float, float]
    posterior_mm: tuple[float, float]

    @property
    def height_mm(self) -> tuple[float, float]:
        """Lowest and highest point of the two surfaces away from the rim."""
        inside = self.footprint() & np.isfinite(self.upper_mm)
        return float(np.min(self.lower_mm[inside])), float(np.max(self.upper_mm[inside]))

    def footprint(self) -> NDArray[np.bool_]:
        """(nl, np) columns inside the ellipse away from the rim."""
        l0, l1 = self.left_mm
        p0, p1 = self.posterior_mm
        across = (self.l_mm - (l0 + l1) / 2) / max(1e-6, (l1 - l0) / 2)
        deep = (self.p_mm - (p0 + p1) / 2) / max(1e-6, (p1 - p0) / 2)
        return np.asarray(across[:, None] ** 2 + deep[None] ** 2 <= _FOOTPRINT_SHARE**2)


def column_surfaces(occupancy: NDArray[np.float32], lattice: Lattice) -> Surfaces | None:
    """Surfaces of a body from its occupancy in its own frame, or None where it is too small.

    Each column's surfaces lie where the occupancy crosses 0.5, interpolated: below the voxel.

    Args:
        occupancy: (nl, np, ns) in [0, 1], the body alone.
        lattice: Where the samples lie.
    """
    s = lattice.along(2)
    left, p = lattice.along(0), lattice.along(1)
    solid = occupancy >= 0.5
    columns = solid.any(axis=2)
    if np.count_nonzero(columns) < 20:
        return None
    upper = _outermost(occupancy, solid, s, lattice.step_mm[2])
    lower = -_outermost(occupancy[:, :, ::-1], solid[:, :, ::-1], -s[::-1], lattice.step_mm[2])
    upper[~columns] = np.nan
    lower[~columns] = np.nan
    centre = float(np.nanmedian((upper + lower) / 2))
    near = np.abs(s - centre) <= 3.0
    slab = solid[:, :, near].mean(axis=2) >= 0.5
    width = _extent(slab[:, np.abs(p - _weighted(slab.sum(axis=0), p)) <= 4.0], left, axis=0)
    if width is None:
        return None
    middle = np.abs(left - (width[0] + width[1]) / 2) <= _MIDSAGITTAL_MM
    depth = _extent(slab[middle].T, p, axis=0)
    if depth is None or width[1] - width[0] < 8.0 or depth[1] - depth[0] < 8.0:
        return None
    return Surfaces(left, p, upper, lower, width, depth)


def _outermost(
    occupancy: NDArray[np.float32], solid: NDArray[np.bool_], s: NDArray[np.float64], step: float
) -> NDArray[np.float64]:
    """Coordinate at which each column leaves the mask on the side of rising ``s``."""
    last = solid.shape[2] - 1 - np.argmax(solid[:, :, ::-1], axis=2)
    beyond = np.minimum(last + 1, solid.shape[2] - 1)
    inside = np.take_along_axis(occupancy, last[:, :, None], axis=2)[:, :, 0].astype(np.float64)
    outside = np.take_along_axis(occupancy, beyond[:, :, None], axis=2)[:, :, 0]
    drop = np.maximum(inside - outside, 1e-6)
    share = np.clip((inside - 0.5) / drop, 0.0, 1.0)
    return np.asarray(s[last] + step * np.where(last < solid.shape[2] - 1, share, 0.0))


def _extent(
    slab: NDArray[np.bool_], at: NDArray[np.float64], axis: int
) -> tuple[float, float] | None:
    """Ends of the run along ``axis`` in which at least half of the lines are solid."""
    share = slab.mean(axis=1 - axis) if slab.size else np.zeros(len(at))
    solid = np.flatnonzero(share >= 0.5)
    if len(solid) == 0:
        return None
    half = (at[1] - at[0]) / 2
    return float(at[solid[0]] - half), float(at[solid[-1]] + half)


def _weighted(weight: NDArray[np.integer], at: NDArray[np.float64]) -> float:
    total = float(weight.sum())
    return float(weight @ at / total) if total > 0 else float(at.mean())


def endplate_normal(surfaces: Surfaces, upper: bool) -> NDArray[np.float64] | None:
    """(3,) unit normal ``(l, p, s)`` of one endplate, pointing up; None where it is too small.

    A plane through the columns inside the rim, by iteratively reweighted least squares with
    Tukey's biweight, so that Schmorl nodes and dents do not tilt it.
    """
    height = surfaces.upper_mm if upper else surfaces.lower_mm
    inside = surfaces.footprint() & np.isfinite(height)
    if np.count_nonzero(inside) < 12:
        return None
    where = np.argwhere(inside)
    left, p, s = surfaces.l_mm[where[:, 0]], surfaces.p_mm[where[:, 1]], height[inside]
    design = np.stack([np.ones_like(left), left - left.mean(), p - p.mean()], axis=1)
    weight = np.ones_like(s)
    solution: NDArray[np.floating] = np.zeros(3)
    for _ in range(6):
        solution = np.linalg.lstsq(design * weight[:, None], s * weight, rcond=None)[0]
        residual = s - design @ solution
        # The floor keeps a smooth dish from being treated as outliers.
        scale = max(1.0, MAD_TO_SD * float(np.median(np.abs(residual))))
        weight = np.maximum(1e-3, 1.0 - np.minimum(1.0, (residual / (4.0 * scale)) ** 2))
    normal = np.array([-solution[1], -solution[2], 1.0])
    return np.asarray(normal / np.linalg.norm(normal))


def body_heights(surfaces: Surfaces, voxel_mm: NDArray[np.float64]) -> BodyHeights | None:
    """Anterior, middle and posterior height in the mid-sagittal plane, mm; None if not seen.

    The heights of the columns, averaged across the mid-sagittal slab and smoothed along the depth
    (Whittaker, second differences), are read just behind the anterior wall, half-way and just in
    front of the posterior wall.

    Args:
        surfaces: The body's endplates.
        voxel_mm: (3,) extent of a voxel along the vertebra's left, posterior and superior.
    """
    height, _ = _mid_sagittal(surfaces, voxel_mm)
    run = mid_sagittal_run(surfaces, voxel_mm)
    if run is None:
        return None
    step = float(surfaces.p_mm[1] - surfaces.p_mm[0])
    length = float(_SMOOTHING_VOXELS * voxel_mm[2] / step)
    even = np.ones(run.stop - run.start)
    inner = even.copy()
    rounded = round(float(_ROUNDED_VOXELS * voxel_mm[1] / step))
    inner[:rounded] = inner[len(inner) - rounded :] = _ROUNDED_WEIGHT
    # Rounding only ever takes height away, so the greater of the two readings stands.
    readings = [
        read_profile(_smoothed(height[run], weight, length), step) for weight in (even, inner)
    ]
    anterior, middle, posterior = np.max(readings, axis=0)
    return BodyHeights(float(anterior), float(middle), float(posterior))


def mid_sagittal_run(surfaces: Surfaces, voxel_mm: NDArray[np.float64]) -> slice | None:
    """The columns along the depth, from rim to rim, over which a body has its height.

    Args:
        surfaces: The body's endplates.
        voxel_mm: (3,) extent of a voxel along the vertebra's left, posterior and superior.

    Returns:
        A slice of ``surfaces.p_mm``; None where it holds fewer than 8 columns.
    """
    height, share = _mid_sagittal(surfaces, voxel_mm)
    run = _longest_run((share >= 0.5) & (height >= 0.5 * _typical(height, share)))
    if run is None:
        return None
    run = _without_edges(height, run)
    return None if run.stop - run.start < 8 else run


def _mid_sagittal(
    surfaces: Surfaces, voxel_mm: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean height along the depth, and the share of the mid-sagittal columns that have one."""
    left = (surfaces.left_mm[0] + surfaces.left_mm[1]) / 2
    slab = np.abs(surfaces.l_mm - left) <= max(_MIDSAGITTAL_MM, voxel_mm[0])
    columns = (surfaces.upper_mm - surfaces.lower_mm)[slab]
    seen = np.isfinite(columns)
    count = seen.sum(axis=0)
    height = np.where(seen, columns, 0.0).sum(axis=0) / np.maximum(count, 1)
    return height, count / max(1, np.count_nonzero(slab))


def read_profile(
    profile: NDArray[np.float64], step_mm: float, rim_mm: tuple[float, float] = RIM_MM
) -> tuple[float, float, float]:
    """Means of a profile just behind its front, around its middle and just before its end.

    Args:
        profile: (n,) heights from front to back.
        step_mm: Between them.
        rim_mm: Distances from either end between which the rims are read.
    """
    behind = (np.arange(len(profile), dtype=np.float64) + 0.5) * step_mm
    depth = len(profile) * step_mm
    anterior = profile[_between(behind, rim_mm)].mean()
    middle = profile[np.abs(behind - depth / 2) <= _MIDDLE_MM].mean()
    posterior = profile[_between(depth - behind, rim_mm)].mean()
    return float(anterior), float(middle), float(posterior)


def _typical(height: NDArray[np.float64], share: NDArray[np.float64]) -> float:
    present = height[share > 0]
    return float(np.median(present)) if len(present) else 0.0


def _longest_run(whole: NDArray[np.bool_]) -> slice | None:
    """The longest run of True."""
    edges = np.diff(np.concatenate([[0], whole.astype(np.int8), [0]]))
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    if len(starts) == 0:
        return None
    longest = int(np.argmax(stops - starts))
    return slice(int(starts[longest]), int(stops[longest]))


def _without_edges(height: NDArray[np.float64], run: slice) -> slice:
    """The run less end columns that only graze a rounded edge or an osteophyte."""
    start, stop = run.start, run.stop
    while stop - start > 2 and height[start] < _EDGE_DROP * height[start + 1]:
        start += 1
    while stop - start > 2 and height[stop - 1] < _EDGE_DROP * height[stop - 2]:
        stop -= 1
    return slice(start, stop)


def _smoothed(
    values: NDArray[np.float64], weight: NDArray[np.float64], length: float
) -> NDArray[np.float64]:
    """Weighted Whittaker smoothing with second differences over a length in samples."""
    bend = np.diff(np.eye(len(values)), n=2, axis=0)
    system = np.diag(weight) + length**4 * bend.T @ bend
    return np.asarray(np.linalg.solve(system, weight * values), dtype=np.float64)


def _between(values: NDArray[np.float64], ends: tuple[float, float]) -> NDArray[np.bool_]:
    return np.asarray((values >= ends[0]) & (values <= ends[1]))
