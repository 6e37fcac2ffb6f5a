"""Body and arch of a vertebra told apart: the cut behind the body's posterior wall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteoscope.anatomy.canal import Canal
from osteoscope.anatomy.frame import Frame, Lattice, sample_mask
from osteoscope.core.box import bounding_box, voxels_inside
from osteoscope.core.grid import Grid

_SEARCH_DEPTH_MM = 26.0
"""How far in front of the canal's axis the posterior wall is looked for."""
_SEARCH_HEIGHT_MM = 24.0
_WALL_STEP_MM = 1.0
_SOLID_BEHIND_WALL_MM = 8.0
"""What stands in front of the canal for at least this depth is the body and not a process."""
_CUT_MARGIN_MM = 0.75
"""The cut runs this far behind the fitted wall, so that a rough surface is not shaved."""
LATERAL_MARGIN_MM = 2.5
"""How far beyond the width at mid-depth a body may reach before it is a process."""
_HEIGHT_MARGIN_MM = 6.0


@dataclass(frozen=True)
class PosteriorWall:
    """The body's posterior wall in a frame: ``p = c0 + c1 s + c2 s^2``, in mm.

    Args:
        coefficients: ``(c0, c1, c2)``.
        s_range_mm: Heights between which it was seen; outside, the nearest value holds.
    """

    coefficients: tuple[float, float, float]
    s_range_mm: tuple[float, float]

    def at(self, s_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Posterior coordinate of the cut at heights ``s_mm``, margin included."""
        s = np.clip(s_mm, *self.s_range_mm)
        c0, c1, c2 = self.coefficients
        return np.asarray(c0 + c1 * s + c2 * s * s + _CUT_MARGIN_MM, dtype=np.float64)

    @property
    def furthest_mm(self) -> float:
        """The most posterior coordinate of the cut at any height."""
        _, c1, c2 = self.coefficients
        turn = -c1 / (2 * c2) if c2 != 0.0 else 0.0
        return float(self.at(np.array([*self.s_range_mm, turn])).max())


@dataclass(frozen=True)
class BodyLimits:
    """The box of the frame that a body may fill, mm: what lies outside is a process."""

    left_mm: tuple[float, float]
    height_mm: tuple[float, float]

    def widened(self) -> BodyLimits:
        """The limits with the margin that the cut of a mask allows for rough surfaces."""
        return BodyLimits(
            (self.left_mm[0] - LATERAL_MARGIN_MM, self.left_mm[1] + LATERAL_MARGIN_MM),
            (self.height_mm[0] - _HEIGHT_MARGIN_MM, self.height_mm[1] + _HEIGHT_MARGIN_MM),
        )


def find_posterior_wall(
    mask: NDArray[np.bool_], grid: Grid, frame: Frame, canal: Canal
) -> PosteriorWall | None:
    """The body's posterior wall as the canal's front, or None where none is seen.

    From the canal's axis the mask is searched forwards, over the middle half of the canal's
    width, at each height; a parabola over the height is fitted, since the wall is hollow.

    Args:
        mask: (z, y, x) bool, the vertebra.
        grid: Where it lies.
        frame: Axes of the vertebra about a point inside the body.
        canal: The vertebra's canal.
    """
    at = frame.coordinates(canal.point_mm)
    along = frame.axes @ canal.direction
    half = min(6.0, max(3.0, 0.5 * canal.half_width_mm))
    height = _SEARCH_HEIGHT_MM
    # The canal leans in the frame of the endplates: start behind its axis at every height.
    lean = abs(along[1] / along[2]) * height
    start = (float(at[0] - half), float(at[1] - _SEARCH_DEPTH_MM - lean), -height)
    shape = (7, int(2 * lean + _SEARCH_DEPTH_MM) + 1, int(2 * height) + 1)
    lattice = Lattice(start, (half / 3, _WALL_STEP_MM, _WALL_STEP_MM), shape)
    occupancy = sample_mask(mask, grid, frame, lattice)
    s = lattice.along(2)
    p = lattice.along(1)
    canal_p = at[1] + (s - at[2]) * along[1] / along[2]
    solid = (occupancy >= 0.5) & (p[None, :, None] <= canal_p[None, None, :])
    wall_p, seen = _last_surface(occupancy, solid, p)
    if np.count_nonzero(seen.any(axis=0)) < 5:
        return None
    return _fit_wall(np.broadcast_to(s, wall_p.shape)[seen], wall_p[seen])


def _last_surface(
    occupancy: NDArray[np.float32], solid: NDArray[np.bool_], p: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Where each line along ``p`` leaves the mask for good, and whether that is the body's wall."""
    last = solid.shape[1] - 1 - np.argmax(solid[:, ::-1], axis=1)
    ahead = min(solid.shape[1] - 1, int(_SOLID_BEHIND_WALL_MM / _WALL_STEP_MM))
    depth = np.zeros(last.shape)
    for back in range(ahead + 1):
        at = np.maximum(last - back, 0)
        depth += np.take_along_axis(solid, at[:, None], axis=1)[:, 0]
    beyond = np.minimum(last + 1, solid.shape[1] - 1)
    inside = np.take_along_axis(occupancy, last[:, None], axis=1)[:, 0].astype(np.float64)
    outside = np.take_along_axis(occupancy, beyond[:, None], axis=1)[:, 0].astype(np.float64)
    open_behind = outside < 0.5
    drop = np.where(open_behind, np.maximum(inside - outside, 1e-6), 1.0)
    surface = p[last] + _WALL_STEP_MM * np.clip((inside - 0.5) / drop, 0.0, 1.0)
    return surface, solid.any(axis=1) & open_behind & (depth >= 0.9 * (ahead + 1))


def _fit_wall(s: NDArray[np.float64], p: NDArray[np.float64]) -> PosteriorWall:
    """A parabola through the surface, outliers (osteophytes, vessel grooves) weighted down."""
    keep = np.abs(p - np.median(p)) <= 7.0
    s, p = s[keep], p[keep]
    low, high = float(s.min()), float(s.max())
    design = np.stack([np.ones_like(s), s, s * s], axis=1)
    weight = np.ones_like(s)
    solution: NDArray[np.floating] = np.zeros(3)
    for _ in range(4):
        solution = np.linalg.lstsq(design * weight[:, None], p * weight, rcond=None)[0]
        residual = p - design @ solution
        scale = max(0.6, 1.5 * float(np.median(np.abs(residual))))
        weight = np.sqrt(1.0 / (1.0 + (residual / scale) ** 2))
    return PosteriorWall((float(solution[0]), float(solution[1]), float(solution[2])), (low, high))


def cut_body(
    mask: NDArray[np.bool_], grid: Grid, frame: Frame, wall: PosteriorWall, limits: BodyLimits
) -> NDArray[np.bool_]:
    """The part of a vertebra in front of the wall and inside the limits, in one piece.

    Args:
        mask: (z, y, x) bool, the vertebra.
        grid: Where it lies.
        frame: The frame that wall and limits are given in.
        wall: The posterior wall.
        limits: Where the body ends to the sides and beyond the endplates.

    Returns:
        (z, y, x) bool, the largest connected piece.
    """
    index = voxels_inside(mask)
    left, p, s = frame.voxel_coordinates(grid, index).T
    bounds = limits.widened()
    inside = (
        (p <= wall.at(s))
        & (left >= bounds.left_mm[0])
        & (left <= bounds.left_mm[1])
        & (s >= bounds.height_mm[0])
        & (s <= bounds.height_mm[1])
    )
    body = np.zeros_like(mask)
    body[tuple(index[inside].T)] = True
    return largest_piece(body)


def largest_piece(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest face-connected piece of a mask; an empty mask stays empty."""
    if not mask.any():
        return mask
    box = bounding_box(mask)
    pieces, count = ndimage.label(mask[box])
    if count == 1:
        return mask
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    largest = np.zeros_like(mask)
    largest[box] = pieces == sizes.argmax()
    return largest
