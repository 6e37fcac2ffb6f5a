"""Where each vertebra lies in a label array: boxes and rough centres in one coarse pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteoscope.anatomy.frame import SUPERIOR_MM
from osteoscope.core.box import Box
from osteoscope.core.label_schemes import VERTEBRAE
from osteoscope.core.labelmap import LabelMap

_COARSE_STEP_MM = 2.0
"""Voxels are passed over up to this distance when looking for the boxes: no vertebra that can be
measured is thinner."""


@dataclass(frozen=True, eq=False)
class Place:
    """Where one label lies.

    Args:
        number: The label's number.
        box: Slices ``(z, y, x)`` around it, margin included, inside the array.
        centre_mm: (3,) rough LPS centre of all its voxels.
        coarse_voxels: How many of the voxels looked at have the label.
    """

    number: int
    box: Box
    centre_mm: NDArray[np.float64]
    coarse_voxels: int


def locate_labels(
    labels: LabelMap, numbers: Mapping[str, int], margin_mm: float
) -> dict[str, Place]:
    """Boxes and rough centres of the named labels that are present.

    Args:
        labels: Canonical labels; read once, on a coarse subset of the voxels.
        numbers: The number of each name looked for.
        margin_mm: What each box holds around its label, where the array reaches so far.
    """
    spacing = labels.grid.spacing_mm
    stride = np.maximum(1, (_COARSE_STEP_MM / spacing + 1e-6).astype(int))
    coarse = labels.array[:: stride[0], :: stride[1], :: stride[2]]
    # The stubs do not say that a missing number gives None.
    boxes = cast(
        "list[Box | None]",
        ndimage.find_objects(_unsigned(coarse), max_label=max(numbers.values())),
    )
    margin = np.ceil(margin_mm / spacing).astype(int) + stride
    places: dict[str, Place] = {}
    for name, number in numbers.items():
        found = boxes[number - 1]
        if found is None:
            continue
        index = np.argwhere(coarse[found] == number) + [axis.start for axis in found]
        centre = labels.grid.index_to_world_mm(index.mean(axis=0) * stride)
        box = _grown(found, stride, margin, labels.array.shape)
        places[name] = Place(number, box, centre, len(index))
    return places


def _unsigned(coarse: NDArray[Any]) -> NDArray[Any]:
    """Labels as ``find_objects`` wants them: negative numbers, which no scheme has, become 0."""
    return coarse if coarse.dtype.kind == "u" else np.asarray(np.maximum(coarse, 0))


def _grown(
    found: Box, stride: NDArray[np.int_], margin: NDArray[np.int_], shape: tuple[int, ...]
) -> Box:
    grown = [
        slice(max(0, int(axis.start * step - m)), min(n, int((axis.stop - 1) * step + m + 1)))
        for axis, step, m, n in zip(found, stride, margin, shape, strict=True)
    ]
    return grown[0], grown[1], grown[2]


def spine_direction(level: str, places: Mapping[str, Place]) -> NDArray[np.float64]:
    """(3,) unit vector up the spine at a level, from its neighbours' centres.

    Only levels next to it count, since a label that is missing in between may hide a curve; where
    none is there, the patient's superior direction stands in. A direction that leans more than
    60 degrees comes from labels out of order and is passed over too.
    """
    chain = [name for name in VERTEBRAE if name in places]
    position = chain.index(level)
    near = [
        places[name].centre_mm
        for name in chain[max(0, position - 1) : position + 2]
        if abs(VERTEBRAE.index(name) - VERTEBRAE.index(level)) <= 2
    ]
    along = near[0] - near[-1]
    length = float(np.linalg.norm(along))
    if length < 10.0 or along[2] / length < 0.5:
        return SUPERIOR_MM.copy()
    return np.asarray(along / length)
