"""A number that travels with its unit, method, region and uncertainty, or with its absence."""

from __future__ import annotations

import math
from dataclasses import dataclass

from osteoscope.core.errors import OsteoscopeError

Z95 = 1.959963984540054
"""Half the width of a normal distribution's central 95 %, in standard deviations."""


@dataclass(frozen=True)
class Interval:
    """An interval of a stated level around a value, in the value's unit.

    Args:
        low: Lower end.
        high: Upper end, not below ``low``.
        level: Coverage, in (0, 1).
        covers: The sources of error it accounts for, for example ``("noise", "region")``.
    """

    low: float
    high: float
    level: float = 0.95
    covers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise OsteoscopeError(f"An interval must rise: {self.low} to {self.high}.")


@dataclass(frozen=True)
class Measurement:
    """One measured value.

    Args:
        code: What was measured, for example ``trabecular_median_hu``.
        value: The value in ``unit``; finite.
        unit: ``HU``, ``mg/cm3``, ``g/cm2``, ``mm``, ``cm3`` or ``1``.
        method: How, in words that let another laboratory repeat it.
        region: Where, for example ``L1 body eroded 5 mm``.
        interval: How sure it is; ``None`` where no budget exists, which the report says.
    """

    code: str
    value: float
    unit: str
    method: str
    region: str
    interval: Interval | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise OsteoscopeError(f"{self.code} is not finite; report it as Missing instead.")


@dataclass(frozen=True)
class Missing:
    """A measurement that could not or must not be made, and why.

    Args:
        code: What is missing.
        reason: One sentence.
    """

    code: str
    reason: str
