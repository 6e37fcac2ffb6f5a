"""Calibration from a phantom in the scan: rods of known density against their attenuation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from osteoscope.core.errors import InputError, QualityError
from osteoscope.core.measurement import Z95
from osteoscope.densitometry.calibration.line import Calibration, Mineral

R2_WARNS_BELOW = 0.98
R2_REFUSES_BELOW = 0.90
_MIN_RODS = 3


@dataclass(frozen=True)
class Rod:
    """One insert of a phantom.

    Args:
        density_mg_cm3: Known density of its mineral, from the phantom's certificate.
        hu: Its mean attenuation in the scan.
    """

    density_mg_cm3: float
    hu: float


def fit_phantom(rods: Sequence[Rod], *, mineral: Mineral, phantom: str) -> Calibration:
    """The least-squares line of a phantom's rods, read from HU to density.

    The attenuation is regressed on the density, since the error lies in the attenuation; slope
    and intercept of the inverse carry the fit's covariance to first order. The variance of the
    residuals has n - 2 degrees of freedom and is widened by t(n - 2) / z at 95 %, so that 1.96
    standard errors hold with few rods.

    Args:
        rods: At least three, with at least two different densities.
        mineral: ``HA`` or ``K2HPO4``, from the phantom's certificate.
        phantom: Its name, for the report.

    Raises:
        InputError: Too few rods, equal densities, or values that are not finite.
        QualityError: R^2 below 0.90, or attenuation that does not rise with density.
    """
    from scipy.stats import t as student

    density = np.array([r.density_mg_cm3 for r in rods], dtype=np.float64)
    hu = np.array([r.hu for r in rods], dtype=np.float64)
    if len(rods) < _MIN_RODS:
        raise InputError(f"A phantom fit needs at least {_MIN_RODS} rods, not {len(rods)}.")
    if not (np.all(np.isfinite(density)) and np.all(np.isfinite(hu))):
        raise InputError("Every rod of a phantom needs a finite density and attenuation.")
    if np.ptp(density) <= 0:
        raise InputError("A phantom's rods must differ in density; all of these are equal.")
    design = np.column_stack([density, np.ones_like(density)])
    (gain, offset), *_ = np.linalg.lstsq(design, hu, rcond=None)
    residual = hu - design @ np.array([gain, offset])
    spread = float(np.sum((hu - hu.mean()) ** 2))
    r2 = 1.0 - float(residual @ residual) / spread if spread > 0 else 0.0
    if r2 < R2_REFUSES_BELOW or gain <= 0:
        raise QualityError(
            f"The phantom's rods do not lie on a rising line (R2 {r2:.3f}, must be at least "
            f"{R2_REFUSES_BELOW:.2f}); check that each rod was measured at its own place."
        )
    freedom = len(rods) - 2
    widening = float(student.ppf(0.975, freedom)) / Z95
    variance = float(residual @ residual) / freedom * widening**2
    of_fit = variance * np.linalg.inv(design.T @ design)
    # First-order propagation through density as (HU - offset) over gain.
    jacobian = np.array([[-1.0 / gain**2, 0.0], [offset / gain**2, -1.0 / gain]])
    warnings: tuple[str, ...] = ()
    if r2 < R2_WARNS_BELOW:
        warnings = (
            f"The phantom fit has R2 {r2:.3f}, below {R2_WARNS_BELOW:.2f}: beam hardening, a "
            "misplaced rod or metal may be the cause.",
        )
    return Calibration(
        name="phantom",
        mineral=mineral,
        slope_mg_cm3_per_hu=float(1.0 / gain),
        intercept_mg_cm3=float(-offset / gain),
        covariance=jacobian @ of_fit @ jacobian.T,
        source=(
            f"{phantom}, {len(rods)} rods of {mineral}, R2 {r2:.4f}, residual SD "
            f"{math.sqrt(float(residual @ residual) / freedom):.1f} HU"
        ),
        warnings=warnings,
    )
