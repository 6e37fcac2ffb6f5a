"""What a report says, in the order in which a reader needs it, taken from a result as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from osteoscope.core.label_schemes import VERTEBRAE
from osteoscope.reporting.wording import (
    NOT_STATED,
    acquisition_facts,
    measurement_name,
    number,
    unit_sign,
)

_MAIN_CODES = (
    "trabecular_median_hu",
    "trabecular_mean_hu",
    "trabecular_sd_hu",
    "trabecular_bmd_mg_cm3",
    "trabecular_volume_cm3",
    "anterior_height_mm",
    "middle_height_mm",
    "posterior_height_mm",
)
"""Columns of the table of vertebrae; every other measurement stands in the full list."""
_JUDGED_CODES = {"HU": "trabecular_median_hu", "mg/cm3": "trabecular_bmd_mg_cm3"}
"""The measurement behind a criterion that names its quantity in words."""
_SEVERITY_ORDER = {"serious": 0, "warning": 1, "info": 2}
_HEADLINE_FLAGS = 6
EFFECTS = (
    ("withhold", "Findings that withhold a result"),
    ("warn", "Findings to weigh"),
    ("none", "Noted, without effect"),
)


def primary_assessment(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """The assessment of the headline."""
    name = result["primary_assessment"]
    entry: Mapping[str, Any] = next(e for e in result["assessment"] if e["criterion"] == name)
    return entry


def assessed_levels(assessment: Mapping[str, Any]) -> tuple[str, ...]:
    """The vertebrae that an assessment rests on: one, or those of a range such as ``L1-L2``."""
    first, _, last = str(assessment.get("level") or "").partition("-")
    if first not in VERTEBRAE:
        return ()
    start, end = VERTEBRAE.index(first), VERTEBRAE.index(last or first)
    return tuple(VERTEBRAE[start : end + 1])


def judged_code(assessment: Mapping[str, Any]) -> str | None:
    """Code of the measurement that an assessment judges; None where it judges none directly."""
    quantity = str(assessment.get("quantity") or "")
    if quantity and " " not in quantity:
        return quantity
    return _JUDGED_CODES.get(str(assessment.get("unit")))


def page_content(result: Mapping[str, Any]) -> dict[str, Any]:
    """Names and values that the template of the report uses.

    Args:
        result: A valid ``result.json`` that did not fail.
    """
    primary = primary_assessment(result)
    measured = ordered_vertebrae(result)
    codes = table_codes(measured, judged_code(primary))
    return {
        "primary": primary,
        "assessed": assessed_levels(primary),
        "quantity": _quantity_words(primary),
        "method": _method(result, primary),
        "others": [e for e in result["assessment"] if e is not primary],
        "concerns": concerns(result),
        "more_concerns": max(0, len(_effective(result)) - _HEADLINE_FLAGS),
        "fractures": fractured_levels(result),
        "chips": _chips(result),
        "vertebrae": measured,
        "codes": codes,
        "covered": _covered(measured, codes),
        "other_findings": {name: other_findings(result, name) for name, _ in measured},
        "flag_groups": flag_groups(result),
        "facts": acquisition_facts(result["scan"]["acquisition"]),
        "spacing": _spacing(result["scan"]["spacing_mm"]),
        "limits": _limits(result),
    }


def _quantity_words(primary: Mapping[str, Any]) -> str:
    """What was assessed and where, short enough for a headline; the method stands below."""
    quantity = str(primary.get("quantity") or "Value")
    code = " " not in quantity
    words = measurement_name(quantity) if code else quantity.split(",")[0]
    words = words[:1].upper() + words[1:]
    level = primary.get("level")
    return words if level is None or str(level) in words.split() else f"{words} of {level}"


def ordered_vertebrae(result: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The vertebrae from the head down."""
    return sorted(result["vertebrae"].items(), key=lambda item: VERTEBRAE.index(item[0]))


def table_codes(
    vertebrae: Sequence[tuple[str, Mapping[str, Any]]], quantity: str | None
) -> list[tuple[str, str]]:
    """Columns of the table with their units: the judged quantity, then the known main ones.

    A measurement that no vertebra has gets no column; the full list says why it is missing.
    """
    units: dict[str, str] = {}
    for _, vertebra in vertebrae:
        for code, measurement in vertebra["measurements"].items():
            if "value" in measurement:
                units.setdefault(code, measurement["unit"])
    first = [quantity] if quantity in units else []
    wanted = [*first, *(code for code in _MAIN_CODES if code in units and code != quantity)]
    return [(code, unit_sign(units[code])) for code in wanted]


