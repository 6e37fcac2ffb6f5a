"""Flags from the labels alone: levels that are missing, cut, doubled or out of order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from osteoscope.anatomy.quality.doubled import doubled_flags
from osteoscope.anatomy.quality.limits import DEFAULT_LIMITS, QualityLimits
from osteoscope.anatomy.quality.numbering import numbering_flags
from osteoscope.anatomy.quality.plausibility import sound_vertebrae
from osteoscope.anatomy.quality.surroundings import from_head_down
from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.flag import Flag
from osteoscope.core.label_schemes import VERTEBRAE
from osteoscope.core.labelmap import LabelMap


def labelling_flags(
    labels: LabelMap,
    vertebrae: Mapping[str, Vertebra],
    wanted: Sequence[str],
    limits: QualityLimits = DEFAULT_LIMITS,
) -> list[Flag]:
    """All flags that need the labels but not the scan.

    ``level_missing``, ``touches_edge``, ``labels_doubled``, ``labels_out_of_order``, and those of
    :func:`osteoscope.anatomy.quality.numbering.numbering_flags`. Order and numbers are judged on
    the vertebrae whose masks are sound, so that one fault does not raise ten flags.

    Args:
        labels: Labels on the scan's grid, in any orientation.
        vertebrae: Every vertebra that the labels hold, by level, boxes in the canonical array.
        wanted: The levels that the result is to report.
        limits: Thresholds.
    """
    named = labels.canonical()
    flags = missing_flags(vertebrae, wanted)
    for level in wanted:
        if level in vertebrae:
            flags += edge_flags(named, vertebrae[level], limits)
    for vertebra in vertebrae.values():
        flags += doubled_flags(vertebra, limits)
    sound = sound_vertebrae(vertebrae, limits)
    disorder = order_flags(sound)
    # Out of order, distances between names mean nothing more.
    return flags + (disorder or numbering_flags(named, sound, limits))


def missing_flags(vertebrae: Mapping[str, Vertebra], wanted: Sequence[str]) -> list[Flag]:
    """``level_missing`` for each wanted level without a label; it withholds that level.

    A gap between labelled levels is *serious*: the vertebra is there and its label is not.
    """
    places = sorted(VERTEBRAE.index(level) for level in vertebrae)
    flags = []
    for level in wanted:
        if level in vertebrae:
            continue
        place = VERTEBRAE.index(level)
        gap = bool(places) and places[0] < place < places[-1]
        tail = (
            "although levels above and below it are labelled"
            if gap
            else f"the labels hold {len(places)} vertebrae"
        )
        flags.append(
            Flag(
                "level_missing",
                f"{level} is not labelled ({tail}): nothing is reported for it.",
                "serious" if gap else "warning",
                "withhold",
                level,
                {"between_labelled_levels": gap, "labelled": list(vertebrae)},
            )
        )
    return flags


def edge_flags(
    labels: LabelMap, vertebra: Vertebra, limits: QualityLimits = DEFAULT_LIMITS
) -> list[Flag]:
    """``touches_edge`` where the scan or the labelled slices end inside a vertebra.

    It withholds the level where the body is cut, and warns where only processes of the arch are.

    Args:
        labels: Canonical labels.
        vertebra: The vertebra.
        limits: ``cut_share``.
    """
    ends = _cut_ends(labels, vertebra, limits.cut_share)
    body_cut = [name for name, part in ends.items() if part == "body"]
    sides = [s for s in vertebra.touches if s not in ends]
    if not ends and not sides:
        return []
    body = vertebra.mask if vertebra.body is None else vertebra.body
    sides_cut = [s for s in sides if _reaches(body, vertebra, labels.array.shape, s)]
    cut = body_cut or sides_cut
    touched = sorted({*ends, *sides})
    where = ", ".join(touched)
    text = (
        f"The body of {vertebra.level} is cut off ({where} edge of the scan or of its labels): "
        "its density is withheld."
        if cut
        else f"{vertebra.level} reaches the {where} edge of the scan with its arch only; its body "
        "is whole."
    )
    return [
        Flag(
            "touches_edge",
            text,
            "serious" if cut else "info",
            "withhold" if cut else "warn",
            vertebra.level,
            {"edges": touched, "body_cut": bool(cut), "mask_touches": list(vertebra.touches)},
        )
    ]


def order_flags(vertebrae: Mapping[str, Vertebra]) -> list[Flag]:
    """``labels_out_of_order`` where names do not follow the spine; it withholds everything."""
    named = from_head_down(vertebrae)
    heights = [float(v.centre_mm[2]) for v in named]
    found = [named[i].level for i in np.argsort(heights)[::-1]]
    expected = [v.level for v in named]
    wrong = [a for a, b in zip(found, expected, strict=True) if a != b]
    if not wrong:
        return []
    return [
        Flag(
            "labels_out_of_order",
            f"From the head down the labels read {', '.join(found)}: {len(wrong)} of them are out "
            "of order, so no level's name can be trusted.",
            "serious",
            "withhold",
            None,
            {"found": found, "expected": expected, "levels": wrong},
        )
    ]


def _cut_ends(labels: LabelMap, vertebra: Vertebra, cut_share: float) -> dict[str, str]:
    """Ends of the scan or of the labelled slices that cut this vertebra: ``body`` or ``arch``."""
    ends: dict[str, str] = {}
    for part, mask in (("arch", vertebra.mask), ("body", vertebra.body)):
        if mask is None:
            continue
        area = np.count_nonzero(mask, axis=(1, 2))
        filled = np.flatnonzero(area)
        if filled.size == 0:
            continue
        for name, layer, step in (("inferior", filled[0], -1), ("superior", filled[-1], 1)):
            here = vertebra.box[0].start + int(layer)
            scan_ends = not 0 <= here + step < labels.array.shape[0]
            large = bool(area[layer] > cut_share * area.max())
            if scan_ends or (large and _labels_end(labels, here, here + step, vertebra)):
                ends[name] = part if large else ends.get(name, "arch")
    if vertebra.body is None:
        return dict.fromkeys(ends, "body")
    return ends


def _labels_end(labels: LabelMap, here: int, beyond: int, vertebra: Vertebra) -> bool:
    """Whether several structures end together in one slice: the labels were cut there.

    A vertebra labelled alone may well end in a flat endplate; then nothing else ends with it.
    """
    if labels.array[beyond].any():
        return False
    own = labels.scheme.vertebrae[vertebra.level]
    last = labels.array[here]
    return bool(np.any((last != 0) & (last != own)))


def _reaches(
    mask: NDArray[np.bool_], vertebra: Vertebra, shape: tuple[int, ...], side: str
) -> bool:
    names = {
        "inferior": (0, 0), "superior": (0, -1), "anterior": (1, 0), "posterior": (1, -1),
        "right": (2, 0), "left": (2, -1),
    }  # fmt: skip
    if side not in names:
        return False
    axis, end = names[side]
    box = vertebra.box[axis]
    at_end = box.start == 0 if end == 0 else box.stop == shape[axis]
    return at_end and bool(np.take(mask, end, axis=axis).any())
