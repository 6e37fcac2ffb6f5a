"""The voxels that anatomy is painted on, one box at a time, and the labels beside them.

A scan's voxels form a lattice; a canvas holds all of them or a window of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.box import Box, inward
from osteoscope.simulation.signed_distance import Field


@dataclass(frozen=True, eq=False)
class Lattice:
    """Where the voxels of an axis-aligned image lie: axes towards superior, posterior and left.

    Args:
        x_mm: (nx,) float32 positions of the columns' centres, LPS.
        y_mm: (ny,) the same of the rows.
        z_mm: (nz,) the same of the slices.
    """

    x_mm: Field
    y_mm: Field
    z_mm: Field

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along ``(z, y, x)``."""
        return len(self.z_mm), len(self.y_mm), len(self.x_mm)

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

    def cut(self, box: Box) -> Lattice:
        """The voxels of a box."""
        z, y, x = box
        return Lattice(self.x_mm[x], self.y_mm[y], self.z_mm[z])


@dataclass(frozen=True, eq=False)
class Canvas:
    """An image in the making: all of a scan, or a box of it.

    A box is painted voxel by voxel as the whole scan is, so it shows what the scan shows there.

    Args:
        scan: The voxels of the whole scan.
        window: The box of ``scan`` that is painted.
        hu: (z, y, x) int16 of the window.
        totalsegmentator: (z, y, x) uint8 labels.
        verse: (z, y, x) uint8 labels.
        subregions: (z, y, x) uint8 labels.
    """

    scan: Lattice
    window: Box
    hu: NDArray[np.int16]
    totalsegmentator: NDArray[np.uint8]
    verse: NDArray[np.uint8]
    subregions: NDArray[np.uint8]

    @property
    def here(self) -> Lattice:
        """The voxels of the window."""
        return self.scan.cut(self.window)

    @property
    def x_mm(self) -> Field:
        """(nx,) positions of the window's columns."""
        return self.scan.x_mm[self.window[2]]

    @property
    def y_mm(self) -> Field:
        """(ny,) positions of the window's rows."""
        return self.scan.y_mm[self.window[1]]

    @property
    def z_mm(self) -> Field:
        """(nz,) positions of the window's slices."""
        return self.scan.z_mm[self.window[0]]

    @property
    def in_plane_mm(self) -> float:
        """Pixel size."""
        return self.scan.in_plane_mm

    @property
    def slice_mm(self) -> float:
        """Distance between slices."""
        return self.scan.slice_mm

    def box(self, low_mm: Iterable[float], high_mm: Iterable[float]) -> Box | None:
        """Slices ``(z, y, x)`` of the window between two ``(x, y, z)`` corners; None if empty."""
        return self.here.box(low_mm, high_mm)

    def points(self, box: Box) -> tuple[Field, Field, Field]:
        """Open arrays ``x, y, z`` of a box of the window, mm."""
        return self.here.points(box)

    def part_of(self, box: Box) -> tuple[Box, Box] | None:
        """What the window shows of a box of the whole scan; None where they do not meet.

        Returns:
            The common voxels, counted in the window and counted in the box.
        """
        meet = [
            slice(max(b.start, w.start), min(b.stop, w.stop))
            for b, w in zip(box, self.window, strict=True)
        ]
        if any(m.start >= m.stop for m in meet):
            return None
        common = (meet[0], meet[1], meet[2])
        return inward(common, self.window), inward(common, box)

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
