"""The inside of one vertebral body: its voxels and how deep each lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteoscope.anatomy.quality.surroundings import canonical_hu
from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.box import Box, bounding_box
from osteoscope.core.grid import Grid
from osteoscope.core.robust import robust_centre_and_sd
from osteoscope.core.volume import Volume

REGION_DEPTH_MM = 5.0
"""Depth of the default trabecular region."""
_FEWEST_VOXELS = 10


@dataclass(frozen=True, eq=False)
class Interior:
    """One vertebra's body cut out of the scan.

    Args:
        vertebra: Where it comes from.
        box: Where it lies in ``vertebra.box``'s array.
        grid: Grid of the arrays below.
        values_hu: (z, y, x) float32 attenuation.
        depth_mm: (z, y, x) distance from the surface of the body (of the whole mask where there
            is no body); 0 outside.
        weights: (z, y, x) in [0, 1], the measured region; what lies deeper than 5 mm where none
            was given.
        own_weights: Whether none was given.
    """

    vertebra: Vertebra
    box: Box
    grid: Grid
    values_hu: NDArray[np.float32]
    depth_mm: NDArray[np.float32]
    weights: NDArray[np.float32]
    own_weights: bool

    @property
    def measurable(self) -> bool:
        """Whether the region holds enough voxels to say anything about it."""
        return int(np.count_nonzero(self.weights)) >= _FEWEST_VOXELS

    def median_hu(self) -> float | None:
        """Weighted median of the region; None where it is too small."""
        if not self.measurable:
            return None
        return robust_centre_and_sd(self.values_hu, self.weights)[0]


def cut_interior(
    volume: Volume, vertebra: Vertebra, weights: NDArray[np.float32] | None = None
) -> Interior | None:
    """Cut a body out of the scan; only its own bounding box is read and converted.

    Args:
        volume: The whole scan, HU.
        vertebra: Its box lies in the canonical scan.
        weights: (z, y, x) in [0, 1] on ``vertebra.grid``.

    Returns:
        None where the mask is empty.

    Raises:
        InputError: The scan is not in HU.
    """
    solid = vertebra.mask if vertebra.body is None else vertebra.body
    if not solid.any():
        return None
    box = bounding_box(solid)
    inside = solid[box]
    depth_mm = surface_depth_mm(inside, vertebra.grid.spacing_mm)
    values = canonical_hu(volume).array[vertebra.box][box].astype(np.float32)
    own = weights is None or weights.shape != vertebra.mask.shape
    region = depth_mm >= REGION_DEPTH_MM if weights is None or own else weights[box]
    return Interior(
        vertebra, box, vertebra.grid.crop(box), values, depth_mm, region.astype(np.float32), own
    )


def surface_depth_mm(
    solid: NDArray[np.bool_], spacing_mm: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Distance, mm, of each voxel's centre from the mask's surface; 0 outside.

    The surface lies half a voxel before the nearest background centre, along the way to it. Without
    that half the first of 5 mm slices would pass for 5 mm deep and its endplate for a focus.

    Args:
        solid: (z, y, x) mask.
        spacing_mm: (3,) spacing along ``(z, y, x)``.
    """
    # A ring of background keeps the distance finite where the body fills its box.
    ringed = np.pad(solid, 1)
    nearest = ndimage.distance_transform_edt(
        ringed, sampling=spacing_mm, return_distances=False, return_indices=True
    )
    here = np.indices(ringed.shape, dtype=np.int32)
    away = np.abs(nearest - here).astype(np.float32)
    away *= spacing_mm.astype(np.float32)[:, None, None, None]
    length = np.sqrt((away**2).sum(axis=0))
    half = np.tensordot(spacing_mm.astype(np.float32) / 2, away, axes=1)
    depth = length - half / np.maximum(length, np.float32(1e-6))
    return np.asarray(np.maximum(depth, 0)[1:-1, 1:-1, 1:-1], dtype=np.float32)
