"""Sample a patient's own blood, muscle, fat and the air around, slice by slice."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteoscope.core.errors import GeometryError
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.robust import MAD_TO_SD
from osteoscope.core.volume import Volume
from osteoscope.densitometry.calibration.internal import TissueSample

MAX_SLICES = 16
MIN_VOXELS = 100
_CLEARANCE_MM = 3.0
_SKIN_MM = 3.0
_SUBCUTANEOUS_MM = 40.0
_FAT_HU = (-200.0, -30.0)
_MUSCLE_HU = (-29.0, 150.0)
"""The usual attenuation window of muscle, so that fat between its fibres does not count."""
_AIR_HU = -900.0
_BODY_HU = -300.0


def internal_tissues(volume: Volume, labels: LabelMap) -> tuple[TissueSample, ...]:
    """The medians of the tissues that internal calibration uses, where the scan shows them.

    Blood is the aorta, muscle the autochthonous back muscles, both 3 mm inside their labels; fat
    is what lies 3 to 40 mm under the skin, carries no label and is surrounded by fat; air is
    outside the body (values at the scan's floor, where scanners pad, do not count). At most 16
    slices across the labelled range are looked at. A tissue with fewer than 100 voxels is left
    out; whether its value is plausible is judged by ``fit_internal``.

    Args:
        volume: The scan in canonical orientation, HU.
        labels: On the same grid, canonical, in a scheme that names ``aorta`` and ``autochthon``.

    Raises:
        GeometryError: The labels lie on another grid.
    """
    if not labels.grid.matches(volume.grid):
        raise GeometryError("The labels lie on another grid than the scan; resample them first.")
    labelled = np.flatnonzero(labels.array.any(axis=(1, 2)))
    picked = labelled[:: max(1, -(-len(labelled) // MAX_SLICES))]
    numbers = labels.scheme.structures
    wanted = {
        "blood": [numbers[k] for k in ("aorta",) if k in numbers],
        "muscle": [numbers[k] for k in ("autochthon_left", "autochthon_right") if k in numbers],
    }
    spacing = volume.grid.spacing_mm[1:]
    found: dict[str, list[NDArray[np.float32]]] = defaultdict(list)
    for k in picked:
        hu = np.asarray(volume.array[k], dtype=np.float32)
        marks = np.asarray(labels.array[k])
        for tissue, ids in wanted.items():
            found[tissue].append(hu[_core(np.isin(marks, ids), spacing)])
        body = _body(hu)
        found["adipose"].append(hu[_subcutaneous_fat(hu, marks, body, spacing)])
        found["air"].append(_outside_air(hu, body, volume.padding, spacing))
    found["muscle"] = [
        v[(v >= _MUSCLE_HU[0]) & (v <= _MUSCLE_HU[1])] for v in found.get("muscle", [])
    ]
    samples = []
    for tissue in ("adipose", "air", "blood", "muscle"):
        values = np.concatenate(found[tissue]) if found.get(tissue) else np.empty(0, np.float32)
        if len(values) >= MIN_VOXELS:
            middle = float(np.median(values))
            spread = MAD_TO_SD * float(np.median(np.abs(values - middle)))
            samples.append(TissueSample(tissue, middle, spread, len(values)))
    return tuple(samples)


def _core(mask: NDArray[np.bool_], spacing: NDArray[np.float64]) -> NDArray[np.bool_]:
    if not mask.any():
        return mask
    return _distance(mask, spacing) > _CLEARANCE_MM


def _body(hu: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The largest piece of the slice denser than lung, with its holes filled."""
    pieces, count = ndimage.label(hu > _BODY_HU)
    if count == 0:
        return np.zeros(hu.shape, dtype=bool)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray(ndimage.binary_fill_holes(pieces == int(np.argmax(sizes))), dtype=bool)


def _subcutaneous_fat(
    hu: NDArray[np.float32],
    marks: NDArray[np.integer],
    body: NDArray[np.bool_],
    spacing: NDArray[np.float64],
) -> NDArray[np.bool_]:
    if not body.any() or body.all():
        return np.zeros_like(body)
    depth = _distance(body, spacing)
    fat = (hu >= _FAT_HU[0]) & (hu <= _FAT_HU[1]) & (marks == 0)
    fat = ndimage.binary_erosion(fat)
    return np.asarray(fat & (depth > _SKIN_MM) & (depth <= _SUBCUTANEOUS_MM), dtype=bool)


def _outside_air(
    hu: NDArray[np.float32],
    body: NDArray[np.bool_],
    padding: float | None,
    spacing: NDArray[np.float64],
) -> NDArray[np.float32]:
    if not body.any() or body.all():
        return np.empty(0, dtype=np.float32)
    outside = _distance(~body, spacing) > _CLEARANCE_MM
    values = hu[outside & (hu < _AIR_HU) & (hu > float(hu.min()))]
    return values if padding is None else values[values != padding]


def _distance(mask: NDArray[np.bool_], spacing: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(ndimage.distance_transform_edt(mask, sampling=spacing), dtype=np.float64)
