"""The spinal canal of one vertebra: the hole that its shadow has when seen along the canal.

Body, pedicles and laminae close a ring only when they are seen together along the canal, so the
mask is projected along trial directions, and the direction that leaves the largest hole is the
canal's. This needs no slice in which the ring is closed, and no alignment with the scanner.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteoscope.anatomy.frame import axes_from
from osteoscope.core.grid import Grid

_POINT_STEP_MM = 1.6
"""Aimed distance between the points that cast the shadow."""
_PIXEL_MM = 2.0
_TILTS_DEG = (-24, -12, 0, 12, 24)
_FINE_TILTS_DEG = (-8, -4, 0, 4, 8)
_MIN_HOLE_MM2 = 50.0
"""Least clear canal, well below the narrowest that is seen (stenosis: about 75 mm2)."""
_MAX_HOLE_MM2 = 1100.0
_CLOSING_PIXELS = (0, 1, 2, 3)
"""Gaps in the ring that are bridged, tried in this order: half the gap in pixels."""


@dataclass(frozen=True, eq=False)
class Canal:
    """Where the canal runs through a vertebra.

    Args:
        point_mm: (3,) LPS of a point on its axis.
        direction: (3,) unit vector along it, upwards.
        half_width_mm: Half of its clear width.
        area_mm2: Its clear cross-section.
    """

    point_mm: NDArray[np.float64]
    direction: NDArray[np.float64]
    half_width_mm: float
    area_mm2: float

    @property
    def half_depth_mm(self) -> float:
        """Half of its clear depth: that of an ellipse as wide and as large.

        Where only the cord is known, the canal is taken to be round.
        """
        if math.isnan(self.area_mm2):
            return self.half_width_mm
        return self.area_mm2 / (math.pi * self.half_width_mm)


def mask_points_mm(mask: NDArray[np.bool_], grid: Grid) -> NDArray[np.float64]:
    """(n, 3) LPS points that fill a mask, about 1.6 mm apart whatever the voxels' size.

    Fine voxels are passed over, coarse ones are divided, so that a shadow of the points has no
    gaps and its cost does not depend on the spacing.
    """
    spacing = grid.spacing_mm
    stride = [max(1, int(_POINT_STEP_MM / s)) for s in spacing]
    parts = [max(1, math.ceil(s / _POINT_STEP_MM - 0.25)) for s in spacing]
    index = np.argwhere(mask[:: stride[0], :: stride[1], :: stride[2]]) * np.array(stride)
    offsets = np.stack(
        np.meshgrid(*[(np.arange(n) + 0.5) / n - 0.5 for n in parts], indexing="ij"), axis=-1
    ).reshape(-1, 3)
    points = (index[:, None, :] + offsets[None]).reshape(-1, 3)
    return grid.index_to_world_mm(points)


def find_canal(
    points_mm: NDArray[np.float64],
    superior: NDArray[np.float64],
    posterior: NDArray[np.float64],
) -> Canal | None:
    """The canal of a vertebra given as points, or None where its shadow has no hole.

    Args:
        points_mm: (n, 3) LPS points that fill the vertebra, from :func:`mask_points_mm`.
        superior: (3,) unit vector within about 30 degrees of the canal.
        posterior: (3,) unit vector within about 30 degrees of the vertebra's own.
    """
    centre = points_mm.mean(axis=0)
    local = np.ascontiguousarray((points_mm - centre).T)  # (3, n): long rows are quick
    for closing in _CLOSING_PIXELS:
        start = axes_from(superior, posterior)
        found: _Hole | None = None
        for tilts in (_TILTS_DEG, _FINE_TILTS_DEG):
            found = _widest_hole(local, start, tilts, closing)
            if found is None:
                break
            start = axes_from(found.axes[2], posterior)
        if found is not None:
            middle = np.array([found.left_mm, found.posterior_mm, 0.0])
            return Canal(
                centre + middle @ found.axes, found.axes[2], found.half_width_mm, found.area_mm2
            )
    return None


def canal_from_cord(cord_mm: NDArray[np.float64], superior: NDArray[np.float64]) -> Canal | None:
    """The canal as the labelled cord runs, for a mask whose arch is not closed.

    Args:
        cord_mm: (n, 3) LPS points of the cord near the vertebra.
        superior: (3,) unit vector upwards, which settles the sign of the direction.
    """
    if len(cord_mm) < 4:
        return None
    centre = cord_mm.mean(axis=0)
    height = (cord_mm - centre) @ superior
    spread = float(height @ height)
    if spread <= 0 or np.ptp(height) < 10.0:
        return None
    # Regression on height: the cord's long axis, where principal axes may pick its width.
    slope = (height @ (cord_mm - centre)) / spread
    direction = slope / np.linalg.norm(slope)
    # A typical lumbar canal is half as wide again as the cord and the roots labelled in it.
    return Canal(centre, direction, half_width_mm=8.0, area_mm2=float("nan"))


@dataclass(frozen=True, eq=False)
class _Hole:
    axes: NDArray[np.float64]
    left_mm: float
    posterior_mm: float
    half_width_mm: float
    area_mm2: float


def _widest_hole(
    local: NDArray[np.float64], start: NDArray[np.float64], tilts: tuple[int, ...], closing: int
) -> _Hole | None:
    """The hole with the greatest area; directions nearly as good are averaged with it."""
    holes: list[_Hole] = []
    for pitch in np.deg2rad(tilts):
        for roll in np.deg2rad(tilts):
            s = start[2] + math.tan(pitch) * start[1] + math.tan(roll) * start[0]
            hole = _shadow_hole(local, axes_from(s, start[1]), closing)
            if hole is not None:
                holes.append(hole)
    if not holes:
        return None
    best = max(holes, key=lambda h: h.area_mm2)
    near = [h for h in holes if h.area_mm2 >= 0.93 * best.area_mm2]
    mean = np.mean([h.axes[2] for h in near], axis=0)
    middle = _shadow_hole(local, axes_from(mean, start[1]), closing)
    return middle if middle is not None and middle.area_mm2 >= 0.9 * best.area_mm2 else best


def _shadow_hole(
    local: NDArray[np.float64], axes: NDArray[np.float64], closing: int
) -> _Hole | None:
    """The largest plausible hole of the shadow along ``axes[2]``."""
    flat = axes[:2] @ local
    # The odd offset keeps points of an aligned grid off the pixels' edges, where rounding decides.
    low = flat.min(axis=1) - (closing + 1) * _PIXEL_MM - 0.0137
    pixel = ((flat - low[:, None]) / _PIXEL_MM).astype(np.intp)
    shape = pixel.max(axis=1) + closing + 2
    shadow = np.bincount(pixel[0] * shape[1] + pixel[1], minlength=shape[0] * shape[1])
    solid = shadow.reshape(shape) > 0
    if closing:
        solid = ndimage.binary_closing(solid, structure=_disc(closing))
    empty, count = ndimage.label(~solid)
    if count < 2:
        return None
    sizes = np.bincount(empty.ravel())
    sizes[0] = 0
    sizes[empty[0, 0]] = 0  # the outside: the image has an empty rim
    area = sizes.max() * _PIXEL_MM**2
    if not _MIN_HOLE_MM2 <= area <= _MAX_HOLE_MM2:
        return None
    where = np.argwhere(empty == sizes.argmax())
    middle = (where.mean(axis=0) + 0.5) * _PIXEL_MM + low
    half_width = (np.ptp(where[:, 0]) + 1) * _PIXEL_MM / 2
    return _Hole(axes, float(middle[0]), float(middle[1]), float(half_width), float(area))


def _disc(radius: int) -> NDArray[np.bool_]:
    offset = np.arange(-radius, radius + 1)
    return np.asarray(offset[:, None] ** 2 + offset[None] ** 2 <= (radius + 0.3) ** 2)
