"""Where the voxels of an array lie in the world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.box import Box
from osteoscope.core.errors import GeometryError

_PARALLEL_TOLERANCE = 1e-3
"""Largest dot product of two unit axes that still counts as a right angle (0.06 degrees)."""


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular grid of voxels in world coordinates.

    Arrays are indexed ``(z, y, x)``; the world is LPS (x to the patient's left, y to posterior,
    z to superior), in mm.

    Args:
        shape: Number of voxels along ``(z, y, x)``.
        affine_lps_mm: (4, 4) matrix from ``(k, j, i, 1)``, the array index in array order, to
            ``(x, y, z, 1)`` in LPS mm of the voxel's centre.

    Raises:
        GeometryError: The matrix is not finite, is singular or its axes are not at right angles.
    """

    shape: tuple[int, int, int]
    affine_lps_mm: NDArray[np.float64]

    def __post_init__(self) -> None:
        affine = np.array(self.affine_lps_mm, dtype=np.float64)
        if affine.shape != (4, 4) or not np.all(np.isfinite(affine)):
            raise GeometryError("The image's affine must be a finite 4 x 4 matrix.")
        lengths = np.linalg.norm(affine[:3, :3], axis=0)
        if np.any(lengths <= 0):
            raise GeometryError("The image's affine is singular: an axis has no spacing.")
        cosines = (affine[:3, :3] / lengths).T @ (affine[:3, :3] / lengths)
        worst = float(np.max(np.abs(cosines - np.eye(3))))
        if worst > _PARALLEL_TOLERANCE:
            raise GeometryError(
                "The image's axes are not at right angles (largest cosine "
                f"{worst:.4f}); resample a sheared or tilted image before use."
            )
        affine.setflags(write=False)
        object.__setattr__(self, "affine_lps_mm", affine)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))

    @property
    def spacing_mm(self) -> NDArray[np.float64]:
        """(3,) distance between neighbouring voxel centres along ``(z, y, x)``, mm."""
        return np.asarray(np.linalg.norm(self.affine_lps_mm[:3, :3], axis=0), dtype=np.float64)

    @property
    def directions(self) -> NDArray[np.float64]:
        """(3, 3) unit vectors in LPS; column ``a`` points along array axis ``a``."""
        return np.asarray(self.affine_lps_mm[:3, :3] / self.spacing_mm, dtype=np.float64)

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel, mm3."""
        return float(np.prod(self.spacing_mm))

    def index_to_world_mm(self, index: NDArray[np.floating]) -> NDArray[np.float64]:
        """(..., 3) LPS mm of (..., 3) array indices ``(k, j, i)``, fractions allowed."""
        index = np.asarray(index, dtype=np.float64)
        world = index @ self.affine_lps_mm[:3, :3].T + self.affine_lps_mm[:3, 3]
        return np.asarray(world, dtype=np.float64)

    def world_mm_to_index(self, world_mm: NDArray[np.floating]) -> NDArray[np.float64]:
        """(..., 3) fractional array indices ``(k, j, i)`` of (..., 3) LPS mm."""
        inverse = np.linalg.inv(self.affine_lps_mm)
        index = np.asarray(world_mm, dtype=np.float64) @ inverse[:3, :3].T + inverse[:3, 3]
        return np.asarray(index, dtype=np.float64)

    def crop(self, box: Box) -> Grid:
        """The grid of ``array[box]``; slices have a step of one."""
        start = [s.indices(n)[0] for s, n in zip(box, self.shape, strict=True)]
        stop = [s.indices(n)[1] for s, n in zip(box, self.shape, strict=True)]
        affine = self.affine_lps_mm.copy()
        affine[:3, 3] = self.index_to_world_mm(np.array(start, dtype=np.float64))
        shape = tuple(max(0, b - a) for a, b in zip(start, stop, strict=True))
        return Grid((shape[0], shape[1], shape[2]), affine)

    def matches(self, other: Grid, tolerance_mm: float = 0.01) -> bool:
        """Whether both grids have one shape and every corner within ``tolerance_mm``."""
        if self.shape != other.shape:
            return False
        return bool(np.max(np.abs(self.corners_mm() - other.corners_mm())) <= tolerance_mm)

    def corners_mm(self) -> NDArray[np.float64]:
        """(8, 3) LPS mm of the centres of the eight corner voxels."""
        last = np.array(self.shape) - 1
        index = np.array([[k, j, i] for k in (0, 1) for j in (0, 1) for i in (0, 1)]) * last
        return self.index_to_world_mm(index)

    def canonical_axes(self) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
        """How to permute, then flip, the array so that its axes run most nearly +S, +P, +L.

        Returns:
            ``(order, flips)``: ``array.transpose(order)`` with axis ``a`` reversed where
            ``flips[a]`` holds.
        """
        along = self.directions[::-1]  # rows S, P, L; columns array axes
        order: list[int] = []
        free = [0, 1, 2]
        # The strongest alignment is settled first, so that an oblique grid has one answer.
        chosen: dict[int, int] = {}
        targets = [0, 1, 2]
        while targets:
            target, axis = max(
                ((t, a) for t in targets for a in free), key=lambda ta: abs(along[ta[0], ta[1]])
            )
            chosen[target] = axis
            targets.remove(target)
            free.remove(axis)
        order = [chosen[t] for t in (0, 1, 2)]
        flips = tuple(bool(along[t, order[t]] < 0) for t in (0, 1, 2))
        return (order[0], order[1], order[2]), (flips[0], flips[1], flips[2])

    def canonical(self) -> Grid:
        """The grid of the array after :meth:`canonical_axes` has been applied."""
        order, flips = self.canonical_axes()
        affine = np.eye(4)
        matrix = self.affine_lps_mm[:3, :3][:, list(order)].copy()
        shape = tuple(self.shape[a] for a in order)
        start = np.zeros(3)
        for axis, flip in enumerate(flips):
            if flip:
                start[order[axis]] = shape[axis] - 1
                matrix[:, axis] *= -1
        affine[:3, :3] = matrix
        affine[:3, 3] = self.index_to_world_mm(start)
        return Grid((shape[0], shape[1], shape[2]), affine)


def to_canonical(array: NDArray[np.generic], grid: Grid) -> NDArray[np.generic]:
    """A view of ``array`` whose axes run most nearly towards +S, +P and +L; nothing is copied."""
    order, flips = grid.canonical_axes()
    view = array.transpose(order)
    return view[tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)]


def grid_from_spacing(
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    origin_lps_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Grid:
    """An axis-aligned grid: array axes ``(z, y, x)`` run towards +S, +P and +L.

    Args:
        shape: Voxels along ``(z, y, x)``.
        spacing_mm: Spacing along ``(z, y, x)``, mm.
        origin_lps_mm: World ``(x, y, z)`` of voxel ``(0, 0, 0)``, mm.
    """
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2] = spacing_mm
    affine[:3, 3] = origin_lps_mm
    affine[3, 3] = 1.0
    return Grid(shape, affine)
