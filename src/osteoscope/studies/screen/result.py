"""The content of ``result.json``: what was measured, how, how sure it is, and what speaks
against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from osteoscope.anatomy.quality.verdict import withheld_levels
from osteoscope.core.config_file import config_as_dict
from osteoscope.core.flag import Flag
from osteoscope.core.measurement import Measurement, Missing
from osteoscope.core.provenance import created_with
from osteoscope.densitometry.assessment import Assessment, WithheldAssessment
from osteoscope.densitometry.calibration.line import Calibration
from osteoscope.densitometry.criteria import CRITERIA, Band
from osteoscope.io.scan import ScanReading
from osteoscope.io.series_summary import SeriesSummary
from osteoscope.reporting.result_schema import SCHEMA_VERSION
from osteoscope.studies.screen.assess import Conclusion
from osteoscope.studies.screen.config import ScreenConfig
from osteoscope.studies.screen.intervals import interval_dict
from osteoscope.studies.screen.measure import LevelResult

DISCLAIMER = (
    "Not a medical device. For research; a qualified person must read the scan and judge every "
    "number here before anything rests on it."
)


@dataclass(frozen=True, eq=False)
class Screened:
    """Everything that a screen found, before it becomes JSON."""

    reading: ScanReading
    config: ScreenConfig
    segmentation: Mapping[str, str | None]
    levels: Mapping[str, LevelResult]
    flags: Sequence[Flag]
    conclusion: Conclusion
    calibration: Calibration | Missing
    virtual_dxa: Mapping[str, Any]
    classification: Mapping[str, Any]
    notes: tuple[str, ...]


def build_result(screened: Screened, duration_s: float) -> dict[str, Any]:
    """``result.json`` of a screen, JSON types only; see ``reporting/schema``."""
    reading, config = screened.reading, screened.config
    withheld = withheld_levels(screened.flags, config.levels)
    assessments = [_assessment(a) for a in screened.conclusion.assessments]
    primary = next(a for a in assessments if a["criterion"] == config.criterion)
    result: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "status": "withheld" if "withheld" in primary else "done",
        "created_with": created_with(),
        "simulated": reading.volume.acquisition.simulated,
        "scan": {
            "kind": reading.kind,
            "digest": f"sha256:{reading.digest}",
            "shape": list(reading.volume.grid.shape),
            "spacing_mm": [round(float(s), 6) for s in reading.volume.grid.spacing_mm],
            "acquisition": asdict(reading.volume.acquisition),
        },
        "series": {
            "chosen": _series(reading.chosen),
            "others": [_series(other) for other in reading.others],
        },
        "notes": list(screened.notes),
        "segmentation": dict(screened.segmentation),
        "vertebrae": {
            level: _vertebra(found, screened.flags, withheld.get(level))
            for level, found in screened.levels.items()
        },
        "flags": [asdict(flag) | {"evidence": dict(flag.evidence)} for flag in screened.flags],
        "assessment": assessments,
        "primary_assessment": config.criterion,
        "calibration": _calibration(screened.calibration),
        "virtual_dxa": dict(screened.virtual_dxa),
        "classification": dict(screened.classification),
        "uncertainty": {
            level: [_component(c) for c in budget.components]
            for level, budget in screened.conclusion.budgets.items()
        },
        "config": config_as_dict(config),
        "run": {"duration_s": round(duration_s, 3)},
        "disclaimer": DISCLAIMER,
    }
    if reading.identity is not None:
        result["identity"] = asdict(reading.identity)
    return result


def _series(series: SeriesSummary) -> dict[str, Any]:
    values = asdict(series)
    in_plane = values["in_plane_mm"]
    values["in_plane_mm"] = None if in_plane is None else list(in_plane)
    return values


def why_withheld(found: LevelResult, by_quality: str | None) -> str | None:
    """Why nothing may rest on a level: quality forbids it, or it could not be measured."""
    if by_quality is None and isinstance(found.budget, Missing):
        return found.budget.reason
    return by_quality


def _vertebra(found: LevelResult, flags: Sequence[Flag], withheld: str | None) -> dict[str, Any]:
    codes = sorted({flag.code for flag in flags if flag.level == found.level})
    withheld = why_withheld(found, withheld)
    return {
        "measurements": {
            code: _measurement(value, withheld) for code, value in found.measurements.items()
        },
        "flags": codes,
        "withheld": withheld,
    }


def _measurement(value: Measurement | Missing, withheld: str | None) -> dict[str, Any]:
    """A value, or the reason why it is missing; lengths of a withheld vertebra stay."""
    if isinstance(value, Missing):
        return {"missing": value.reason}
    if withheld is not None and value.unit != "mm":
        return {"missing": withheld}
    return {
        "value": float(value.value),
        "unit": value.unit,
        "method": value.method,
        "region": value.region,
        "interval": interval_dict(value.interval),
    }


def _assessment(found: Assessment | WithheldAssessment) -> dict[str, Any]:
    criterion = CRITERIA[found.criterion]
    shown: dict[str, Any] = {
        "criterion": found.criterion,
        "source": found.source,
        "level": found.level,
        "applies_to": list(criterion.levels),
        "limits": list(criterion.limits),
        "thresholds": [
            {"value": band.high, "label": _threshold_label(band, criterion.unit)}
            for band in criterion.bands[:-1]
        ],
    }
    if isinstance(found, WithheldAssessment):
        return shown | {"quantity": criterion.quantity, "withheld": found.reason}
    return shown | {
        "doubts": list(found.doubts),
        "quantity": found.quantity,
        "category": found.category,
        "probability": found.probability,
        "probabilities": dict(found.categories),
        "value": float(found.value),
        "unit": found.unit,
        "interval": interval_dict(found.interval),
    }


def _threshold_label(band: Band, unit: str) -> str:
    reach = "up to" if band.includes_high else "below"
    sign = {"mg/cm3": " mg/cm³", "1": " SD"}.get(unit, f" {unit}")
    return f"{band.name} {reach} {band.high:g}{sign}"


def _calibration(calibration: Calibration | Missing) -> dict[str, Any] | None:
    if isinstance(calibration, Missing):
        return None
    return {
        "name": calibration.name,
        "detail": {
            "mineral": calibration.mineral,
            "slope_mg_cm3_per_hu": calibration.slope_mg_cm3_per_hu,
            "intercept_mg_cm3": calibration.intercept_mg_cm3,
            "source": calibration.source,
            "warnings": list(calibration.warnings),
        },
    }


def _component(component: Any) -> dict[str, Any]:
    return {
        "name": component.name,
        "standard_uncertainty": float(component.standard_uncertainty),
        "unit": component.unit,
        "source": component.source,
        "side": component.side,
    }
