"""Values, codes and options in words: rounding, units, and what the file does not state."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

NOT_STATED = "not stated in the file"
_THIN_SPACE = "\N{NARROW NO-BREAK SPACE}"
_MINUS = "\N{MINUS SIGN}"

_DECIMALS: Mapping[str, int] = {
    "HU": 0,
    "mg/cm3": 0,
    "mg/cm³": 0,
    "g/cm2": 3,
    "g/cm²": 3,
    "mm": 1,
    "cm3": 1,
    "cm³": 1,
    "%": 1,
}
"""Digits behind the point: no finer than the measurement repeats (DESIGN: precision 1-5 %)."""
_UNIT_SIGNS: Mapping[str, str] = {
    "mg/cm3": "mg/cm³",
    "g/cm2": "g/cm²",
    "cm3": "cm³",
    "cm2": "cm²",
    "mm2": "mm²",
    "1": "",
}
_POWERS: Mapping[str, str] = {"2": "²", "3": "³"}
_CRITERIA: Mapping[str, str] = {
    "pickhardt-l1-hu": "attenuation after Pickhardt",
    "qct-vbmd": "QCT density",
    "hu-norm-for-age-jang": "attenuation for age after Jang",
}
_SOURCES_OF_ERROR: Mapping[str, str] = {"kvp": "tube voltage", "phase": "contrast phase"}
_TERMS: Mapping[str, str] = {
    "trabecular_median_hu": "Trabecular attenuation (median)",
    "trabecular_mean_hu": "Mean",
    "trabecular_sd_hu": "SD",
    "trabecular_bmd_mg_cm3": "Volumetric density",
    "trabecular_volume_cm3": "Region volume",
    "anterior_height_mm": "Anterior height",
    "middle_height_mm": "Middle height",
    "posterior_height_mm": "Posterior height",
    "body_volume_cm3": "Body volume",
    "vertebra_volume_cm3": "Vertebra volume",
}
_ABBREVIATIONS = {"hu": "HU", "bmd": "BMD", "vbmd": "vBMD", "sd": "SD", "kvp": "kVp", "roi": "ROI"}
_UNIT_ENDINGS = ("_mg_cm3", "_g_cm2", "_cm3", "_cm2", "_mm3", "_mm", "_hu", "_ml", "_mg_ml")
_FACTS: Mapping[str, tuple[str, str]] = {
    "kvp": ("Tube voltage", "kVp"),
    "contrast_enhanced": ("Contrast", ""),
    "contrast_agent": ("Contrast agent", ""),
    "slice_thickness_mm": ("Slice thickness", "mm"),
    "kernel": ("Reconstruction kernel", ""),
    "tube_current_ma": ("Tube current", "mA"),
    "exposure_mas": ("Exposure", "mAs"),
    "manufacturer": ("Manufacturer", ""),
    "scanner_model": ("Scanner", ""),
    "patient_position": ("Patient position", ""),
    "reconstruction_diameter_mm": ("Field of view", "mm"),
    "series_description": ("Series description", ""),
    "patient_age_years": ("Age", "years"),
    "patient_sex": ("Sex", ""),
}
"""Acquisition facts in the order in which they bear on trust."""


def unit_sign(unit: str) -> str:
    """A unit as it is printed; nothing for a plain number."""
    return _UNIT_SIGNS.get(unit, unit)


def bare(value: float, unit: str, decimals: int | None = None) -> str:
    """A value rounded as finely as its unit deserves, without the unit."""
    usual = 0 if abs(value) >= 100 else 2
    digits = _DECIMALS.get(unit, usual) if decimals is None else decimals
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", _MINUS)


def number(value: float, unit: str = "", decimals: int | None = None) -> str:
    """A value as :func:`bare` gives it, with the unit behind a narrow space."""
    sign = unit_sign(unit)
    text = bare(value, unit, decimals)
    return f"{text}{_THIN_SPACE}{sign}" if sign else text


def bare_span(interval: Mapping[str, Any], unit: str, decimals: int | None = None) -> str:
    """An interval's ends without the unit, ``92 to 116``."""
    return f"{bare(interval['low'], unit, decimals)} to {bare(interval['high'], unit, decimals)}"


def span(interval: Mapping[str, Any], unit: str, decimals: int | None = None) -> str:
    """An interval's ends, ``92 to 116 HU``."""
    return f"{bare(interval['low'], unit, decimals)} to {number(interval['high'], unit, decimals)}"


