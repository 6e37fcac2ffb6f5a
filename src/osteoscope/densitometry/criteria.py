"""Published criteria: each gives its own category from its own quantity; they are never mixed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from osteoscope.core.errors import InputError
from osteoscope.densitometry.statistics import ROBUST_ESTIMATOR

MANUAL_SHIFT_HU = 21.0
"""Automated readings of L1 over manual ones in Jang 2019, whose norm holds both."""


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

    def band(self, value: float) -> Band:
        """The one that holds a value."""
        return next(band for band in self.bands if band.reaches(value))


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
                    Band("suggests osteoporosis (specific threshold)", -math.inf, 110.0),
                    Band("indeterminate", 110.0, 160.0),
                    Band("does not suggest osteoporosis (sensitive threshold)", 160.0, math.inf),
                ),
                (
                    "At 110 HU more than 90 % specific, at 160 HU 90 % sensitive for a DXA T-score "
                    "of -2.5 or less; other cohorts found an AUC of 0.64 to 0.83.",
                    "Of the source's patients below 100 HU about two in three had osteoporosis by "
                    "DXA (PPV 68 % or more, where osteoporosis is as common); one in ten patients "
                    "with osteoporosis lies above 160 HU.",
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
                    "older men, and does not say of which salt: K2HPO4 and hydroxyapatite "
                    "densities of one bone differ by some 15 %.",
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
                    "The cut at two SD is a convention, not the source's. The source's readings "
                    "are manual and automated, with and without contrast; its automated ones lay "
                    "21 HU above the manual ones, which the interval includes.",
                    "The mean falls by 2.5 HU a year from 226 HU at 30 years; the source gives "
                    "89 HU for 90 years and older.",
                ),
            ),
        )
    }
)
"""Every criterion by the name that ``--criterion`` takes."""


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
