"""A vertebra of boxes and tubes on any grid: an oracle that shares no code with the simulator."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.grid import Grid
from osteoscope.core.label_schemes import SCHEMES
from osteoscope.core.labelmap import LabelMap

WIDTH_MM, DEPTH_MM = 44.0, 32.0
CANAL_MM = (20.0, 16.0)
"""Width and depth of the canal."""


def rotation(about: int, degrees: float) -> NDArray[np.float64]:
    """Right-handed rotation about x, y or z."""
    angle = np.deg2rad(degrees)
    one, other = [(1, 2), (2, 0), (0, 1)][about]
    matrix = np.eye(3)
    matrix[one, one] = matrix[other, other] = np.cos(angle)
    matrix[one, other], matrix[other, one] = -np.sin(angle), np.sin(angle)
    return matrix


def cube_grid(spacing_mm: tuple[float, float, float], half_mm: float = 74.0) -> Grid:
    """A grid around the origin, spacing along ``(z, y, x)``."""
    shape = tuple(int(2 * half_mm / s) for s in spacing_mm)
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = *spacing_mm, 1.0
    affine[:3, 3] = [-half_mm + 0.31, -half_mm - 0.17, -half_mm + 0.43]
    return Grid((shape[0], shape[1], shape[2]), affine)


def vertebra_masks(
    grid: Grid,
    axes: NDArray[np.float64],
    heights_mm: tuple[float, float] = (26.0, 26.0),
    gap_mm: float = 0.0,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Body and whole vertebra, the body's centre at the world's origin.

    Args:
        grid: Where to draw.
        axes: (3, 3) rows left, posterior, superior.
        heights_mm: Anterior and posterior height; linear between.
        gap_mm: Width of a gap left open in the lamina, 0 for a closed arch.
    """
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    u, v, w = np.moveaxis(grid.index_to_world_mm(index) @ axes.T, -1, 0)
    share = np.clip(v / DEPTH_MM + 0.5, 0, 1)
    half = (heights_mm[0] + (heights_mm[1] - heights_mm[0]) * share) / 2
    oval = np.abs(2 * u / WIDTH_MM) ** 3 + np.abs(2 * v / DEPTH_MM) ** 3 <= 1
    body = oval & (np.abs(w) <= half)
    back = DEPTH_MM / 2
    canal_width, canal_depth = CANAL_MM
    beside = (np.abs(u) >= canal_width / 2) & (np.abs(u) <= canal_width / 2 + 7)
    pedicles = beside & (v > back - 4) & (v <= back + canal_depth) & (np.abs(w - 4) <= 7)
    lamina = (
        (np.abs(u) <= canal_width / 2 + 7)
        & (np.abs(u) >= gap_mm / 2)
        & (v >= back + canal_depth)
        & (v <= back + canal_depth + 6)
        & (np.abs(w + 2) <= 9)
    )
    spinous = (
        (np.abs(u) <= 3) & (v > back + canal_depth + 5) & (v <= back + 44) & (np.abs(w + 7) <= 8)
    )
    if gap_mm:
        spinous[:] = False
    return body, body | pedicles | lamina | spinous


def label_map(mask: NDArray[np.bool_], grid: Grid, level: str = "L1") -> LabelMap:
    """The mask as that level in TotalSegmentator's numbers."""
    scheme = SCHEMES["totalsegmentator"]
    return LabelMap(mask.astype(np.uint8) * np.uint8(scheme.vertebrae[level]), grid, scheme)


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Overlap of two masks, 0-1."""
    return float(2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + other.sum()))


def degrees_between(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Angle between two unit vectors."""
    return float(np.degrees(np.arccos(np.clip(one @ other, -1.0, 1.0))))
