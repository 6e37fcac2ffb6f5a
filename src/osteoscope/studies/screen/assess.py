"""What the criteria say about the assessed level, once quality has had its word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from osteoscope.anatomy.quality.verdict import known_contrast, withheld_levels
from osteoscope.core.flag import Flag
from osteoscope.core.measurement import Measurement, Missing
from osteoscope.core.volume import Acquisition
from osteoscope.densitometry.assessment import Assessment, Evidence, WithheldAssessment, assess
from osteoscope.densitometry.calibration.line import Calibration
from osteoscope.densitometry.uncertainty import UncertaintyBudget, assessment_budget, averaged
from osteoscope.studies.screen.config import ScreenConfig
from osteoscope.studies.screen.density import DENSITY_CODE
from osteoscope.studies.screen.measure import MEDIAN_CODE, LevelResult

_MEANS = {
    "trabecular_mean_hu": "same region",
    "elliptic_mid_body_mean_hu": "ellipse in the mid-body",
}
"""Means that stand for what a source's readers drew."""
_TWO_BODIES = ("L1", "L2")
"""The bodies whose mean the QCT criterion judges, where both may be measured."""


@dataclass(frozen=True, eq=False)
class Conclusion:
    """The criteria's words, and the budgets behind them by level."""

    assessments: tuple[Assessment | WithheldAssessment, ...]
    budgets: Mapping[str, UncertaintyBudget]


def conclude(
    results: Mapping[str, LevelResult],
    flags: Sequence[Flag],
    acquisition: Acquisition,
    calibration: Calibration | Missing,
    config: ScreenConfig,
) -> Conclusion:
    """Apply every criterion of the configuration to its level.

    Args:
        results: What was measured, by level.
        flags: Every quality flag.
        acquisition: What the file says.
        calibration: From HU to density, or why there is none.
        config: The criteria and the level.

    Raises:
        InputError: An unknown criterion.
    """
    withheld = withheld_levels(flags, config.levels)
    enhanced = known_contrast(flags, acquisition)
    budgets: dict[str, UncertaintyBudget] = {}
    for level, result in results.items():
        if isinstance(result.budget, UncertaintyBudget) and level not in withheld:
            budgets[level] = assessment_budget(
                result.budget, acquisition, contrast_enhanced=enhanced
            )
    densities = {
        level: _density(result, acquisition, calibration, enhanced)
        for level, result in results.items()
        if level == config.level or level not in withheld
    }
    evidence = Evidence(
        level=config.level,
        hu=_attenuation(results[config.level], budgets.get(config.level)),
        bmd=densities[config.level],
        kvp=acquisition.kvp,
        contrast_enhanced=enhanced,
        age_years=acquisition.patient_age_years,
        withheld=withheld.get(config.level),
        means_hu=_means(results[config.level]),
    )
    by_name = {"qct-vbmd": _of_two_bodies(evidence, densities)}
    return Conclusion(
        tuple(assess(name, by_name.get(name, evidence)) for name in config.criteria), budgets
    )


def _of_two_bodies(
    evidence: Evidence, densities: Mapping[str, UncertaintyBudget | Missing]
) -> Evidence:
    """The mean of L1 and L2, as the QCT consensus takes it, where the level is one of them."""
    found = [densities.get(level) for level in _TWO_BODIES]
    both = [budget for budget in found if isinstance(budget, UncertaintyBudget)]
    if evidence.level not in _TWO_BODIES or evidence.withheld or len(both) < len(_TWO_BODIES):
        return evidence
    if len({tuple(c.name for c in budget.components) for budget in both}) > 1:
        return evidence  # a region so small that it has no neighbour to vary it by
    return replace(evidence, level="-".join(_TWO_BODIES), bmd=averaged(both))


def _means(result: LevelResult) -> dict[str, float]:
    found = {words: result.measurements.get(code) for code, words in _MEANS.items()}
    return {words: m.value for words, m in found.items() if isinstance(m, Measurement)}


def _attenuation(
    result: LevelResult, budget: UncertaintyBudget | None
) -> UncertaintyBudget | Missing:
    if budget is not None:
        return budget
    if isinstance(result.budget, Missing):
        return result.budget
    return Missing(MEDIAN_CODE, f"{result.level} is withheld.")


def _density(
    result: LevelResult,
    acquisition: Acquisition,
    calibration: Calibration | Missing,
    enhanced: bool | None,
) -> UncertaintyBudget | Missing:
    if isinstance(calibration, Missing):
        return Missing(DENSITY_CODE, calibration.reason)
    if isinstance(result.budget, Missing):
        return result.budget
    assessed = assessment_budget(
        result.budget, acquisition, contrast_enhanced=enhanced, scanner_calibrated=True
    )
    return calibration.budget(assessed)
