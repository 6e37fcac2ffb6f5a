"""Every flag of one scan, in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from osteoscope.anatomy.quality.contrast import aorta_attenuation, contrast_flags
from osteoscope.anatomy.quality.coverage import unlabelled_spine_flags
from osteoscope.anatomy.quality.field_of_view import field_of_view_flags
from osteoscope.anatomy.quality.fracture import fracture_flags
from osteoscope.anatomy.quality.interior import cut_interior
from osteoscope.anatomy.quality.labelling import labelling_flags
from osteoscope.anatomy.quality.limits import DEFAULT_LIMITS, QualityLimits
from osteoscope.anatomy.quality.metal import metal_clusters, metal_flags
from osteoscope.anatomy.quality.noise import measure_noise_hu, noise_flags
from osteoscope.anatomy.quality.on_bone import off_bone_flags
from osteoscope.anatomy.quality.plausibility import plausibility_flags
from osteoscope.anatomy.quality.region import cement_flags, interior_flags, metal_near_flags
from osteoscope.anatomy.quality.scan import acquisition_flags
from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.flag import Flag
from osteoscope.core.label_schemes import VERTEBRAE
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.volume import Volume

_FEWEST_OTHERS = 3
"""So many other levels must be measured before one is held against them."""


def examine_scan(
    volume: Volume,
    labels: LabelMap,
    vertebrae: Mapping[str, Vertebra],
    wanted: Sequence[str],
    limits: QualityLimits = DEFAULT_LIMITS,
    *,
    weights: Mapping[str, NDArray[np.float32]] | None = None,
) -> list[Flag]:
    """All quality flags of a scan and its labels: whole scan first, then level by level.

    Args:
        volume: The scan, HU, in any orientation.
        labels: Labels on the scan's grid, in any orientation.
        vertebrae: Every labelled vertebra, from ``measure_vertebrae``.
        wanted: The levels that the result is to report; flags of a single level's inside, edge
            or heights are raised for these.
        limits: Thresholds.
        weights: The measured region of each level on its vertebra's grid, where there is one.

    Returns:
        The flags; those that withhold a level or everything say so in ``effect``.

    Raises:
        InputError: The scan is not in HU.
    """
    noise_hu = measure_noise_hu(volume, vertebrae)
    flags = scan_flags(volume, labels, vertebrae, wanted, limits, noise_hu=noise_hu)
    flags += labelling_flags(labels, vertebrae, wanted, limits)
    flags += off_bone_flags(volume, labels, vertebrae, wanted, limits)
    flags += plausibility_flags(vertebrae, limits)
    flags += fracture_flags(vertebrae, limits, wanted=wanted)
    flags += level_flags(volume, vertebrae, wanted, limits, weights=weights, noise_hu=noise_hu)
    # What is odd about a level that nobody reports is not the reader's concern.
    told = [flag for flag in flags if flag.level is None or flag.level in wanted]
    return sorted(told, key=_place)


def level_flags(
    volume: Volume,
    vertebrae: Mapping[str, Vertebra],
    wanted: Sequence[str],
    limits: QualityLimits = DEFAULT_LIMITS,
    *,
    weights: Mapping[str, NDArray[np.float32]] | None = None,
    noise_hu: float | None = None,
) -> list[Flag]:
    """The flags of what lies inside each wanted level; arguments as in :func:`examine_scan`.

    Metal that withholds a level silences the rest: streaks and the implant itself make every other
    finding there meaningless. A body is held against the median of the others, those with metal
    or cement left out.
    """
    given = weights or {}
    interiors = {
        level: cut_interior(volume, vertebrae[level], given.get(level))
        for level in wanted
        if level in vertebrae
    }
    metal = {level: metal_near_flags(volume, vertebrae[level], limits) for level in interiors}
    clean = {
        level: interior
        for level, interior in interiors.items()
        if interior is not None and not any(flag.effect == "withhold" for flag in metal[level])
    }
    cemented = {level for level, interior in clean.items() if cement_flags(interior, limits)}
    medians = {k: v.median_hu() for k, v in clean.items() if k not in cemented}
    flags: list[Flag] = []
    for level in interiors:
        flags += metal[level]
        if level in clean:
            near = _others_hu(level, medians)
            flags += interior_flags(clean[level], limits, noise_hu=noise_hu, others_hu=near)
    return flags


def scan_flags(
    volume: Volume,
    labels: LabelMap,
    vertebrae: Mapping[str, Vertebra],
    wanted: Sequence[str],
    limits: QualityLimits = DEFAULT_LIMITS,
    *,
    noise_hu: float | None = None,
) -> list[Flag]:
    """The flags that concern the scan as a whole; arguments as in :func:`examine_scan`.

    Args:
        volume: The scan, HU.
        labels: Labels on its grid.
        vertebrae: Every labelled vertebra.
        wanted: The levels that the result is to report.
        limits: Thresholds.
        noise_hu: From :func:`measure_noise_hu`; measured here where None.
    """
    noise = measure_noise_hu(volume, vertebrae) if noise_hu is None else noise_hu
    return [
        *acquisition_flags(volume, limits),
        *contrast_flags(volume, aorta_attenuation(volume, labels, vertebrae), limits),
        *noise_flags(noise, limits),
        *field_of_view_flags(volume, vertebrae, limits),
        *metal_flags(metal_clusters(volume, limits), vertebrae, limits),
        *unlabelled_spine_flags(volume, labels, vertebrae, wanted, limits),
    ]


def _others_hu(level: str, medians: Mapping[str, float | None]) -> float | None:
    """Median of the other levels' medians; None below three of them."""
    others = [value for name, value in medians.items() if value is not None and name != level]
    return float(np.median(others)) if len(others) >= _FEWEST_OTHERS else None


def _place(flag: Flag) -> int:
    return -1 if flag.level is None else VERTEBRAE.index(flag.level)
