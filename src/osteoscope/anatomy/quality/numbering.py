"""Is each vertebra named right: ribs from above, the sacrum from below, gaps in between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from osteoscope.anatomy.quality.landmarks import (
    RibContact,
    SacrumContact,
    rib_contacts,
    sacrum_contact,
)
from osteoscope.anatomy.quality.limits import DEFAULT_LIMITS, QualityLimits
from osteoscope.anatomy.quality.surroundings import from_head_down, grown_box
from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.flag import Effect, Flag, Severity
from osteoscope.core.label_schemes import VERTEBRAE
from osteoscope.core.labelmap import LabelMap

_UNNAMED_SHARE = 1.6
"""Neighbours in name this many times farther apart than the others hide a vertebra."""
_SKIPPED_SHARE = 0.62
"""Centres of two levels named n apart lie about n spacings apart; below this share one of the
names between them belongs to no vertebra."""


def numbering_flags(
    labels: LabelMap,
    vertebrae: Mapping[str, Vertebra],
    limits: QualityLimits = DEFAULT_LIMITS,
) -> list[Flag]:
    """``possible_level_shift``, ``transitional_anatomy`` or ``level_unverified``.

    A suspected shift withholds everything: every result is reported under a level's name. A
    transitional anatomy warns (16 % of people have a lumbosacral variant, doi
    10.1007/s00256-025-04952-z): names follow from the ribs, and a neighbour's density is close.
    ``level_unverified`` warns that neither ribs nor sacrum are labelled.

    Args:
        labels: Canonical labels of the whole scan.
        vertebrae: Every labelled vertebra.
        limits: ``rib_contact_mm``, ``sacrum_gap_mm``.
    """
    if not vertebrae:
        return []
    ribs = rib_contacts(labels, vertebrae, limits)
    sacrum = sacrum_contact(labels, vertebrae)
    votes = [_offset(rib.level, f"T{rib.number}", vertebrae) for rib in ribs]
    shifted = [v for v in votes if v != 0]
    flags = _variant_names(vertebrae)
    if shifted:
        # One rib against three may be a rib's own mislabel: then it only warns.
        effect: Effect = "withhold" if 2 * len(shifted) >= len(votes) else "warn"
        flags.append(_rib_shift(ribs, shifted, effect))
    agreed = bool(votes) and not shifted
    flags += _sacrum_flags(sacrum, agreed, vertebrae, limits)
    flags += _ribless_t12(labels, vertebrae, ribs)
    flags += _gaps_in_names(vertebrae, agreed)
    if not votes and (sacrum is None or sacrum.gap_mm is None) and not flags:
        flags.append(
            Flag(
                "level_unverified",
                f"Neither ribs nor sacrum are labelled beside the {len(vertebrae)} vertebrae, so "
                "the levels' names rest on the segmentation alone: a name may be one off.",
                "info",
                "warn",
                evidence={"ribs": 0, "sacrum": False},
            )
        )
    return flags


def _offset(level: str, other: str, vertebrae: Mapping[str, Vertebra]) -> int:
    """Names from ``other`` down to ``level``; T13 and L6 count only where the labels hold them."""
    chain = [n for n in VERTEBRAE if n not in ("T13", "L6") or n in vertebrae]
    return chain.index(level) - chain.index(other)


def _variant_names(vertebrae: Mapping[str, Vertebra]) -> list[Flag]:
    return [
        _flag(
            "transitional_anatomy",
            f"The labels hold {name}, a {number} vertebra: lumbar levels can be counted two ways.",
            "warn",
            {"level": name},
        )
        for name, number in (("T13", "13th thoracic"), ("L6", "6th lumbar"))
        if name in vertebrae
    ]


def _rib_shift(ribs: list[RibContact], shifted: list[int], effect: Effect) -> Flag:
    seen = [f"{rib.rib} at {rib.level}" for rib in ribs]
    step = int(np.median(shifted))
    way = "low" if step > 0 else "high"
    return _flag(
        "possible_level_shift",
        f"{len(shifted)} of {len(ribs)} lowest ribs meet another vertebra than their own "
        f"({', '.join(seen)}): levels may be named {abs(step)} too {way}.",
        effect,
        {
            "ribs": seen,
            "distances_mm": [round(rib.distance_mm, 1) for rib in ribs],
            "steps": step,
        },
    )


def _sacrum_flags(
    sacrum: SacrumContact | None,
    ribs_agree: bool,
    vertebrae: Mapping[str, Vertebra],
    limits: QualityLimits,
) -> list[Flag]:
    if sacrum is None or sacrum.gap_mm is None or "L6" in vertebrae:
        return []
    adjacent = sacrum.gap_mm <= limits.sacrum_gap_mm
    last = sacrum.level in ("L5", "L6")
    # A lower level may simply be missing: then the gap is as wide as it should be.
    if adjacent == last or not sacrum.level.startswith("L"):
        return []
    evidence: dict[str, Any] = {
        "lowest_level": sacrum.level,
        "gap_mm": round(sacrum.gap_mm, 1),
        "limit_mm": limits.sacrum_gap_mm,
        "ribs_agree": ribs_agree,
    }
    what = (
        f"{sacrum.level} lies {sacrum.gap_mm:.0f} mm from the sacrum, where L5 should be"
        if adjacent
        else f"L5 lies {sacrum.gap_mm:.0f} mm from the sacrum, room for one vertebra more"
    )
    if ribs_agree:
        return [
            _flag(
                "transitional_anatomy",
                f"{what}, while the ribs confirm T12: the spine may have "
                f"{'four' if adjacent else 'six'} lumbar vertebrae.",
                "warn",
                evidence,
            )
        ]
    return [
        _flag(
            "possible_level_shift",
            f"{what}: the levels may be named one too {'high' if adjacent else 'low'}.",
            "withhold",
            evidence,
        )
    ]


def _ribless_t12(
    labels: LabelMap, vertebrae: Mapping[str, Vertebra], ribs: list[RibContact]
) -> list[Flag]:
    t12 = vertebrae.get("T12")
    if t12 is None or t12.touches or "T11" not in vertebrae:
        return []
    eleventh = [rib for rib in ribs if rib.number == 11 and rib.level == "T11"]
    numbers = [labels.scheme.structures.get(f"rib_{side}_12") for side in ("left", "right")]
    known = [n for n in numbers if n is not None]
    if len(eleventh) < 2 or len(known) < 2:
        return []
    box = grown_box([t12.box], (0.0, 0.0, 20.0), labels.grid)
    if np.isin(labels.array[box], known).any():
        return []
    return [
        _flag(
            "transitional_anatomy",
            f"T12 bears no labelled rib while both ribs of T11 are labelled ({len(eleventh)} of "
            "2): T12 may be a first lumbar vertebra.",
            "warn",
            {"ribs": [rib.rib for rib in eleventh]},
        )
    ]


def _gaps_in_names(vertebrae: Mapping[str, Vertebra], ribs_agree: bool) -> list[Flag]:
    """Names and distances that do not fit: a name without a vertebra, or one without a name."""
    steps = [
        _Step(a, b, _offset(b.level, a.level, vertebrae))
        for a, b in pairwise(from_head_down(vertebrae))
    ]
    typical = float(np.median([s.distance_mm for s in steps if s.names == 1] or [0.0]))
    flags = []
    for step in steps:
        evidence: dict[str, Any] = {
            "levels": [step.above.level, step.below.level],
            "distance_mm": round(step.distance_mm, 1),
            "typical_mm": round(typical, 1),
        }
        pair = f"{step.above.level} and {step.below.level}"
        apart = f"{step.distance_mm:.0f} mm apart (neighbours: {typical:.0f} mm)"
        if step.names > 1 and step.distance_mm < _SKIPPED_SHARE * step.names * typical:
            text = (
                f"{pair} are named {step.names} levels apart but lie {apart}: a name was skipped."
            )
            flags.append(_flag("possible_level_shift", text, "withhold", evidence))
        if step.names == 1 and len(steps) > 2 and step.distance_mm > _UNNAMED_SHARE * typical:
            text = (
                f"{pair} are named as neighbours but lie {apart}: a vertebra between has no name."
            )
            # Below a T12 that bears its ribs it is a 13th thoracic vertebra, not a wrong name.
            known = ribs_agree and step.above.level == "T12"
            code = "transitional_anatomy" if known else "possible_level_shift"
            flags.append(_flag(code, text, "warn" if known else "withhold", evidence))
    return flags


@dataclass(frozen=True)
class _Step:
    """Two labelled vertebrae that follow each other, and how many names lie between them."""

    above: Vertebra
    below: Vertebra
    names: int

    @property
    def distance_mm(self) -> float:
        return float(np.linalg.norm(self.above.centre_mm - self.below.centre_mm))


def _flag(
    code: str,
    message: str,
    effect: Effect,
    evidence: Mapping[str, Any],
) -> Flag:
    severity: Severity = "serious" if effect == "withhold" else "warning"
    return Flag(code, message, severity, effect, None, evidence)
