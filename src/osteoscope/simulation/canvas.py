"""The voxels that anatomy is painted on, one box at a time, and the labels beside them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.box import Box
from osteoscope.simulation.signed_distance import Field


@dataclass(frozen=True, eq=False)
class Canvas:
    """An axis-aligned image in the making: axes towards superior, posterior and left.

    Args:
        hu: (z, y, x) int16.
        totalsegmentator: (z, y, x) uint8 labels.
        verse: (z, y, x) uint8 labels.
        subregions: (z, y, x) uint8 labels.
        x_mm: (nx,) float32 positions of the columns' centres, LPS.
        y_mm: (ny,) the same of the rows.
        z_mm: (nz,) the same of the slices.
    """

    hu: NDArray[np.int16]
    totalsegmentator: NDArray[np.uint8]
    verse: NDArray[np.uint8]
    subregions: NDArray[np.uint8]
    x_mm: Field
    y_mm: Field
    z_mm: Field

    @property
    def in_plane_mm(self) -> float:
        """Pixel size."""
        return float(self.x_mm[1] - self.x_mm[0])

    @property
    def slice_mm(self) -> float:
        """Distance between slices."""
        return float(self.z_mm[1] - self.z_mm[0]) if len(self.z_mm) > 1 else 1.0

    def box(self, low_mm: Iterable[float], high_mm: Iterable[float]) -> Box | None:
        """Slices ``(z, y, x)`` of the voxels between two ``(x, y, z)`` corners; None if empty."""
        parts = []
        for axis, low, high in zip((self.x_mm, self.y_mm, self.z_mm), low_mm, high_mm, strict=True):
            start, stop = (int(i) for i in np.searchsorted(axis, (low, high)))
            if start >= stop:
                return None
            parts.append(slice(start, stop))
        return parts[2], parts[1], parts[0]

    def points(self, box: Box) -> tuple[Field, Field, Field]:
        """Open arrays ``x, y, z`` of a box, mm."""
        z, y, x = box
        return (
            self.x_mm[x][None, None, :],
            self.y_mm[y][None, :, None],
            self.z_mm[z][:, None, None],
        )

    def blend(self, box: Box, share: Field, hu: Field | float) -> None:
        """Fill ``share`` of each voxel of a box with a material of ``hu``."""
        old = self.hu[box].astype(np.float32)
        old += share * (np.asarray(hu, dtype=np.float32) - old)
        self.hu[box] = np.rint(np.clip(old, -1024, 3071, out=old), out=old)

    def mix(self, box: Box, share: Field, weighted_hu: Field) -> None:
        """Replace ``share`` of each voxel by parts whose shares times HU sum to the last."""
        old = self.hu[box].astype(np.float32)
        old *= np.float32(1) - share
        old += weighted_hu
        self.hu[box] = np.rint(np.clip(old, -1024, 3071, out=old), out=old)