def _covered(
    vertebrae: Sequence[tuple[str, Mapping[str, Any]]], codes: Sequence[tuple[str, str]]
) -> list[str]:
    """The sources of error in the intervals of the table's first column."""
    for _, vertebra in vertebrae:
        for code, _ in codes[:1]:
            interval = vertebra["measurements"].get(code, {}).get("interval")
            if interval is not None:
                return list(interval["covers"])
    return []


def other_findings(result: Mapping[str, Any], level: str) -> list[str]:
    """Codes of a vertebra's flags, less those whose message its withheld reason already gives."""
    vertebra = result["vertebrae"][level]
    reason = str(vertebra.get("withheld") or "")
    said = {f["code"] for f in result["flags"] if f["level"] == level and f["message"] in reason}
    return [code for code in vertebra["flags"] if code not in said]


def concerns(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The first findings that withhold or warn, gravest first."""
    return _effective(result)[:_HEADLINE_FLAGS]


def _effective(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Findings with an effect; those of the assessed vertebra, then of the scan, lead."""
    primary = primary_assessment(result)
    levels = {
        None,
        result["config"].get("level") or primary.get("level"),
        *assessed_levels(primary),
    }

    def rank(flag: Mapping[str, Any]) -> tuple[bool, bool, int, bool]:
        elsewhere = flag["level"] not in levels
        weight = _SEVERITY_ORDER[flag["severity"]]
        return elsewhere, flag["effect"] == "warn", weight, flag["level"] is None

    return sorted((f for f in result["flags"] if f["effect"] != "none"), key=rank)


def fractured_levels(result: Mapping[str, Any]) -> list[str]:
    """Vertebrae with a height loss that may be a fracture, from the head down.

    They stand beside the headline, because a vertebral fracture without a matching injury is
    osteoporosis whatever the density (LeBoff et al. 2022, doi 10.1007/s00198-021-05900-y).
    """
    found = {f["level"] for f in result["flags"] if f["code"] == "fracture" and f["level"]}
    return sorted(found, key=VERTEBRAE.index)


def flag_groups(result: Mapping[str, Any]) -> list[tuple[str, str, list[Mapping[str, Any]]]]:
    """Effect, heading and findings of each group that has any, gravest first in each."""
    groups = []
    for effect, heading in EFFECTS:
        flags = [flag for flag in result["flags"] if flag["effect"] == effect]
        flags.sort(key=lambda flag: _SEVERITY_ORDER[flag["severity"]])
        if flags:
            groups.append((effect, heading, flags))
    return groups


def _method(result: Mapping[str, Any], primary: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The measurement that the headline rests on, with its method and region."""
    level = next(iter(assessed_levels(primary)), None)
    vertebra = result["vertebrae"].get(level, {"measurements": {}})
    found: Mapping[str, Any] | None = vertebra["measurements"].get(judged_code(primary))
    return found if found is not None and "value" in found else None


def _chips(result: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    """The facts on which trust rests most: name, value, and whether it is known."""
    facts = dict(acquisition_facts(result["scan"]["acquisition"]))
    names = ("Tube voltage", "Contrast", "Slice thickness", "Reconstruction kernel")
    chips = [(name, facts[name], facts[name] != NOT_STATED) for name in names]
    chips.insert(2, ("Slice spacing", number(result["scan"]["spacing_mm"][0], "mm"), True))
    segmentation = result["segmentation"]
    source = segmentation["segmenter"] if segmentation else "none"
    chips.append(("Segmentation", source, segmentation is not None))
    return chips


def _spacing(spacing_mm: Sequence[float]) -> str:
    return " × ".join(f"{s:.3g}" for s in spacing_mm) + " mm (z, y, x)"


def _limits(result: Mapping[str, Any]) -> list[str]:
    """Every limit that an assessment or the virtual DXA states, once.

    What this scan leaves open stands beside the headline for its criterion, here for the others.
    """
    headline = primary_assessment(result)
    found: list[str] = []
    for source in (*result["assessment"], result["virtual_dxa"]):
        limits = source.get("limits") or []
        found += [limits] if isinstance(limits, str) else list(limits)
        found += [] if source is headline else source.get("doubts", [])
    shown = headline.get("doubts", [])
    return [limit for limit in dict.fromkeys(found) if limit not in shown]
