"""A result in a few lines of text, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osteoscope.reporting.wording import judged_kind

_HEADLINE_CODE = "trabecular_median_hu"


def summary_lines(result: Mapping[str, Any]) -> list[str]:
    """The assessments and every flag that changes how far they can be trusted.

    Args:
        result: A valid ``result.json`` as a mapping.

    Returns:
        Lines of text without markup: a line that says *simulated* where the scan is, one line
        for each criterion with the primary one first, the attenuation of the assessed vertebra
        where the primary criterion is withheld and it was measured all the same, what a model
        said where one was asked, and one line for each flag whose effect is ``warn`` or
        ``withhold``.
    """
    lines = ["This scan is simulated: no patient exists."] if result["simulated"] else []
    if result["status"] == "failed":
        return [*lines, f"failed: {result['error']['message']}"]
    primary = result["primary_assessment"]
    entries = sorted(result["assessment"], key=lambda entry: entry["criterion"] != primary)
    lines += [_assessment_line(entry) for entry in entries]
    level = (entries[0].get("level") if entries else None) or ""
    if result["status"] == "withheld" and level in result["vertebrae"]:
        lines += _attenuation_line(level, result["vertebrae"][level]["measurements"])
    lines += _model_lines(result.get("classification"))
    return lines + [_flag_line(flag) for flag in result["flags"] if flag["effect"] != "none"]


def _assessment_line(entry: Mapping[str, Any]) -> str:
    if "withheld" in entry:
        return f"{entry['criterion']}: withheld. {entry['withheld']}"
    words = (entry["level"], judged_kind(entry), _value(entry))
    judged = " ".join(word for word in words if word)
    line = f"{entry['criterion']}: {entry['category']}; {judged}"
    if entry["probability"] is None:
        return line
    share = _probability(entry["probability"])
    return f"{line}; probability that the true value lies in its range {share}"


def _model_lines(entry: Mapping[str, Any] | None) -> list[str]:
    """What the model says, and that it learned from no patient where it did not."""
    if entry is None or entry["model"] is None:
        return []
    model = entry["model"]
    name = f"model {model['name']}"
    name += " (trained on simulated patients only)" if model["simulated"] else ""
    if "withheld" in entry:
        return [f"{name}: withheld. {entry['withheld']}"]
    words = [f"{name}: {entry['category']}; {entry['level']}"]
    words.append(f"probability {_probability(entry['probabilities'][entry['category']])}")
    if entry["set"] is not None:
        names = ", ".join(entry["set"]["classes"]) or "no class"
        words.append(f"set of {round(100 * entry['set']['coverage'])} % coverage: {names}")
    words.append(f"{entry['agreement']['baseline']}: {entry['agreement']['verdict']}")
    return ["; ".join(words)]


def _probability(share: float) -> str:
    """To two digits, and never certain."""
    return "> 0.99" if share > 0.99 else f"{share:.2f}"


def _attenuation_line(level: str, measurements: Mapping[str, Any]) -> list[str]:
    median = measurements.get(_HEADLINE_CODE, {"missing": ""})
    if "missing" in median:
        return []
    return [f"{level} trabecular median, not assessed: {_value(median)}"]


_DECIMALS = {"HU": 0, "mg/cm3": 0, "g/cm2": 3}


def _value(measured: Mapping[str, Any]) -> str:
    """Value, unit and interval, to the digits that the unit deserves."""
    digits = _DECIMALS.get(measured["unit"], 2)
    unit = "" if measured["unit"] == "1" else f" {measured['unit']}"
    words = f"{measured['value']:.{digits}f}{unit}"
    interval = measured["interval"]
    if interval is None:
        return words
    share = round(100 * interval["level"])
    ends = f"{interval['low']:.{digits}f} to {interval['high']:.{digits}f}"
    return f"{words} ({share} % interval {ends})"


def _flag_line(flag: Mapping[str, Any]) -> str:
    where = flag["level"] or "scan"
    return f"[{flag['effect']}] {where}: {flag['message']} ({flag['code']})"
