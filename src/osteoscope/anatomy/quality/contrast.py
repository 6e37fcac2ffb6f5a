"""Was contrast medium given: by the header, and by the aorta where it is labelled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage

from osteoscope.anatomy.quality.limits import DEFAULT_LIMITS, QualityLimits
from osteoscope.anatomy.quality.surroundings import canonical_hu, grown_box
from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.box import bounding_box
from osteoscope.core.flag import Flag
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.volume import Volume

Phase = Literal["arterial", "venous"]

_LUMEN_EROSION_MM = 3.0
"""Wall, calcified plaque and partial volume are left out of the lumen."""
_FEWEST_VOXELS = 20
_SLICE_STEP_MM = 4.0


@dataclass(frozen=True)
class AortaAttenuation:
    """Attenuation of the labelled aorta's lumen.

    Args:
        median_hu: Median of the eroded label.
        voxels: How many voxels that rests on.
    """

    median_hu: float
    voxels: int


def aorta_attenuation(
    volume: Volume, labels: LabelMap, vertebrae: Mapping[str, Vertebra]
) -> AortaAttenuation | None:
    """Median attenuation of the aorta beside the vertebrae, its wall left out.

    Args:
        volume: The scan, HU.
        labels: Labels on the scan's grid, in a scheme that may name ``aorta``.
        vertebrae: Vertebrae beside which to look (80 mm in front, 50 mm to each side).

    Returns:
        None where the scheme names no aorta, none is labelled there, or the lumen is too small.
    """
    number = labels.scheme.structures.get("aorta")
    if number is None or not vertebrae:
        return None
    scan, named = canonical_hu(volume), labels.canonical()
    box = grown_box((v.box for v in vertebrae.values()), (0.0, 80.0, 50.0), scan.grid)
    # A median needs no more than a slice every 4 mm.
    step = max(1, round(_SLICE_STEP_MM / float(scan.grid.spacing_mm[0])))
    thinned = (slice(box[0].start, box[0].stop, step), box[1], box[2])
    found = named.array[thinned] == number
    if not found.any():
        return None
    tight = bounding_box(found)
    aorta = found[tight]
    # In-plane alone: slices may be thicker than the erosion.
    for axis in (1, 2):
        steps = max(1, round(_LUMEN_EROSION_MM / float(scan.grid.spacing_mm[axis])))
        shape = [1, 1, 1]
        shape[axis] = 2 * steps + 1
        aorta = ndimage.minimum_filter(aorta, size=tuple(shape), mode="constant", cval=0)
    voxels = int(np.count_nonzero(aorta))
    if voxels < _FEWEST_VOXELS:
        return None
    return AortaAttenuation(float(np.median(scan.array[thinned][tight][aorta])), voxels)


def contrast_flags(
    volume: Volume,
    aorta: AortaAttenuation | None,
    limits: QualityLimits = DEFAULT_LIMITS,
) -> list[Flag]:
    """``contrast_enhanced`` or ``contrast_unknown``; both warn.

    A header that states an agent flags the scan even where the aorta reads as unenhanced (the
    agent may be oral, or not yet there); an enhanced aorta flags it whatever the header says.

    Args:
        volume: The scan; only its acquisition is used.
        aorta: From :func:`aorta_attenuation`; None where there is none.
        limits: Thresholds.
    """
    header = volume.acquisition.contrast_enhanced
    median = None if aorta is None else aorta.median_hu
    seen = median is not None and median > limits.aorta_enhanced_hu
    phase: Phase | None = None
    if seen and median is not None:
        phase = "arterial" if median >= limits.aorta_arterial_hu else "venous"
    evidence = {
        "header": header,
        "aorta_median_hu": None if median is None else round(median, 1),
        "aorta_voxels": 0 if aorta is None else aorta.voxels,
        "limit_hu": limits.aorta_enhanced_hu,
        "phase": phase,
    }
    if seen:
        text = (
            f"The aorta reads {median:.0f} HU: intravenous contrast, {phase} phase by its "
            "attenuation; bone reads about 10-25 HU too high."
        )
    elif header:
        where = "the aorta is not labelled" if median is None else f"the aorta reads {median:.0f}"
        text = (
            f"The header states a contrast agent ({where}{'' if median is None else ' HU'}): "
            "bone may read 10-25 HU too high."
        )
    elif header is None and (median is None or median > limits.aorta_unenhanced_hu):
        aorta_words = (
            "a labelled aorta (0 voxels)"
            if median is None
            else f"the aorta ({median:.0f} HU, more than blood alone, less than a routine phase)"
        )
        return [
            Flag(
                "contrast_unknown",
                f"Neither the header nor {aorta_words} tells whether contrast was given; if it "
                "was, bone reads 10-25 HU too high.",
                "warning",
                "warn",
                evidence=evidence,
            )
        ]
    else:
        return []
    return [Flag("contrast_enhanced", text, "warning", "warn", evidence=evidence)]
