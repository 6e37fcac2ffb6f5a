"""How deep every point of a mask lies below its surface, to a fraction of a voxel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteoscope.core.box import Box, bounding_box
from osteoscope.core.errors import QualityError
from osteoscope.core.grid import Grid

_FINE_SPACING_MM = 1.0
"""Coarsest spacing of the supersampled grid; finer voxels are left as they are."""

_SMOOTHING_VOXELS = 0.6
_SMOOTHING_MM = 0.8
"""Gaussian (the larger of the two) that removes the staircase of a digitised surface. Without it
the depth is measured from the nearest dent of the staircase and regions come out too small. The
values were chosen on digitised boxes, cylinders and balls of vertebral size, so that their volume
eroded by 5 mm lies within 2 % of the truth at 1 mm voxels and 5 % at 3 mm."""

_MARGIN_VOXELS = 2


@dataclass(frozen=True, eq=False)
class DepthField:
    """Depth below the surface of a mask, on a supersampled crop.

    Args:
        depth_mm: (Z, Y, X) float32, distance to the mask's surface; positive inside.
        factors: Fine samples per scan voxel along ``(z, y, x)``.
        box: Where the scan voxels under ``depth_mm`` lie in the mask's own array.
        edge_mm: Width over which a fine sample passes from outside to inside a surface.
    """

    depth_mm: NDArray[np.float32]
    factors: tuple[int, int, int]
    box: Box
    edge_mm: float

    def share_deeper_than(self, erosion_mm: float) -> NDArray[np.float32]:
        """(z, y, x) float32 in [0, 1]: the share of each scan voxel deeper than ``erosion_mm``.

        A fine sample that the surface crosses counts by the part that lies inside, so the sum
        of the shares is the volume without a bias from truncated voxels.
        """
        inside = np.clip(0.5 + (self.depth_mm - np.float32(erosion_mm)) / self.edge_mm, 0.0, 1.0)
        (nz, fz), (ny, fy), (nx, fx) = (
            (n // f, f) for n, f in zip(inside.shape, self.factors, strict=True)
        )
        blocks = inside.reshape(nz, fz, ny, fy, nx, fx)
        return np.asarray(blocks.mean(axis=(1, 3, 5)), dtype=np.float32)


def depth_field(mask: NDArray[np.bool_], grid: Grid) -> DepthField:
    """The depth below a mask's surface, measured on samples of at most 1 mm.

    The signed Euclidean distance of the digitised mask crosses zero half-way between the last
    voxel inside and the first outside. It is smoothed slightly, interpolated with cubic
    splines onto a grid that divides every scan voxel evenly, and its zero level is the surface.
    The depth is the distance to the nearest fine sample outside that surface, less that sample's
    own distance from it: accurate to a few hundredths of a millimetre for smooth shapes. Where
    the scan cuts the mask, the cut counts as surface.

    Args:
        mask: (z, y, x) bool.
        grid: Its grid, spacing in mm.

    Raises:
        QualityError: The mask is empty.
    """
    if not mask.any():
        raise QualityError(
            "A region cannot be drawn in an empty mask; check the segmentation of this level."
        )
    box = bounding_box(mask)
    spacing = grid.spacing_mm
    inner = np.pad(mask[box], _MARGIN_VOXELS)
    signed = np.asarray(
        ndimage.distance_transform_edt(inner, sampling=spacing)
        - ndimage.distance_transform_edt(~inner, sampling=spacing),
        dtype=np.float32,
    )
    smoothing = np.maximum(_SMOOTHING_VOXELS, _SMOOTHING_MM / spacing)
    signed = ndimage.gaussian_filter(signed, smoothing, mode="nearest")
    fz, fy, fx = (max(1, int(np.ceil(h / _FINE_SPACING_MM - 1e-6))) for h in spacing)
    factors = (fz, fy, fx)
    fine_spacing = spacing / np.array(factors)
    if max(factors) > 1:
        signed = ndimage.zoom(signed, factors, order=3, mode="nearest", grid_mode=True)
    depth = _redistance(signed, fine_spacing)
    keep = tuple(
        slice(_MARGIN_VOXELS * f, n - _MARGIN_VOXELS * f)
        for f, n in zip(factors, depth.shape, strict=True)
    )
    return DepthField(depth[keep], factors, box, float(np.mean(fine_spacing)))


def _redistance(signed: NDArray[np.float32], spacing: NDArray[np.float64]) -> NDArray[np.float32]:
    """Euclidean distance to the zero level of a field that is only nearly a distance."""
    inside = signed > 0
    if not inside.any():
        # Thinner than a voxel: nothing is deeper than its own field says.
        return signed
    distance, nearest = ndimage.distance_transform_edt(
        inside, sampling=spacing, return_indices=True
    )
    gradient = np.gradient(signed, *spacing)
    steepness = np.sqrt(sum(g * g for g in gradient))
    # How far the nearest outside sample itself lies beyond the surface, at most one sample.
    overshoot = np.clip(-signed / np.maximum(steepness, 0.25), 0.0, float(np.max(spacing)))
    correction = overshoot[tuple(nearest)]
    depth = np.where(inside, distance - correction, -overshoot)
    return np.asarray(depth, dtype=np.float32)
