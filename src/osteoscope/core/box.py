"""Boxes of voxels: a slice with start and stop along each of ``(z, y, x)``."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Box = tuple[slice, slice, slice]


def bounding_box(mask: NDArray[np.bool_]) -> Box:
    """The smallest box around the true voxels of a (z, y, x) mask that has any.

    >>> bounding_box(np.eye(3, dtype=bool)[np.newaxis, 1:])
    (slice(0, 1, None), slice(0, 2, None), slice(1, 3, None))
    """
    along_z = _span(np.asarray(mask.any(axis=(1, 2))))
    # Seen from above first: two passes along contiguous memory instead of three across it.
    shadow = np.asarray(mask[along_z].any(axis=0))
    return along_z, _span(np.asarray(shadow.any(axis=1))), _span(np.asarray(shadow.any(axis=0)))


def _span(hit: NDArray[np.bool_]) -> slice:
    where = np.flatnonzero(hit)
    return slice(int(where[0]), int(where[-1]) + 1)


def voxels_inside(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """(n, 3) indices of the true voxels of a (z, y, x) mask: ``np.argwhere``, several times faster.

    >>> voxels_inside(np.eye(2, dtype=bool)[np.newaxis]).tolist()
    [[0, 0, 0], [0, 1, 1]]
    """
    if not mask.any():
        return np.empty((0, 3), dtype=np.intp)
    box = bounding_box(mask)
    inner = mask[box]
    index = np.unravel_index(np.flatnonzero(inner), inner.shape)
    return np.stack([i + s.start for i, s in zip(index, box, strict=True)], axis=1)


def box_around(boxes: Iterable[Box]) -> Box:
    """The smallest box that holds one or more boxes of the same array."""
    spans = [
        slice(min(s.start for s in sides), max(s.stop for s in sides))
        for sides in zip(*boxes, strict=True)
    ]
    return spans[0], spans[1], spans[2]


def outward(box: Box, outer: Box) -> Box:
    """``box``, which counts from the start of ``outer``, in the array that ``outer`` cuts.

    >>> outward((slice(0, 2),) * 3, (slice(5, 9),) * 3)[0]
    slice(5, 7, None)
    """
    start = [s.start or 0 for s in outer]
    moved = [slice(b.start + o, b.stop + o) for b, o in zip(box, start, strict=True)]
    return moved[0], moved[1], moved[2]


def inward(box: Box, outer: Box) -> Box:
    """``box`` counted from the start of ``outer``, both of one array: undoes :func:`outward`."""
    start = [s.start or 0 for s in outer]
    moved = [slice(b.start - o, b.stop - o) for b, o in zip(box, start, strict=True)]
    return moved[0], moved[1], moved[2]
