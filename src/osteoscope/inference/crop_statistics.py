"""What a crop looks like in a dozen numbers that a reader can check: size, attenuation, noise."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteoscope.core.box import bounding_box
from osteoscope.core.crop_spec import OUTSIDE_HU, CropSpec

SMALLEST_CM3 = 1.0
"""Less than this of anything is no vertebra: a T11 has some 25 cm3, a child's L1 ten."""

_RIM_MM = 3.0
"""Cortex and endplates with their partial volume; what lies deeper is spongy bone."""
_CORE_MM = 6.0
_SECOND_DIFFERENCE_SD = 6.0**0.5
_MAD_TO_SD = 1.4826

STATISTICS: Mapping[str, tuple[str, float]] = MappingProxyType(
    {
        "volume_cm3": ("cm3", 8.0),
        "height_mm": ("mm", 4.0),
        "depth_mm": ("mm", 4.0),
        "width_mm": ("mm", 5.0),
        "hu_p05": ("HU", 20.0),
        "hu_p25": ("HU", 20.0),
        "hu_p50": ("HU", 20.0),
        "hu_p75": ("HU", 20.0),
        "hu_p95": ("HU", 40.0),
        "hu_p999": ("HU", 80.0),
        "rim_step_hu": ("HU", 30.0),
        "noise_hu": ("HU", 2.0),
    }
)
"""Unit of each, and the smallest standard deviation that is believed. Chosen: adults' vertebrae
differ by about as many millimetres and cm3, scanners and reconstructions by about as many HU, so
that crops of few patients or of one scanner must not make the next patient look strange."""

_PERCENTILES = {"hu_p05": 5.0, "hu_p25": 25.0, "hu_p50": 50.0, "hu_p75": 75.0, "hu_p95": 95.0,
                "hu_p999": 99.9}  # fmt: skip


def inside_cm3(crop_hu: NDArray[np.int16], spec: CropSpec) -> float:
    """Volume of the crop that shows anything, cm3: the vertebra, or what the scan covers."""
    voxel_cm3 = float(np.prod(spec.spacing_mm)) / 1000.0
    return float(np.count_nonzero(crop_hu != OUTSIDE_HU)) * voxel_cm3


def crop_statistics(crop_hu: NDArray[np.int16], spec: CropSpec) -> dict[str, float]:
    """The statistics of one crop, in the order of :data:`STATISTICS`.

    Over the voxels that show anything: their volume, the sides of the box around them, percentiles
    of their attenuation (the last one, 99.9 %, is where metal stands), the median of the rim over
    that of the core (bone has a cortex, other organs have none) and the noise, from the median
    absolute second difference along x.

    Args:
        crop_hu: (z, y, x) HU of one crop, with at least :data:`SMALLEST_CM3` to see.
        spec: How it was cut.
    """
    inside = crop_hu != OUTSIDE_HU
    sides = np.array([s.stop - s.start for s in bounding_box(inside)]) * np.array(spec.spacing_mm)
    values = crop_hu[inside].astype(np.float32)
    found = {
        "volume_cm3": inside_cm3(crop_hu, spec),
        "height_mm": float(sides[0]),
        "depth_mm": float(sides[1]),
        "width_mm": float(sides[2]),
    }
    shares = np.percentile(values, list(_PERCENTILES.values()))
    found |= dict(zip(_PERCENTILES, map(float, shares), strict=True))
    found["rim_step_hu"] = _rim_step(crop_hu, inside, spec)
    found["noise_hu"] = _noise(crop_hu, inside)
    return found


def _rim_step(crop_hu: NDArray[np.int16], inside: NDArray[np.bool_], spec: CropSpec) -> float:
    # A rim of background lets a mask that fills its crop have a rim, too.
    depth = ndimage.distance_transform_edt(np.pad(inside, 1), sampling=spec.spacing_mm)
    depth = depth[1:-1, 1:-1, 1:-1]
    rim = crop_hu[inside & (depth <= _RIM_MM)]
    core = crop_hu[depth >= _CORE_MM]
    if not len(rim) or not len(core):
        return 0.0
    return float(np.median(rim) - np.median(core))


def _noise(crop_hu: NDArray[np.int16], inside: NDArray[np.bool_]) -> float:
    whole = inside[..., 2:] & inside[..., 1:-1] & inside[..., :-2]
    wide = crop_hu.astype(np.int32)
    bend = np.abs(wide[..., 2:] - 2 * wide[..., 1:-1] + wide[..., :-2])[whole]
    if not len(bend):
        return 0.0
    return float(np.median(bend)) * _MAD_TO_SD / _SECOND_DIFFERENCE_SD
