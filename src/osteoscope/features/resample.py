"""Bring a part of a scan onto another grid of voxels: linear, and averaged where it is coarser."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteoscope.core.box import Box
from osteoscope.core.errors import InputError
from osteoscope.core.grid import Grid

_FINER = 0.05
"""A target up to this share coarser than the scan is sampled once: nothing can alias yet."""
_STRAIGHT = 1e-9
"""Largest off-diagonal index step of grids that count as parallel: of 512 voxels, 5e-7."""


def patch_grid(
    centre_mm: NDArray[np.float64],
    axes: NDArray[np.float64],
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
) -> Grid:
    """The grid of a box of voxels about a point, along given axes.

    Args:
        centre_mm: (3,) LPS of the box's centre, mm.
        axes: (3, 3) rows are unit vectors in LPS: left, posterior, superior, as
            ``Vertebra.axes`` has them.
        shape: Voxels along (z, y, x): superior, posterior, left.
        spacing_mm: Their spacing along (z, y, x), mm.

    Raises:
        GeometryError: The axes are not finite or not at right angles.

    >>> grid = patch_grid(np.zeros(3), np.eye(3), (2, 2, 2), (4.0, 3.0, 2.0))
    >>> [float(mm) for mm in grid.index_to_world_mm(np.zeros(3))]
    [-1.0, -1.5, -2.0]
    """
    affine = np.eye(4)
    affine[:3, :3] = axes[::-1].T * np.asarray(spacing_mm)
    middle = (np.asarray(shape, dtype=np.float64) - 1.0) / 2.0
    affine[:3, 3] = np.asarray(centre_mm) - affine[:3, :3] @ middle
    return Grid(shape, affine)


def resample(
    array: NDArray[Any], grid: Grid, target: Grid, *, outside: float, lowest: float | None = None
) -> NDArray[np.float32]:
    """Values of an array on another grid, by trilinear interpolation.

    Along an axis on which the target is coarser than the source, each target voxel is the mean of
    evenly spaced points across it, at least one a source voxel, so that mean values are kept and
    noise does not alias. Only the part of the array that the target covers is touched.

    Args:
        array: (z, y, x) values on ``grid``, any real type; a view is welcome.
        grid: Where they lie.
        target: Where they are wanted; any orientation.
        outside: The value beyond the array: between its last voxel centre and one voxel further
            the values run to it linearly, so that half of it lies on the outer voxel edge.
        lowest: Values below are raised to it before they are interpolated: paddings such as
            -3024 lie outside the reconstructed field.

    Returns:
        float32 of ``target.shape``.

    Raises:
        InputError: The array's shape is not the grid's.
    """
    if array.shape != grid.shape:
        raise InputError(f"The array's shape {array.shape} differs from its grid's {grid.shape}.")
    to_index = np.linalg.inv(grid.affine_lps_mm)
    step = to_index[:3, :3] @ target.affine_lps_mm[:3, :3]
    first = to_index[:3, :3] @ target.affine_lps_mm[:3, 3] + to_index[:3, 3]
    box = _covered(step, first, grid.shape, target.shape)
    if box is None:
        return np.full(target.shape, outside, dtype=np.float32)
    block = array[box].astype(np.float32)
    if lowest is not None:
        np.maximum(block, np.float32(lowest), out=block)
    first = first - np.array([s.start for s in box])
    # Beyond the block lies nothing once the outer value is zero.
    block -= np.float32(outside)
    diagonal = np.diag(step)
    if np.max(np.abs(step - np.diag(diagonal))) < _STRAIGHT:
        values = _along_axes(block, diagonal, first, target.shape)
    else:
        values = _across(block, step, first, target.shape)
    return values + np.float32(outside)


def _offsets(step: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """By target axis: where in a voxel it is sampled, in target voxels from the voxel's centre."""
    # How many source voxels one target voxel spans, along the source axis that it crosses most.
    spans = np.abs(step).max(axis=0)
    counts = [max(1, math.ceil(span - _FINER)) for span in spans]
    return [(np.arange(n) + 0.5) / n - 0.5 for n in counts]


def _along_axes(
    block: NDArray[np.float32],
    step: NDArray[np.float64],
    first: NDArray[np.float64],
    shape: tuple[int, int, int],
) -> NDArray[np.float32]:
    """Parallel grids: the same weights in every row, so one small matrix an axis does it."""
    values = block
    for axis, offsets in enumerate(_offsets(np.diag(step))):
        centres = np.arange(shape[axis])[:, np.newaxis] + offsets
        weights = _linear_weights(first[axis] + step[axis] * centres, block.shape[axis])
        values = np.moveaxis(np.tensordot(weights, values, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(values)


def _linear_weights(index: NDArray[np.float64], length: int) -> NDArray[np.float32]:
    """(n, length) weights that average linear interpolation over the (n, m) indices of each row."""
    distance = np.abs(index[:, :, np.newaxis] - np.arange(length))
    return np.asarray(np.maximum(0.0, 1.0 - distance).mean(axis=1), dtype=np.float32)


def _across(
    block: NDArray[np.float32],
    step: NDArray[np.float64],
    first: NDArray[np.float64],
    shape: tuple[int, int, int],
) -> NDArray[np.float32]:
    """Grids at an angle: each point of the voxels in turn."""
    total = np.zeros(shape, dtype=np.float32)
    out = np.empty(shape, dtype=np.float32)
    points = list(itertools.product(*_offsets(step)))
    for point in points:
        start = first + step @ np.array(point)
        ndimage.affine_transform(
            block, step, start, output_shape=shape, output=out, order=1, mode="grid-constant"
        )
        total += out
    return total / np.float32(len(points))


def _covered(
    step: NDArray[np.float64],
    first: NDArray[np.float64],
    source: tuple[int, ...],
    target: tuple[int, ...],
) -> Box | None:
    """The part of the source that the target's voxels can see, a voxel of margin included."""
    ends = [(-0.5, n - 0.5) for n in target]
    corners = np.array([first + step @ np.array(corner) for corner in itertools.product(*ends)])
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 2, source)
    if np.any(low >= high):
        return None
    spans = [slice(int(a), int(b)) for a, b in zip(low, high, strict=True)]
    return spans[0], spans[1], spans[2]
