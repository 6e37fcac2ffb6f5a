"""Published criteria: each gives its own category from its own quantity; they are never mixed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from osteoscope.core.errors import InputError
from osteoscope.core.measurement import Interval, Missing
from osteoscope.densitometry.statistics import ROBUST_ESTIMATOR
from osteoscope.densitometry.uncertainty import UncertaintyBudget


@dataclass(frozen=True)
class Evidence:
    """What is known about one level when a criterion is asked.

    Args:
        level: The vertebra, or a range such as ``L1-L2`` where values were averaged.
        hu: Budget of the trabecular attenuation (weighted median), HU, or why there is none.
        bmd: Budget of the trabecular BMD, mg/cm3, or why there is none.
        kvp: Tube voltage, None where unknown.
        contrast_enhanced: None where unknown.
        age_years: None where unknown.
        withheld: Why nothing may be concluded (a quality flag), or None.
    """

    level: str
    hu: UncertaintyBudget | Missing
    bmd: UncertaintyBudget | Missing
    kvp: float | None = None
    contrast_enhanced: bool | None = None
    age_years: float | None = None
    withheld: str | None = None


@dataclass(frozen=True)
class Band:
    """A category, from ``low`` to ``high``.

    The upper end belongs to the band where ``includes_high`` holds, else to the next one.
    """

    name: str
    low: float
    high: float
    includes_high: bool = True

    def reaches(self, value: float) -> bool:
        """Whether the value lies at or below the upper end; the lowest such band holds it."""
        return value <= self.high if self.includes_high else value < self.high


@dataclass(frozen=True)
class Criterion:
    """A published rule.

    Args:
        name: The name that ``--criterion`` takes.
        source: Where it is published.
        quantity: What it is applied to, estimator included.
        unit: Unit of the value.
        levels: The vertebrae it holds for.
        bands: Its categories from the lowest value up; together they cover every value.
        limits: What it does not say, one sentence each.
    """

    name: str
    source: str
    quantity: str
    unit: str
    levels: tuple[str, ...]
    bands: tuple[Band, ...]
    limits: tuple[str, ...]


@dataclass(frozen=True)
class Assessment:
    """What a criterion says about a value.

    Args:
        criterion: Its name.
        source: Where it is published.
        quantity: What was assessed.
        level: Where.
        value: In ``unit``.
        unit: ``HU``, ``mg/cm3`` or ``1``.
        interval: 95 % interval of the value; ``covers`` names the errors it accounts for.
        category: The criterion's own name for the band that holds the value.
        probability: That the true value lies in that band, from the uncertainty budget.
        categories: The same for every band, in the criterion's order; they sum to one.
        applies_to: The vertebrae that the criterion holds for.
        limits: What it does not say.
    """

    criterion: str
    source: str
    quantity: str
    level: str
    value: float
    unit: str
    interval: Interval
    category: str
    probability: float
    categories: Mapping[str, float]
    applies_to: tuple[str, ...]
    limits: tuple[str, ...]


@dataclass(frozen=True)
class WithheldAssessment:
    """A criterion that could not be applied, and why."""

    criterion: str
    source: str
    level: str
    reason: str


_PROTOCOL = (
    "Holds at 120 kVp. Its authors saw no effect of contrast on its performance, others saw the "
    "value rise; it is not a diagnosis."
)
_MEDIAN = f"Published for the mean of a hand-drawn oval; here the {ROBUST_ESTIMATOR} is used."

CRITERIA: Mapping[str, Criterion] = MappingProxyType(
    {
        c.name: c
        for c in (
            Criterion(
                "pickhardt-l1-hu",
                "Pickhardt et al., Ann Intern Med 2013;158:588, n = 1,867",
                f"trabecular attenuation of L1, {ROBUST_ESTIMATOR}",
                "HU",
                ("L1",),
                (
                    Band("osteoporosis likely (specific threshold)", -math.inf, 110.0),
                    Band("indeterminate", 110.0, 160.0),
                    Band("osteoporosis unlikely (sensitive threshold)", 160.0, math.inf),
                ),
                (
                    "At 110 HU more than 90 % specific, at 160 HU 90 % sensitive for a DXA T-score "
                    "of -2.5 or less; other cohorts found an AUC of 0.64 to 0.83.",
                    _PROTOCOL,
                    _MEDIAN,
                ),
            ),
            Criterion(
                "qct-vbmd",
                "QCT consensus, PMC7495321; ACR practice parameter; ISCD positions",
                f"trabecular volumetric BMD, {ROBUST_ESTIMATOR}, through a named calibration",
                "mg/cm3",
                ("L1", "L2", "L3", "L4", "L1-L2", "L1-L3", "L2-L4", "L1-L4"),
                (
                    Band("osteoporosis (QCT)", -math.inf, 80.0, includes_high=False),
                    Band("low bone mass (QCT)", 80.0, 120.0),
                    Band("normal (QCT)", 120.0, math.inf),
                ),
                (
                    "A category of volumetric BMD, not a WHO class: QCT T-scores are not "
                    "equivalent to those of DXA (ISCD).",
                    "The source takes the mean of two lumbar bodies, in postmenopausal women and "
                    "older men; K2HPO4 and hydroxyapatite densities differ.",
                ),
            ),
            Criterion(
                "hu-norm-for-age-jang",
                "Jang et al., Radiology 2019, doi 10.1148/radiol.2019181648, n = 20,374",
                "z-score of the trabecular attenuation of L1 against people of the same age",
                "1",
                ("L1",),
                (
                    Band("below the range for age", -math.inf, -2.0),
                    Band("within the range for age", -2.0, 2.0),
                    Band("above the range for age", 2.0, math.inf),
                ),
                (
                    "Compares with people of the same age; says nothing about osteoporosis.",
                    "The cut at two SD is a convention, not the source's; the source's automated "
                    "readings lay 21 HU above manual ones.",
                    "The mean falls by 2.5 HU a year from 226 HU at 30 years; the source gives "
                    "89 HU for 90 years and older.",
                ),
            ),
        )
    }
)
"""Every criterion by the name that ``--criterion`` takes."""


def assess(name: str, evidence: Evidence) -> Assessment | WithheldAssessment:
    """What one criterion says.

    Args:
        name: A key of :data:`CRITERIA`.
        evidence: What is known; a missing part withholds the criterion, it is never filled in.

    Raises:
        InputError: Unknown name.
    """
    try:
        criterion = CRITERIA[name]
    except KeyError:
        known = ", ".join(CRITERIA)
        raise InputError(f"Unknown criterion {name!r}; known: {known}.") from None
    reason = evidence.withheld or _off_level(criterion, evidence)
    budget = Missing(criterion.unit, reason) if reason else _QUANTITY[name](evidence)
    if isinstance(budget, Missing):
        return WithheldAssessment(name, criterion.source, evidence.level, budget.reason)
    chances = {b.name: budget.probability_between(b.low, b.high) for b in criterion.bands}
    total = sum(chances.values())
    chances = {band: chance / total for band, chance in chances.items()}
    category = next(b.name for b in criterion.bands if b.reaches(budget.value))
    return Assessment(
        criterion=name,
        source=criterion.source,
        quantity=criterion.quantity,
        level=evidence.level,
        value=budget.value,
        unit=criterion.unit,
        interval=budget.interval,
        category=category,
        probability=chances[category],
        categories=MappingProxyType(chances),
        applies_to=criterion.levels,
        limits=(*criterion.limits, *_doubts(criterion, evidence)),
    )


def jang_norm_hu(age_years: float) -> tuple[float, float]:
    """Mean and SD of L1 attenuation at an age, HU.

    226 +- 44 up to 30 years, then 2.5 HU less a year; 89 +- 38 from 90 years (Jang 2019). The SD
    between the two ages runs linearly from 44 to 38.

    Args:
        age_years: 18 to 110.

    Raises:
        InputError: An age outside 18 to 110 years.
    """
    if not 18.0 <= age_years <= 110.0:
        raise InputError(f"The norm covers 18 to 110 years, not {age_years:g}.")
    if age_years >= 90.0:
        return 89.0, 38.0
    older = max(0.0, age_years - 30.0)
    return 226.0 - 2.5 * older, 44.0 - 6.0 * older / 60.0


def _off_level(criterion: Criterion, evidence: Evidence) -> str | None:
    if evidence.level in criterion.levels:
        return None
    return f"It holds for {', '.join(criterion.levels)} only, not for {evidence.level}."


def _doubts(criterion: Criterion, evidence: Evidence) -> tuple[str, ...]:
    """What this scan leaves open for a criterion that rests on attenuation."""
    if criterion.unit == "mg/cm3":
        return ()
    found = []
    if evidence.kvp is None:
        found.append("The tube voltage is unknown; the criterion holds at 120 kVp.")
    if evidence.contrast_enhanced is None:
        found.append("Whether contrast was given is unknown; it raises the value.")
    elif evidence.contrast_enhanced:
        found.append("Contrast was given and raises the value; it is not corrected here.")
    return tuple(found)


def _attenuation(evidence: Evidence) -> UncertaintyBudget | Missing:
    if evidence.kvp is not None and abs(evidence.kvp - 120.0) > 0.5:
        return Missing("HU", f"It holds at 120 kVp; this scan was made at {evidence.kvp:g} kVp.")
    return evidence.hu


def _norm_for_age(evidence: Evidence) -> UncertaintyBudget | Missing:
    budget = _attenuation(evidence)
    if isinstance(budget, Missing):
        return budget
    if evidence.age_years is None:
        return Missing("1", "The patient's age is unknown, and no age is assumed.")
    if not 18.0 <= evidence.age_years <= 110.0:
        return Missing("1", "It holds for ages from 18 to 110 years.")
    mean, sd = jang_norm_hu(evidence.age_years)
    components = tuple(
        replace(c, standard_uncertainty=c.standard_uncertainty / sd, unit="1")
        for c in budget.components
    )
    return UncertaintyBudget((budget.value - mean) / sd, "1", components)


_QUANTITY: Mapping[str, Callable[[Evidence], UncertaintyBudget | Missing]] = MappingProxyType(
    {
        "pickhardt-l1-hu": _attenuation,
        "qct-vbmd": lambda evidence: evidence.bmd,
        "hu-norm-for-age-jang": _norm_for_age,
    }
)
