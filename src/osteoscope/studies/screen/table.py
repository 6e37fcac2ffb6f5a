"""The table of a cohort: one row a scan, the headline numbers and why any is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from osteoscope.io.csv_table import write_csv
from osteoscope.reporting.cohort_page import write_cohort_report

_VALUE_CODES = (
    "trabecular_median_hu",
    "trabecular_mean_hu",
    "trabecular_sd_hu",
    "trabecular_bmd_mg_cm3",
)


def result_row(name: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """One scan's row from its ``result.json``."""
    level = str(result["config"]["level"])
    vertebra = result["vertebrae"].get(level, {"measurements": {}})
    primary = next(
        a for a in result["assessment"] if a["criterion"] == result["primary_assessment"]
    )
    row: dict[str, Any] = {
        "subject_id": name,
        "status": result["status"],
        "error": None,
        "level": level,
    }
    for code in _VALUE_CODES:
        row[code] = vertebra["measurements"].get(code, {}).get("value")
    interval = vertebra["measurements"].get("trabecular_median_hu", {}).get("interval") or {}
    row["median_low_hu"], row["median_high_hu"] = interval.get("low"), interval.get("high")
    row |= {
        "criterion": primary["criterion"],
        "category": primary.get("category"),
        "probability": primary.get("probability"),
        "withheld": primary.get("withheld"),
        "virtual_dxa_g_cm2": result["virtual_dxa"].get("areal_bmd_g_cm2"),
        "virtual_dxa_t_score": result["virtual_dxa"].get("t_score"),
        **_model_columns(result.get("classification") or {"model": None}),
        "age_years": result["scan"]["acquisition"].get("patient_age_years"),
        "sex": result["scan"]["acquisition"].get("patient_sex"),
        "kvp": result["scan"]["acquisition"]["kvp"],
        "kernel": result["scan"]["acquisition"]["kernel"],
        "flags": " ".join(sorted({_flag_name(flag) for flag in result["flags"]})),
        "simulated": result["simulated"],
    }
    return row


def _model_columns(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What a model said; empty where none was asked."""
    category, model = entry.get("category"), entry["model"]
    return {
        "model": None if model is None else model["name"],
        "model_class": category,
        "model_probability": None if category is None else entry["probabilities"][category],
        "model_t_score": entry.get("t_score"),
        "model_withheld": None if model is None else entry.get("withheld"),
    }


def failed_row(name: str, error: str) -> dict[str, Any]:
    """The row of a scan that could not be screened."""
    return {"subject_id": name, "status": "failed", "error": error}


def write_table(out: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write ``screen.csv`` and ``cohort.html``, each under a temporary name first."""
    path = out / "screen.csv"
    write_csv(path, rows)
    write_cohort_report(out / "cohort.html", rows)
    return path


def _flag_name(flag: Mapping[str, Any]) -> str:
    return f"{flag['code']}:{flag['level']}" if flag["level"] else str(flag["code"])
