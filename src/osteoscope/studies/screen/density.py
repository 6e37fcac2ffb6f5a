"""What follows from a median attenuation by a rule that the user named: density, correction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from osteoscope.core.measurement import Z95, Interval, Measurement, Missing
from osteoscope.densitometry.calibration.line import Calibration
from osteoscope.densitometry.corrections import correct, correction_rule
from osteoscope.densitometry.uncertainty import UncertaintyBudget
from osteoscope.studies.screen.measure import LevelResult

DENSITY_CODE = "trabecular_bmd_mg_cm3"
CORRECTED_HU_CODE = "corrected_median_hu"
CORRECTED_DENSITY_CODE = "corrected_bmd_mg_cm3"


def with_density(result: LevelResult, calibration: Calibration) -> LevelResult:
    """The level with its density by the calibration added."""
    if isinstance(result.budget, Missing):
        return _with(result, DENSITY_CODE, Missing(DENSITY_CODE, result.budget.reason))
    density = calibration.budget(result.budget)
    measured = Measurement(
        DENSITY_CODE,
        density.value,
        density.unit,
        f"trabecular median through the {calibration.name} calibration ({calibration.mineral})",
        result.level,
        density.interval,
    )
    return _with(result, DENSITY_CODE, measured)


def with_correction(
    result: LevelResult,
    rule_name: str,
    calibration: Calibration | Missing,
    *,
    enhanced: bool | None = None,
) -> LevelResult:
    """The level with its value for an unenhanced scan added, by a named published rule.

    It stands beside the measured value; no criterion uses it. A scan that is known to be
    unenhanced has nothing to correct.

    Raises:
        InputError: An unknown rule.
    """
    rule = correction_rule(rule_name)
    code = CORRECTED_HU_CODE if rule.unit == "HU" else CORRECTED_DENSITY_CODE
    if isinstance(result.budget, Missing):
        return _with(result, code, Missing(code, result.budget.reason))
    if enhanced is False:
        reason = f"The scan is not contrast-enhanced, so {rule.name} does not apply."
        return _with(result, code, Missing(code, reason))
    budget: UncertaintyBudget = result.budget
    if rule.unit != "HU":
        if isinstance(calibration, Missing):
            return _with(result, code, Missing(code, calibration.reason))
        budget = calibration.budget(budget)
    corrected = correct(budget.value, budget.unit, rule_name, standard_uncertainty=budget.total)
    spread = Z95 * corrected.standard_uncertainty
    covers = (*(c.name for c in budget.components), "correction")
    measured = Measurement(
        code,
        corrected.value,
        corrected.unit,
        f"corrected to an unenhanced scan ({rule.phase} phase) by {rule.name}: {rule.source}",
        result.level,
        Interval(corrected.value - spread, corrected.value + spread, 0.95, covers),
    )
    return _with(result, code, measured)


def _with(result: LevelResult, code: str, value: Measurement | Missing) -> LevelResult:
    measurements: Mapping[str, Measurement | Missing] = {**result.measurements, code: value}
    return replace(result, measurements=measurements)