def percent(share: float) -> str:
    """A probability as a percentage that never claims certainty."""
    if share < 0.01:
        return f"< 1{_THIN_SPACE}%"
    if share > 0.99:
        return f"> 99{_THIN_SPACE}%"
    return f"{share * 100:.0f}{_THIN_SPACE}%"


def coverage(interval: Mapping[str, Any]) -> str:
    """``95 % interval`` of an interval's level."""
    return f"{interval['level'] * 100:.0f}{_THIN_SPACE}% interval"


def prose(text: str) -> str:
    """A message as it is printed on a page: ``35 +- 4 %``, ``cm3`` and ``-88`` in proper signs."""
    text = re.sub(r"\+-|\+/-", "±", text)
    text = re.sub(r"\b([cm]m)([23])\b", lambda found: found[1] + _POWERS[found[2]], text)
    return re.sub(r"(?<![\w.-])-(?=\d)", _MINUS, text)


def criterion_name(code: str) -> str:
    """A criterion in words; its code stands beside it where a machine's name is of use."""
    return _CRITERIA.get(code, code)


def calibration_text(calibration: Mapping[str, Any]) -> str:
    """A calibration in a sentence or two: its line, its salt, its source and what is doubtful."""
    detail = calibration.get("detail")
    if not isinstance(detail, Mapping) or "slope_mg_cm3_per_hu" not in detail:
        return f"{calibration['name']}: {evidence_text(detail)}" if detail else calibration["name"]
    slope, intercept = detail["slope_mg_cm3_per_hu"], detail["intercept_mg_cm3"]
    line = (
        f"{calibration['name']}: {slope:.3f} mg/cm3 per HU, {intercept:.1f} mg/cm3 at 0 HU, in mg "
        f"of {detail['mineral']}; {detail['source']}."
    )
    doubts = [f"{text[:1].upper()}{text[1:]}" for text in detail.get("warnings", ())]
    return prose(" ".join([line, *doubts]))


def error_sources(covers: Sequence[str]) -> str:
    """What an interval covers, in words: ``noise, region and tube voltage``."""
    words = [_SOURCES_OF_ERROR.get(name, name) for name in covers]
    return " and ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


def judged_kind(entry: Mapping[str, Any]) -> str:
    """What a value without a unit is, such as ``z-score``; empty where its unit says it."""
    if entry["unit"] != "1":
        return ""
    return str(entry.get("quantity") or "").split(" of ")[0]


def measurement_name(code: str) -> str:
    """A measurement's code in words; unknown codes are spelt out without their unit."""
    if code in _TERMS:
        return _TERMS[code]
    ending = next((end for end in _UNIT_ENDINGS if code.endswith(end)), "")
    return spelt(code.removesuffix(ending) or code)


def spelt(code: str) -> str:
    """A code such as ``metal_in_region`` as a phrase."""
    words = [_ABBREVIATIONS.get(word, word) for word in code.replace("-", "_").split("_") if word]
    phrase = " ".join(words)
    keeps_case = bool(words) and words[0] in _ABBREVIATIONS.values()
    return phrase if keeps_case else phrase[:1].upper() + phrase[1:]


def acquisition_facts(acquisition: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every acquisition fact as a name and its value; unknown ones say so."""
    facts = []
    for key, (name, unit) in _FACTS.items():
        value = acquisition.get(key)
        facts.append((name, NOT_STATED if value in (None, "") else _fact(value, unit)))
    return facts


def _fact(value: object, unit: str) -> str:
    if isinstance(value, bool):
        return "given" if value else "none given"
    if isinstance(value, float | int):
        return f"{value:g}{_THIN_SPACE}{unit}" if unit else f"{value:g}"
    return str(value)


def evidence_text(value: object) -> str:
    """One piece of a flag's evidence, short enough for a line."""
    match value:
        case None:
            return "unknown"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}".replace("-", _MINUS)
        case str() | int():
            return str(value) or "none"
        case Mapping():
            return "; ".join(f"{spelt(str(k))} {evidence_text(v)}" for k, v in value.items())
        case Sequence():
            return ", ".join(evidence_text(item) for item in value) or "none"
        case _:
            return str(value)


def sentences(limits: str | Sequence[str] | None) -> list[str]:
    """Limits given as one text or as a list, as a list."""
    if not limits:
        return []
    return [limits] if isinstance(limits, str) else list(limits)
