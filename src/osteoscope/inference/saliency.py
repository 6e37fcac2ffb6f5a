"""Where a model looks: what its answer loses when a part of the crop is covered.

Occlusion asks the model itself and nothing of its making, so it holds for any network and runs
without gradients (Zeiler and Fergus 2014, doi 10.1007/978-3-319-10590-1_53).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.box import Box, bounding_box
from osteoscope.core.crop_spec import OUTSIDE_HU
from osteoscope.core.errors import InputError
from osteoscope.core.grid import Grid
from osteoscope.features.resample import resample
from osteoscope.features.windows import apply_windows
from osteoscope.inference.classify import class_scores
from osteoscope.inference.session import LOGITS, DeployedModel

COVER_HU = 40
"""Soft tissue: what covers a part must be a thing that the network has seen, and not bone."""

_GROWTH = 1.15
_STEP = 2 / 3
"""Distance of the boxes in sides: nearer ones cost as the cube and show little more."""
_SMALLEST_SHARE = 0.1
"""A box that holds less of the vertebra than this is not worth an inference."""


@dataclass(frozen=True, eq=False)
class Saliency:
    """What covering each part of a crop changes.

    Args:
        log_odds: (z, y, x) mean fall of the class's log-odds when boxes over the voxel are
            covered, at the box that is centred on it most; 0 where nothing was covered. Above 0:
            what lies here speaks for the class. Below: against it.
        category: The class.
        box_mm: Side of the covering box.
        boxes: Number of boxes that were covered in turn.
    """

    log_odds: NDArray[np.float32]
    category: str
    box_mm: float
    boxes: int


def occlusion_map(
    model: DeployedModel,
    crop_hu: NDArray[np.int16],
    category: str,
    *,
    box_mm: float = 16.0,
    most_boxes: int = 96,
    batch: int = 8,
) -> Saliency:
    """Cover one box after the other with soft tissue and see what the class's log-odds lose.

    Boxes lie two thirds of a side apart. Where there would be more than ``most_boxes``, they are
    made larger until there are not: inferences are bounded, and detail is what is paid for it.

    Args:
        model: The model.
        crop_hu: (z, y, x) HU, as for :func:`osteoscope.inference.classify.classify_crop`.
        category: One of the model's classes.
        box_mm: Side of a box, mm, 2 to 60.
        most_boxes: Upper limit of inferences, 8 or more.
        batch: Crops at a time, 1 or more.

    Raises:
        InputError: An unknown class, or an option out of range.
        ModelError: The model cannot be run.
    """
    classes = model.spec.classes
    if category not in classes:
        raise InputError(f"Unknown class {category!r:.40}; the model's: {', '.join(classes)}.")
    if not 2.0 <= box_mm <= 60.0 or most_boxes < 8 or batch < 1:
        raise InputError(
            "An occlusion map needs boxes of 2 to 60 mm, 8 boxes and a batch of 1 or more, not "
            f"{box_mm:g} mm, {most_boxes} and {batch}."
        )
    inside = crop_hu != OUTSIDE_HU
    if not inside.any():
        return Saliency(np.zeros(crop_hu.shape, np.float32), category, box_mm, 0)
    spacing_mm = np.array(model.spec.crop.spacing_mm)
    boxes = list(_boxes(inside, spacing_mm, box_mm))
    while len(boxes) > most_boxes:
        box_mm *= _GROWTH
        boxes = list(_boxes(inside, spacing_mm, box_mm))
    index = classes.index(category)
    whole = _log_odds(model, crop_hu[np.newaxis], index)[0]
    total = np.zeros(crop_hu.shape, dtype=np.float32)
    weight = np.zeros(crop_hu.shape, dtype=np.float32)
    for start in range(0, len(boxes), batch):
        part = boxes[start : start + batch]
        covered = np.repeat(crop_hu[np.newaxis], len(part), axis=0)
        for crop, box in zip(covered, part, strict=True):
            crop[box][inside[box]] = COVER_HU
        falls = whole - _log_odds(model, covered, index)
        for box, fall in zip(part, falls, strict=True):
            tent = _tent(tuple(s.stop - s.start for s in box))
            total[box] += np.float32(fall) * tent
            weight[box] += tent
    found = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    found[~inside] = 0.0
    return Saliency(found, category, round(box_mm, 1), len(boxes))


def on_slice(
    values: NDArray[np.float32], crop: Grid, scan: Grid, axis: int, index: int
) -> NDArray[np.float32]:
    """A map of a crop on one slice of the scan that the crop was cut from.

    Args:
        values: (z, y, x) on the crop's grid.
        crop: From :func:`osteoscope.features.crop.crop_grid`.
        scan: The scan's grid.
        axis: The scan's array axis across the slice: 0, 1 or 2.
        index: The slice along it.

    Returns:
        (rows, columns) of the slice; 0 outside the crop.
    """
    spans = [slice(0, n) for n in scan.shape]
    spans[axis] = slice(index, index + 1)
    target = scan.crop((spans[0], spans[1], spans[2]))
    return np.squeeze(resample(values, crop, target, outside=0.0), axis=axis)


def _log_odds(model: DeployedModel, crops_hu: NDArray[np.int16], index: int) -> NDArray[np.float64]:
    raw = model.run(apply_windows(crops_hu, model.spec.windows))
    scores = class_scores(model.spec, raw[LOGITS])
    others = np.delete(scores, index, axis=1)
    top = others.max(axis=1)
    rest = top + np.log(np.exp(others - top[:, np.newaxis]).sum(axis=1))
    return np.asarray(scores[:, index] - rest, dtype=np.float64)


def _boxes(
    inside: NDArray[np.bool_], spacing_mm: NDArray[np.float64], box_mm: float
) -> Iterator[Box]:
    """Boxes over the box around what is shown, those with too little of it left out."""
    sides = np.maximum(np.rint(box_mm / spacing_mm).astype(int), 1)
    step = np.maximum(np.rint(sides * _STEP).astype(int), 1)
    around = bounding_box(inside)
    starts = [
        range(s.start - int(side - h), s.stop, int(h))
        for s, side, h in zip(around, sides, step, strict=True)
    ]
    fewest = _SMALLEST_SHARE * float(np.prod(sides))
    for z in starts[0]:
        for y in starts[1]:
            for x in starts[2]:
                box = _clipped((z, y, x), sides, inside.shape)
                if box is not None and np.count_nonzero(inside[box]) >= fewest:
                    yield box


def _clipped(
    start: tuple[int, int, int], sides: NDArray[np.int64], shape: tuple[int, ...]
) -> Box | None:
    low = [max(a, 0) for a in start]
    high = [min(a + int(s), n) for a, s, n in zip(start, sides, shape, strict=True)]
    if any(a >= b for a, b in zip(low, high, strict=True)):
        return None
    return slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])


def _tent(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Weights that fall from a box's middle to its faces: the map has no steps."""
    z, y, x = ((1.0 - np.abs((np.arange(n) + 0.5) / n * 2.0 - 1.0)) for n in shape)
    tent = z[:, np.newaxis, np.newaxis] * y[np.newaxis, :, np.newaxis] * x
    return np.asarray(tent, dtype=np.float32)
