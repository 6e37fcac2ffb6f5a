"""What a published criterion says about one patient, how sure it is, and what it leaves open."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from osteoscope.core.measurement import Interval, Missing
from osteoscope.core.registry import look_up
from osteoscope.core.volume import KVP_TOLERANCE, STANDARD_KVP
from osteoscope.densitometry.criteria import (
    CRITERIA,
    MANUAL_SHIFT_HU,
    Criterion,
    jang_norm_hu,
)
from osteoscope.densitometry.uncertainty import Component, UncertaintyBudget

ADULT_YEARS = 18.0
"""Every criterion was found in adults."""
DENSEST_HU, LEAST_DENSE_HU = 226.0 + 3 * 44.0, 0.0
"""Three SD above adults below 30 years, and 2.3 SD below those from 90 (Jang 2019)."""
WHO_YEARS = 50.0
"""WHO's classes hold for postmenopausal women and for men from this age (ISCD)."""


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
        means_hu: Means of the level by the name of their region, HU: published cut points were
            found with means.
    """

    level: str
    hu: UncertaintyBudget | Missing
    bmd: UncertaintyBudget | Missing
    kvp: float | None = None
    contrast_enhanced: bool | None = None
    age_years: float | None = None
    withheld: str | None = None
    means_hu: Mapping[str, float] = field(default_factory=dict)


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
        limits: What it does not say.
        doubts: What this scan and this patient leave open, one sentence each.
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
    limits: tuple[str, ...]
    doubts: tuple[str, ...]


@dataclass(frozen=True)
class WithheldAssessment:
    """A criterion that could not be applied, and why."""

    criterion: str
    source: str
    level: str
    reason: str


def assess(name: str, evidence: Evidence) -> Assessment | WithheldAssessment:
    """What one criterion says.

    Args:
        name: A key of :data:`CRITERIA`.
        evidence: What is known; a missing part withholds the criterion, it is never filled in.

    Raises:
        InputError: Unknown name.
    """
    criterion = look_up(CRITERIA, name, "criterion")
    reason = evidence.withheld or _too_young(evidence) or _off_level(criterion, evidence)
    budget = Missing(criterion.unit, reason) if reason else _QUANTITY[name](evidence)
    if isinstance(budget, Missing):
        return WithheldAssessment(name, criterion.source, evidence.level, budget.reason)
    chances = {b.name: budget.probability_between(b.low, b.high) for b in criterion.bands}
    total = sum(chances.values())
    chances = {band: chance / total for band, chance in chances.items()}
    category = criterion.band(budget.value).name
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
        limits=criterion.limits,
        doubts=_doubts(criterion, evidence),
    )


def _too_young(evidence: Evidence) -> str | None:
    if evidence.age_years is None or evidence.age_years >= ADULT_YEARS:
        return None
    return (
        f"This criterion holds for adults, from {ADULT_YEARS:g} years; the file gives an age of "
        f"{evidence.age_years:.0f}."
    )


def _off_level(criterion: Criterion, evidence: Evidence) -> str | None:
    if evidence.level in criterion.levels:
        return None
    return f"This criterion holds for {', '.join(criterion.levels)} only, not for {evidence.level}."


def _doubts(criterion: Criterion, evidence: Evidence) -> tuple[str, ...]:
    """What this scan and this patient leave open."""
    found = []
    if criterion.unit != "mg/cm3" and evidence.kvp is None:
        found.append("The tube voltage is unknown; the criterion holds at 120 kVp.")
    if evidence.contrast_enhanced is None:
        found.append("Whether contrast was given is unknown; it raises the value.")
    elif evidence.contrast_enhanced:
        found.append("Contrast was given and raises the value; it is not corrected here.")
    if criterion.name == "qct-vbmd" and "-" not in evidence.level:
        found.append(f"Only {evidence.level} was judged; one body alone is less sure than two.")
    if criterion.name != "hu-norm-for-age-jang":
        found += _who_ages(evidence)
    return (*found, *_beyond_bone(evidence), *_by_the_mean(criterion, evidence))


def _beyond_bone(evidence: Evidence) -> list[str]:
    """Attenuation that no loss or gain of bone explains: see a cause before a category."""
    if isinstance(evidence.hu, Missing):
        return []
    if evidence.hu.value > DENSEST_HU:
        return [
            f"More than {DENSEST_HU:.0f} HU, three SD above young adults, is not strong bone but "
            "another finding: metastases, renal or Paget's disease, or contrast."
        ]
    if evidence.hu.value < LEAST_DENSE_HU:
        return [
            f"Less than {LEAST_DENSE_HU:.0f} HU is fatty marrow almost without bone, a lesion, or "
            "a region that does not lie in bone: look at the picture."
        ]
    return []


def _who_ages(evidence: Evidence) -> list[str]:
    scope = "WHO's classes are not for premenopausal women or men under 50, nor this criterion"
    if evidence.age_years is None:
        return [f"The age is unknown: {scope}; for children it means nothing."]
    if evidence.age_years < WHO_YEARS:
        return [f"The patient is {evidence.age_years:.0f} years old: {scope}."]
    return []


def _by_the_mean(criterion: Criterion, evidence: Evidence) -> list[str]:
    """Where the estimator of the source, a mean, would give another category."""
    if criterion.unit != "HU" or isinstance(evidence.hu, Missing):
        return []
    chosen = criterion.band(evidence.hu.value).name
    return [
        f"By the mean of the {region} ({mean:.0f} HU) the category would be "
        f"{criterion.band(mean).name!r}."
        for region, mean in evidence.means_hu.items()
        if criterion.band(mean).name != chosen
    ]


def _attenuation(evidence: Evidence) -> UncertaintyBudget | Missing:
    if evidence.kvp is not None and abs(evidence.kvp - STANDARD_KVP) > KVP_TOLERANCE:
        return Missing(
            "HU", f"This criterion holds at 120 kVp; this scan was made at {evidence.kvp:g} kVp."
        )
    return evidence.hu


def _norm_for_age(evidence: Evidence) -> UncertaintyBudget | Missing:
    budget = _attenuation(evidence)
    if isinstance(budget, Missing):
        return budget
    if evidence.age_years is None:
        return Missing("1", "The patient's age is unknown, and no age is assumed.")
    if evidence.age_years > 110.0:
        return Missing("1", "This criterion holds for ages from 18 to 110 years.")
    mean, sd = jang_norm_hu(evidence.age_years)
    norm = Component(
        "norm", MANUAL_SHIFT_HU / math.sqrt(3.0), "HU", "automated less manual readings, Jang 2019"
    )
    components = tuple(
        replace(c, standard_uncertainty=c.standard_uncertainty / sd, unit="1")
        for c in (*budget.components, norm)
    )
    return UncertaintyBudget((budget.value - mean) / sd, "1", components)


_QUANTITY: Mapping[str, Callable[[Evidence], UncertaintyBudget | Missing]] = MappingProxyType(
    {
        "pickhardt-l1-hu": _attenuation,
        "qct-vbmd": lambda evidence: evidence.bmd,
        "hu-norm-for-age-jang": _norm_for_age,
    }
)
