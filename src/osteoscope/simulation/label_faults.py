"""Spoil a segmentation in the ways that segmenters do, and say which flag must notice.

Every function takes a vertebra labelling and returns a new one with the flags that it plants as
``(code, level or None)``; the input is not changed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError
from osteoscope.core.label_schemes import VERTEBRAE
from osteoscope.core.labelmap import LabelMap
from osteoscope.simulation.levels import MUST_BE_THERE

Planted = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, eq=False)
class FaultyLabels:
    """Spoiled labels and what they plant.

    Args:
        labels: The new labels.
        planted: Flags that a quality check must raise.
    """

    labels: LabelMap
    planted: Planted


def present_levels(labels: LabelMap) -> tuple[str, ...]:
    """Vertebrae that have voxels, from the skull down; the sacrum is left out."""
    numbers = labels.scheme.vertebrae
    counts = np.bincount(labels.array.ravel(), minlength=256)
    return tuple(v for v in VERTEBRAE if v != "S1" and v in numbers and counts[numbers[v]] > 0)


def _number(labels: LabelMap, level: str) -> int:
    if level not in present_levels(labels):
        raise InputError(
            f"No voxel is labelled {level}; present are {', '.join(present_levels(labels))}."
        )
    return labels.scheme.vertebrae[level]


def _mapped(labels: LabelMap, change: dict[int, int]) -> LabelMap:
    table = np.arange(256, dtype=np.uint8)
    for old, new in change.items():
        table[old] = new
    return replace(labels, array=table[labels.array])


def _vanished(before: LabelMap, after: LabelMap) -> Planted:
    """Reported levels that had voxels and have none."""
    gone = set(present_levels(before)) - set(present_levels(after))
    return tuple(("level_missing", v) for v in MUST_BE_THERE if v in gone)


def shift_by_one(labels: LabelMap, upwards: bool = True) -> FaultyLabels:
    """Every vertebra gets the name of its upper (or lower) neighbour; ribs keep theirs.

    The lowest vertebra takes part; a name that the scheme does not have is dropped.
    """
    names = [v for v in VERTEBRAE if v not in ("T13", "L6", "S1")]
    numbers = labels.scheme.vertebrae
    change = {}
    for level in present_levels(labels):
        if level not in names:
            continue
        index = names.index(level) + (-1 if upwards else 1)
        change[numbers[level]] = numbers.get(names[index], 0) if 0 <= index < len(names) else 0
    after = _mapped(labels, change)
    return FaultyLabels(after, (("possible_level_shift", None), *_vanished(labels, after)))


def swap(labels: LabelMap, first: str, second: str) -> FaultyLabels:
    """Two vertebrae exchange their names."""
    a, b = _number(labels, first), _number(labels, second)
    return FaultyLabels(_mapped(labels, {a: b, b: a}), (("labels_out_of_order", None),))


def double_label(labels: LabelMap, level: str, other: str) -> FaultyLabels:
    """``other`` also gets ``level``'s name: one label in two places, and ``other`` is gone.

    ``other`` should not be the neighbour, or the two would be one mass (see :func:`merge`).
    """
    a, b = _number(labels, level), _number(labels, other)
    planted = (("labels_doubled", level), ("level_missing", other))
    return FaultyLabels(_mapped(labels, {b: a}), planted)


def drop_level(labels: LabelMap, level: str) -> FaultyLabels:
    """One vertebra is not labelled at all."""
    number = _number(labels, level)
    return FaultyLabels(_mapped(labels, {number: 0}), (("level_missing", level),))


def merge(labels: LabelMap, level: str, below: str) -> FaultyLabels:
    """Two neighbours, and what lies between their bodies, become one label."""
    a, b = _number(labels, level), _number(labels, below)
    both = _mapped(labels, {b: a}).array.copy()
    bridge = _between(labels, a, b)
    both[bridge & (both == 0)] = a
    planted = (("implausible_volume", level), ("level_missing", below))
    return FaultyLabels(replace(labels, array=both), planted)


def _between(labels: LabelMap, upper: int, lower: int) -> NDArray[np.bool_]:
    """A small box around the midpoint of two vertebrae, in the labels' own array."""
    points = [np.argwhere(labels.array == n).mean(axis=0) for n in (upper, lower)]
    reach = 14.0 / labels.grid.spacing_mm
    middle = (points[0] + points[1]) / 2
    out = np.zeros(labels.array.shape, dtype=np.bool_)
    out[
        tuple(slice(int(max(m - r, 0)), int(m + r) + 1) for m, r in zip(middle, reach, strict=True))
    ] = True
    return out


def zero_over_most(labels: LabelMap, keep: tuple[str, ...] = ("L1",)) -> FaultyLabels:
    """All slices that hold none of ``keep`` become unlabelled, as a cropped run would leave them.

    Slices are planes of the array axis that runs most nearly along the body.
    """
    numbers = [_number(labels, level) for level in keep]
    axis = labels.grid.canonical_axes()[0][0]
    other = tuple(a for a in range(3) if a != axis)
    kept = np.isin(labels.array, numbers).any(axis=other)
    shape = [1, 1, 1]
    shape[axis] = -1
    array = np.where(kept.reshape(shape), labels.array, np.uint8(0)).astype(labels.array.dtype)
    after = replace(labels, array=array)
    return FaultyLabels(after, (("unlabelled_spine", None), *_vanished(labels, after)))


def shrink(labels: LabelMap, level: str, share: float = 0.3) -> FaultyLabels:
    """Only the lowest ``share`` of a vertebra's slices along the body keep its label.

    Raises:
        InputError: The level is absent or the share is not within 0-1.
    """
    if not 0.0 < share < 1.0:
        raise InputError(f"The share of a vertebra to keep must lie in 0-1, not {share:g}.")
    number = _number(labels, level)
    canonical = labels.canonical().array == number
    used = np.flatnonzero(canonical.any(axis=(1, 2)))
    cut = int(used[0] + round(share * len(used)))
    array = labels.array.copy()
    view = replace(labels, array=array).canonical().array
    view[cut:][canonical[cut:]] = 0
    return FaultyLabels(replace(labels, array=array), (("implausible_volume", level),))


def skip_level(labels: LabelMap, level: str) -> FaultyLabels:
    """A vertebra is passed over: it loses its label and all above it move down one name."""
    _number(labels, level)
    numbers = labels.scheme.vertebrae
    order = [v for v in present_levels(labels) if v not in ("T13", "L6")]
    index = order.index(level)
    if index == 0:
        raise InputError(f"Nothing lies above {level}; skip a lower vertebra.")
    change = {numbers[level]: 0}
    for upper, lower in pairwise(order[: index + 1]):
        change[numbers[upper]] = numbers[lower]
    gap_above = order[index + 1] if index + 1 < len(order) else None
    planted = (("implausible_spacing", gap_above), ("possible_level_shift", None))
    return FaultyLabels(_mapped(labels, change), planted)


def displace_level(labels: LabelMap, level: str, left_mm: float = 30.0) -> FaultyLabels:
    """A vertebra's label lies sideways of the bone, as after a failed registration."""
    number = _number(labels, level)
    array = labels.array.copy()
    view = replace(labels, array=array).canonical()
    shift = round(left_mm / float(view.grid.spacing_mm[2]))
    moved = np.roll(view.array == number, shift, axis=2)
    view.array[view.array == number] = 0
    view.array[moved] = number
    return FaultyLabels(replace(labels, array=array), (("implausible_curvature", level),))
