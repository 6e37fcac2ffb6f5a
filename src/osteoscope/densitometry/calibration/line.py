"""A calibration: a straight line from HU to mineral density that knows its own error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError
from osteoscope.densitometry.uncertainty import Component, UncertaintyBudget

Mineral = Literal["HA", "K2HPO4"]
MINERALS: tuple[Mineral, ...] = ("HA", "K2HPO4")


@dataclass(frozen=True, eq=False)
class Calibration:
    """``density = slope * HU + intercept``, in mg of the named mineral per cm3.

    Args:
        name: ``table``, ``phantom`` or ``internal``.
        mineral: The salt that the density is expressed in. K2HPO4 and hydroxyapatite (HA)
            densities of one bone differ by some 15 % (doi 10.1016/0169-6009(92)90845-3); they are
            never converted here.
        slope_mg_cm3_per_hu: Positive.
        intercept_mg_cm3: Density at 0 HU.
        covariance: (2, 2) of slope and intercept, in the squared units of each.
        source: Where it comes from, in words for the report.
        warnings: What is doubtful about it, one sentence each.

    Raises:
        InputError: A slope that is not positive, or a covariance that is not one.
    """

    name: str
    mineral: Mineral
    slope_mg_cm3_per_hu: float
    intercept_mg_cm3: float
    covariance: NDArray[np.float64]
    source: str
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.slope_mg_cm3_per_hu) and self.slope_mg_cm3_per_hu > 0):
            raise InputError(
                "A calibration's slope must be positive: denser bone attenuates more, but it is "
                f"{self.slope_mg_cm3_per_hu:g} mg/cm3 per HU."
            )
        if not math.isfinite(self.intercept_mg_cm3):
            raise InputError("A calibration's intercept must be finite.")
        if self.mineral not in MINERALS:
            raise InputError(f"Unknown mineral {self.mineral!r}; known: {', '.join(MINERALS)}.")
        covariance = np.array(self.covariance, dtype=np.float64)
        if covariance.shape != (2, 2) or not np.all(np.isfinite(covariance)):
            raise InputError("A calibration's covariance must be a finite 2 x 2 matrix.")
        if not np.allclose(covariance, covariance.T):
            raise InputError("A calibration's covariance must be symmetric.")
        scale = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        if np.any(np.diag(covariance) < 0) or abs(covariance[0, 1]) > scale[0] * scale[1] * 1.001:
            raise InputError("A calibration's covariance has a correlation outside -1 to 1.")
        covariance.setflags(write=False)
        object.__setattr__(self, "covariance", covariance)

    def hu_to_bmd(self, hu: float) -> tuple[float, float]:
        """Density in mg/cm3 and the standard error that the line itself brings to it."""
        gradient = np.array([hu, 1.0])
        variance = float(gradient @ self.covariance @ gradient)
        value = self.slope_mg_cm3_per_hu * hu + self.intercept_mg_cm3
        return value, math.sqrt(max(0.0, variance))

    def budget(self, measured_hu: UncertaintyBudget) -> UncertaintyBudget:
        """The density of a measured attenuation, its components scaled, the line's error added.

        A calibration of this very scanner and protocol stands for the scanner's own components:
        give it ``assessment_budget(..., scanner_calibrated=True)``.

        Raises:
            InputError: A budget that is not in HU.
        """
        if measured_hu.unit != "HU":
            raise InputError(f"A calibration converts HU, not {measured_hu.unit}.")
        value, standard_error = self.hu_to_bmd(measured_hu.value)
        scaled = tuple(
            Component(
                c.name,
                c.standard_uncertainty * self.slope_mg_cm3_per_hu,
                "mg/cm3",
                c.source,
                c.side,
            )
            for c in measured_hu.components
        )
        own = Component("calibration", standard_error, "mg/cm3", f"{self.name} calibration")
        return UncertaintyBudget(value, "mg/cm3", (*scaled, own))
