"""Corrections for contrast, only by a named published rule; nothing is corrected by default."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from osteoscope.core.errors import InputError
from osteoscope.core.registry import look_up

Phase = Literal["arterial", "portal-venous", "any"]


@dataclass(frozen=True)
class Correction:
    """A published line from an enhanced to an unenhanced value.

    Args:
        name: The name that ``--contrast-rule`` takes.
        unit: ``HU`` or ``mg/cm3``: the rule holds for this unit only.
        phase: The contrast phase it was found in.
        slope: Factor on the enhanced value.
        intercept: Added, in ``unit``.
        standard_uncertainty: SD of one patient about the rule, in ``unit``; None where the source
            gives none.
        source: Where the rule is published.
    """

    name: str
    unit: Literal["HU", "mg/cm3"]
    phase: Phase
    slope: float
    intercept: float
    standard_uncertainty: float | None
    source: str


@dataclass(frozen=True)
class CorrectedValue:
    """A value after a named correction.

    Args:
        value: Corrected value, in ``unit``.
        standard_uncertainty: Of the measurement and the rule together, in ``unit``.
        unit: ``HU`` or ``mg/cm3``.
        original: The value before.
        correction: The rule.
    """

    value: float
    standard_uncertainty: float
    unit: str
    original: float
    correction: Correction


UNSTATED_UNCERTAINTY_HU = 19.2
"""Stands for a HU rule that gives no spread of its own: the widest published one (Pickhardt)."""

UNSTATED_UNCERTAINTY_MG_CM3 = 10.0
"""Stands for a BMD rule without a spread. Not published: about half the HU spread, as 1 HU is
about 0.5 to 0.8 mg/cm3, on the wide side."""

_ECR = "ECR abstract, Grünewald et al., n = 288, shift of L1 without its spread"
_ROFO = "Toelly et al. 2017, doi 10.1055/s-0043-102941 (phantom-less BMD)"

CORRECTIONS: Mapping[str, Correction] = MappingProxyType(
    {
        c.name: c
        for c in (
            Correction("ecr-arterial", "HU", "arterial", 1.0, -14.4, None, _ECR),
            Correction("ecr-portal-venous", "HU", "portal-venous", 1.0, -25.7, None, _ECR),
            Correction(
                "pickhardt-contrast", "HU", "any", 1.0, -11.2, 19.2,
                "Pickhardt et al. 2016, doi 10.1007/s00198-015-3224-9, n = 157",
            ),
            Correction("toelly-arterial", "mg/cm3", "arterial", 0.964, -2.287, None, _ROFO),
            Correction("toelly-venous", "mg/cm3", "portal-venous", 0.978, -4.517, None, _ROFO),
        )
    }
)  # fmt: skip
"""Every correction by name. There is none for the tube voltage: no published HU line per kVp holds
across scanners, so another voltage than 120 kVp needs a calibration of its own."""


def correction_rule(name: str) -> Correction:
    """The rule of that name.

    Raises:
        InputError: The name is unknown; the message lists the known ones.
    """
    return look_up(CORRECTIONS, name, "correction")


def correct(
    value: float, unit: str, name: str, *, standard_uncertainty: float = 0.0
) -> CorrectedValue:
    """The unenhanced value that a named rule gives: ``slope * value + intercept``.

    Args:
        value: The enhanced value, in ``unit``.
        unit: ``HU`` or ``mg/cm3``.
        name: A key of :data:`CORRECTIONS`.
        standard_uncertainty: Of the value, in ``unit``.

    Raises:
        InputError: Unknown name, a rule for another unit, or a value that is not finite.

    Examples:
        >>> round(correct(150.0, "HU", "ecr-portal-venous").value, 1)
        124.3
    """
    rule = correction_rule(name)
    if rule.unit != unit:
        raise InputError(f"The correction {name} is for {rule.unit}, not {unit}; choose another.")
    if not math.isfinite(value) or not standard_uncertainty >= 0:
        raise InputError(
            "A correction needs a finite value and an uncertainty that is not below 0."
        )
    default = UNSTATED_UNCERTAINTY_HU if unit == "HU" else UNSTATED_UNCERTAINTY_MG_CM3
    own = default if rule.standard_uncertainty is None else rule.standard_uncertainty
    return CorrectedValue(
        value=rule.slope * value + rule.intercept,
        standard_uncertainty=math.hypot(rule.slope * standard_uncertainty, own),
        unit=unit,
        original=value,
        correction=rule,
    )
