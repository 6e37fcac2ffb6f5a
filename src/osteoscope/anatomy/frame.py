"""The right-angled frame of one vertebra, and sampling of a mask in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteoscope.core.grid import Grid

POSTERIOR_MM = np.array([0.0, 1.0, 0.0])
SUPERIOR_MM = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True, eq=False)
class Frame:
    """A right-angled frame in the world: coordinates ``(l, p, s)`` in mm from an origin.

    Args:
        origin_mm: (3,) LPS.
        axes: (3, 3) rows are unit vectors in LPS: left, posterior, superior.
    """

    origin_mm: NDArray[np.float64]
    axes: NDArray[np.float64]

    def coordinates(self, world_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., 3) coordinates ``(l, p, s)`` of (..., 3) LPS points, mm."""
        return np.asarray((world_mm - self.origin_mm) @ self.axes.T, dtype=np.float64)

    def world_mm(self, coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., 3) LPS of (..., 3) coordinates ``(l, p, s)``, mm."""
        return np.asarray(coordinates @ self.axes + self.origin_mm, dtype=np.float64)

    def voxel_coordinates(
        self, grid: Grid, index: NDArray[np.integer] | NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """(..., 3) coordinates ``(l, p, s)`` of (..., 3) array indices of ``grid``, mm."""
        matrix = self.axes @ grid.affine_lps_mm[:3, :3]
        offset = self.axes @ (grid.affine_lps_mm[:3, 3] - self.origin_mm)
        return np.asarray(index @ matrix.T + offset, dtype=np.float64)


@dataclass(frozen=True)
class Lattice:
    """Regular sample points in a frame.

    Args:
        start_mm: ``(l, p, s)`` of the first point.
        step_mm: Distance between points along ``(l, p, s)``.
        shape: Points along ``(l, p, s)``.
    """

    start_mm: tuple[float, float, float]
    step_mm: tuple[float, float, float]
    shape: tuple[int, int, int]

    def along(self, axis: int) -> NDArray[np.float64]:
        """Coordinates of the points along one axis, mm."""
        count = np.arange(self.shape[axis], dtype=np.float64)
        return self.start_mm[axis] + self.step_mm[axis] * count


def lattice_over(
    low_mm: NDArray[np.float64], high_mm: NDArray[np.float64], step_mm: tuple[float, float, float]
) -> Lattice:
    """The lattice that covers a box of the frame, both ends included."""
    shape = [
        int(np.ceil((high - low) / step)) + 1
        for low, high, step in zip(low_mm, high_mm, step_mm, strict=True)
    ]
    start = (float(low_mm[0]), float(low_mm[1]), float(low_mm[2]))
    return Lattice(start, step_mm, (shape[0], shape[1], shape[2]))


def sample_mask(
    mask: NDArray[np.bool_], grid: Grid, frame: Frame, lattice: Lattice
) -> NDArray[np.float32]:
    """Occupancy in [0, 1] of a mask at the lattice's points, by trilinear interpolation.

    The level 0.5 lies half-way between the centres of a voxel inside and one outside, which is
    where the mask's surface is. Points outside the grid are empty.

    Args:
        mask: (z, y, x) bool on ``grid``.
        grid: Where the mask lies.
        frame: The frame that the lattice is given in.
        lattice: Where to sample.

    Returns:
        Occupancy of shape ``lattice.shape``, axes ``(l, p, s)``.
    """
    to_index = np.linalg.inv(grid.affine_lps_mm[:3, :3])
    matrix = to_index @ frame.axes.T * np.array(lattice.step_mm)
    first = frame.world_mm(np.array(lattice.start_mm))
    offset = grid.world_mm_to_index(first)
    occupancy = np.empty(lattice.shape, dtype=np.float32)
    ndimage.affine_transform(
        mask.view(np.uint8), matrix, offset, output=occupancy, order=1, mode="constant"
    )
    return occupancy


def axes_from(superior: NDArray[np.float64], posterior: NDArray[np.float64]) -> NDArray[np.float64]:
    """Right-angled rows left, posterior, superior; ``posterior`` gives way to ``superior``."""
    s = superior / np.linalg.norm(superior)
    p = posterior - (posterior @ s) * s
    p = p / np.linalg.norm(p)
    # LPS is right-handed: left x posterior = superior, so left = posterior x superior.
    return np.stack([np.cross(p, s), p, s])
