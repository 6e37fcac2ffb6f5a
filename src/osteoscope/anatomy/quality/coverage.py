"""How much of the spine in the scan carries no label at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from osteoscope.anatomy.quality.limits import DEFAULT_LIMITS, QualityLimits
from osteoscope.anatomy.quality.surroundings import canonical_hu, from_head_down
from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.flag import Flag
from osteoscope.core.label_schemes import VERTEBRAE
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.volume import Volume

_STEP_MM = 3.0
"""Slices are looked at this far apart."""
_HALF_WIDTH_MM = 45.0
_ANTERIOR_MM, _POSTERIOR_MM = 50.0, 60.0
"""Window around the nearest labelled vertebra in which the spine goes on."""
_IN_PLANE_STEP_MM = 1.5


def unlabelled_spine_flags(
    volume: Volume,
    labels: LabelMap,
    vertebrae: Mapping[str, Vertebra],
    wanted: Sequence[str],
    limits: QualityLimits = DEFAULT_LIMITS,
) -> list[Flag]:
    """``unlabelled_spine`` where the spine goes on over slices without any label; it warns.

    Looked for on the side of the labels on which wanted levels are missing: slices that are zero
    throughout the labels and show bone (above ``bone_hu``, ``bone_area_cm2`` or more) where the
    spine is to be expected. Without any vertebra the middle of every slice is looked at.

    Args:
        volume: The scan, HU.
        labels: Labels on the scan's grid.
        vertebrae: Every labelled vertebra.
        wanted: The levels that the result is to report.
        limits: ``unlabelled_spine_mm``, ``bone_hu``, ``bone_area_cm2``.
    """
    scan, named = canonical_hu(volume), labels.canonical()
    chain = from_head_down(vertebrae)
    sides = _sides(scan, chain, wanted)
    per_side_mm = {name: _unlabelled_mm(scan, named, *side, limits) for name, side in sides.items()}
    total_mm = sum(per_side_mm.values())
    if total_mm < limits.unlabelled_spine_mm:
        return []
    labelled_mm = 0.0
    if chain:
        first, last = (c.centre_mm[2] for c in (chain[0], chain[-1]))
        labelled_mm = abs(float(first - last))
    share = total_mm / (total_mm + labelled_mm)
    return [
        Flag(
            "unlabelled_spine",
            f"About {total_mm:.0f} mm of spine in the scan carry no label ({100 * share:.0f} % of "
            "what is seen): zero there means not labelled, not absent.",
            "serious" if share > 0.5 else "warning",
            "warn",
            evidence={
                "unlabelled_mm": round(total_mm, 1),
                "below_mm": round(per_side_mm.get("below", 0.0), 1),
                "above_mm": round(per_side_mm.get("above", 0.0), 1),
                "labelled_mm": round(labelled_mm, 1),
                "share": round(share, 3),
                "limit_mm": limits.unlabelled_spine_mm,
            },
        )
    ]


def _sides(
    scan: Volume, chain: list[Vertebra], wanted: Sequence[str]
) -> dict[str, tuple[range, tuple[slice, slice]]]:
    """Slices and in-plane window to look at, by side."""
    step = max(1, round(_STEP_MM / float(scan.grid.spacing_mm[0])))
    height = scan.grid.shape[0]
    if not chain:
        middle = scan.grid.index_to_world_mm((np.array(scan.grid.shape) - 1) / 2.0)
        # Without a vertebra the spine's depth is unknown: the whole depth is looked at.
        window = _window(scan, middle, scan.grid.shape[1] * float(scan.grid.spacing_mm[1]))
        return {"everywhere": (range(0, height, step), window)}
    places = [VERTEBRAE.index(level) for level in wanted]
    sides = {}
    lowest, highest = chain[-1], chain[0]
    if places and max(places) > VERTEBRAE.index(lowest.level) and lowest.level not in ("L5", "L6"):
        sides["below"] = (range(0, _mask_end(lowest, 0), step), _window(scan, lowest.centre_mm))
    if places and min(places) < VERTEBRAE.index(highest.level):
        start = _mask_end(highest, -1) + 1
        sides["above"] = (range(start, height, step), _window(scan, highest.centre_mm))
    return sides


def _mask_end(vertebra: Vertebra, end: int) -> int:
    filled = np.flatnonzero(vertebra.mask.any(axis=(1, 2)))
    start = int(vertebra.box[0].start)
    return start + int(filled[end]) if filled.size else start


def _window(
    scan: Volume, centre_mm: NDArray[np.float64], depth_mm: float = 0.0
) -> tuple[slice, slice]:
    centre = scan.grid.world_mm_to_index(centre_mm)
    spacing = scan.grid.spacing_mm
    window = []
    reaches = (
        (max(_ANTERIOR_MM, depth_mm), max(_POSTERIOR_MM, depth_mm)),
        (_HALF_WIDTH_MM, _HALF_WIDTH_MM),
    )
    for axis, (before, after) in zip((1, 2), reaches, strict=True):
        start = max(0, int(centre[axis] - before / spacing[axis]))
        stop = min(scan.grid.shape[axis], int(centre[axis] + after / spacing[axis]) + 1)
        window.append(slice(start, stop, max(1, round(_IN_PLANE_STEP_MM / float(spacing[axis])))))
    return window[0], window[1]


def _unlabelled_mm(
    scan: Volume,
    labels: LabelMap,
    slices: range,
    window: tuple[slice, slice],
    limits: QualityLimits,
) -> float:
    spacing = scan.grid.spacing_mm
    pixel_cm2 = float(np.prod(spacing[1:])) * (window[0].step or 1) * (window[1].step or 1) / 100.0
    found = 0
    for index in slices:
        bone = np.count_nonzero(scan.array[index][window] > limits.bone_hu) * pixel_cm2
        if bone >= limits.bone_area_cm2 and not labels.array[index].any():
            found += 1
    return found * slices.step * float(spacing[0])
