"""An elliptic region in the anterior middle of a vertebral body, as drawn by hand in studies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.box import Box, voxels_inside
from osteoscope.core.errors import QualityError
from osteoscope.core.grid import Grid

THICKNESS_MM = 8.0
"""Extent along the vertebra's own axis, symmetric about the mid-body plane."""

WIDTH_SHARE = 0.56
DEPTH_SHARE = 0.42
"""Axes of the ellipse as shares of the body's width and depth in its mid-plane."""

ANTERIOR_SHARE = 0.08
"""How far the ellipse's centre lies in front of the body's middle, as a share of its depth: it
keeps clear of the basivertebral vein at the posterior wall."""

_CLEARANCE_SHARE = 0.9
_FINE_SPACING_MM = 0.5


def elliptic_mid_body(
    body: NDArray[np.bool_], grid: Grid, axes: NDArray[np.float64]
) -> tuple[Box, NDArray[np.float32], str]:
    """The oval region of opportunistic screening, in the vertebra's axes.

    An elliptic cylinder 8 mm thick about the body's mid-plane, 56 % as wide and 42 % as deep as
    the body there, its centre 8 % of the depth in front of the middle. The published readers drew
    an oval of about this size by eye in the anterior trabecular space of one transverse slice
    (Pickhardt 2013, doi 10.7326/0003-4819-158-8-201304160-00003); the shares are ours.

    Args:
        body: (z, y, x) bool, the vertebral body.
        grid: Its grid.
        axes: (3, 3) unit rows in LPS: the vertebra's left, posterior and superior.

    Returns:
        Box in ``body``, (z, y, x) float32 weights in [0, 1] inside it, and the method in words.

    Raises:
        QualityError: The ellipse does not fit into the body.
    """
    voxels = voxels_inside(body).astype(np.float64)
    if not len(voxels):
        raise QualityError("An ellipse cannot be drawn in an empty body; check the segmentation.")
    along = grid.index_to_world_mm(voxels) @ axes.T  # columns left, posterior, superior
    middle_up = _middle(along[:, 2])
    slab = along[np.abs(along[:, 2] - middle_up) <= THICKNESS_MM / 2]
    if not len(slab):
        raise QualityError("The body has no voxels at its mid-plane; check the segmentation.")
    width_mm, depth_mm = _extent(slab[:, 0]), _extent(slab[:, 1])
    centre = np.array(
        [_middle(slab[:, 0]), _middle(slab[:, 1]) - ANTERIOR_SHARE * depth_mm, middle_up]
    )
    semi_mm = np.array([WIDTH_SHARE * width_mm / 2, DEPTH_SHARE * depth_mm / 2, THICKNESS_MM / 2])
    box = _box_around(grid, axes, centre, semi_mm)
    weights = _share_inside(grid.crop(box), axes, centre, semi_mm)
    inside = float(np.sum(weights[body[box]]))
    if inside < _CLEARANCE_SHARE * float(np.sum(weights)) or inside <= 0:
        raise QualityError(
            "The elliptic region does not fit into the vertebral body (a wedge, a cleft or a "
            "faulty segmentation); choose the eroded body instead."
        )
    method = (
        f"elliptic mid-body {2 * semi_mm[0]:.0f} x {2 * semi_mm[1]:.0f} mm, "
        f"{THICKNESS_MM:g} mm thick"
    )
    return box, weights * body[box], method


def _box_around(
    grid: Grid,
    axes: NDArray[np.float64],
    centre: NDArray[np.float64],
    semi_mm: NDArray[np.float64],
) -> Box:
    """The voxels that the elliptic cylinder may touch."""
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
    corners = grid.world_mm_to_index((centre + signs * semi_mm) @ axes)
    low = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
    high = np.minimum(np.ceil(corners.max(axis=0)) + 1, grid.shape).astype(int)
    return (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))


def _share_inside(
    grid: Grid,
    axes: NDArray[np.float64],
    centre: NDArray[np.float64],
    semi_mm: NDArray[np.float64],
) -> NDArray[np.float32]:
    """The share of every voxel's samples (0.5 mm apart or finer) inside the elliptic cylinder."""
    counts = [max(1, int(np.ceil(h / _FINE_SPACING_MM))) for h in grid.spacing_mm]
    base = (
        grid.index_to_world_mm(np.moveaxis(np.indices(grid.shape, dtype=np.float64), 0, -1))
        @ axes.T
        - centre
    )
    steps = grid.affine_lps_mm[:3, :3].T @ axes.T  # one voxel along each array axis
    total = np.zeros(grid.shape, dtype=np.float32)
    offsets = [(np.arange(n) + 0.5) / n - 0.5 for n in counts]
    for dz in offsets[0]:
        for dy in offsets[1]:
            for dx in offsets[2]:
                left, back, up = np.moveaxis(
                    base + dz * steps[0] + dy * steps[1] + dx * steps[2], -1, 0
                )
                round_it = (left / semi_mm[0]) ** 2 + (back / semi_mm[1]) ** 2 <= 1.0
                total += round_it & (np.abs(up) <= semi_mm[2])
    return total / np.float32(np.prod(counts))


def _extent(values: NDArray[np.float64]) -> float:
    low, high = np.percentile(values, [1, 99])
    return float(high - low)


def _middle(values: NDArray[np.float64]) -> float:
    low, high = np.percentile(values, [1, 99])
    return float(low + high) / 2
