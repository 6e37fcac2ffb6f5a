"""Slices of a tilted gantry lie sideways of each other; here they are put straight."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.grid import Grid
from osteoscope.io.dicom_geometry import Stack
from osteoscope.io.hu_values import AIR_HU


def straighten(array: NDArray[Any], stack: Stack) -> tuple[NDArray[Any], Grid]:
    """Shift every slice in its own plane so that the voxels lie on a grid with right angles.

    A voxel keeps its place in the world: slice ``k`` started ``k * shift_per_slice_mm`` beside
    the first, so it is moved by as much, linearly interpolated between two neighbouring pixels
    along each axis. The slice normal (the gantry's axis) becomes the grid's first axis.

    Args:
        array: (n, rows, columns) HU of the slices as stored.
        stack: Their geometry.

    Returns:
        The array, enlarged so that nothing is lost, of the same type; and its grid. What was not
        scanned is -1024 HU.
    """
    n = len(stack.frames)
    spacing = np.array(stack.spacing_mm)
    start = np.arange(n)[:, None] * stack.shift_per_slice_mm  # mm along rows, columns
    start[:, np.abs(start[-1]) < 0.05 * spacing] = 0.0
    origin = start.min(axis=0)
    offsets = (start - origin) / spacing
    grown = np.ceil(offsets.max(axis=0)).astype(int)
    shape = (n, array.shape[1] + int(grown[0]), array.shape[2] + int(grown[1]))
    straight = np.full(shape, AIR_HU, dtype=array.dtype)
    for k in range(n):
        plane = _shifted(array[k], float(offsets[k, 0]), 0, shape[1])
        plane = _shifted(plane, float(offsets[k, 1]), 1, shape[2])
        straight[k] = np.rint(plane) if straight.dtype.kind == "i" else plane
    affine = np.eye(4)
    affine[:3, 0] = stack.normal * stack.step_mm
    affine[:3, 1:3] = stack.in_plane * spacing
    affine[:3, 3] = stack.positions_mm[0] + stack.in_plane @ origin
    return straight, Grid(shape, affine)


def _shifted(plane: NDArray[Any], offset: float, axis: int, length: int) -> NDArray[Any]:
    """``plane`` moved by ``offset`` pixels along ``axis`` into an axis of ``length``."""
    if length == plane.shape[axis] and offset == 0:
        return plane
    source = np.moveaxis(plane, axis, 0)
    whole = int(np.floor(offset))
    weight = np.float32(offset - whole)
    out = np.full((length + 1, source.shape[1]), AIR_HU, dtype=np.float32)
    n = source.shape[0]
    out[whole : whole + n] = source
    if weight > 0:
        mixed = np.full_like(out, AIR_HU)
        mixed[0] = (1 - weight) * out[0] + weight * AIR_HU
        mixed[1:] = (1 - weight) * out[1:] + weight * out[:-1]
        out = mixed
    return np.moveaxis(out[:length], 0, axis)
