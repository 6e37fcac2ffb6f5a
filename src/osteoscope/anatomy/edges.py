"""Where a mask or a body is cut off by the end of the scan or of the labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteoscope.anatomy.locate import Place
from osteoscope.core.box import Box
from osteoscope.core.labelmap import LabelMap

EDGES = (("inferior", "superior"), ("anterior", "posterior"), ("right", "left"))
"""Names of the first and last layer along each canonical array axis."""

_CUT_SHARE = 0.06
"""A body is cut off where its outermost layer is more than this share of its largest one."""


def touched_edges(mask: NDArray[np.bool_], box: Box, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Names of the scan's edges that a mask reaches.

    Args:
        mask: (z, y, x) bool, canonical.
        box: Where it lies in the scan.
        shape: Of the scan.
    """
    return tuple(
        EDGES[axis][end]
        for axis in range(3)
        for end in (0, 1)
        if _at_edge(box[axis], end, shape[axis]) and np.take(mask, -end, axis=axis).any()
    )


def cut_sides(body: NDArray[np.bool_], box: Box, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Names of the anterior, posterior, right or left edges of the scan that cut a body off."""
    cut = []
    for axis in (1, 2):
        ends = [end for end in (0, 1) if _at_edge(box[axis], end, shape[axis])]
        # Most crops lie clear of the edges, and counting layers costs milliseconds.
        area = body.sum(axis=tuple(a for a in range(3) if a != axis)) if ends else np.empty(0)
        cut += [EDGES[axis][end] for end in ends if area[-end] > _CUT_SHARE * area.max()]
    return tuple(cut)


def cut_ends(body: NDArray[np.bool_], place: Place, labels: LabelMap) -> tuple[bool, bool]:
    """Whether a body's lower and upper end are cut off by the scan's or the labels' end.

    Args:
        body: (z, y, x) bool in the place's box.
        place: The vertebra's place in the canonical labels.
        labels: The canonical labels.
    """
    area = body.sum(axis=(1, 2))
    filled = np.flatnonzero(area)
    if len(filled) == 0:
        return False, False
    ends = []
    for layer, step in ((filled[0], -1), (filled[-1], +1)):
        at = place.box[0].start + int(layer)
        flat = area[layer] > _CUT_SHARE * area.max()
        ends.append(bool(flat and _labels_end(labels, at, step, place.number)))
    return ends[0], ends[1]


def _at_edge(along: slice, end: int, size: int) -> bool:
    return bool(along.stop == size) if end else bool(along.start == 0)


def _labels_end(labels: LabelMap, at: int, step: int, number: int) -> bool:
    """Whether nothing is labelled beyond a layer where something else than ``number`` still is.

    The highest vertebra of a segmentation of the spine alone ends by itself; where the aorta, the
    cord or a neighbour ends in the same layer, the labels were cut.
    """
    if not 0 <= at + step < labels.array.shape[0]:
        return True
    if labels.array[at + step].any():
        return False
    layer = labels.array[at]
    return bool(((layer != 0) & (layer != number)).any())
