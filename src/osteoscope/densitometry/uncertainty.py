"""How sure a region's attenuation is: the components, their sum and two intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from osteoscope.core.errors import InputError
from osteoscope.core.measurement import Interval
from osteoscope.core.robust import weighted_quantiles
from osteoscope.core.volume import KVP_TOLERANCE, STANDARD_KVP, Acquisition, Volume
from osteoscope.densitometry.region import Region
from osteoscope.densitometry.statistics import RegionStatistics, region_values

REGION_STEP_MM = 1.0
"""The surface of a segmentation is taken to be known to about this."""

_PRECISION_SOURCE = "RMS CV, doi 10.1186/s41747-024-00483-9"
KERNEL_CV, PHASE_CV, SCANNER_CV = 0.013, 0.029, 0.049

CONTRAST_SHIFT_HU, CONTRAST_SHIFT_SD_HU = 11.2, 19.2
_CONTRAST_SOURCE = "L1 enhanced less unenhanced +11.2 +- 19.2 HU, doi 10.1007/s00198-015-3224-9"

KVP_SPREAD = 0.12
"""Half the spread of one bone's attenuation from 100 to 140 kVp, relative to 120 kVp. Computed from
the simulator's spectra: 100 to 200 mg/cm3 of mineral in marrow read 13-15 % more at 100 kVp and
9-10 % less at 140 (means of different patients differ by half of that: 148.1, 140.9, 131.3 HU,
AAPM 2026). At 80 kVp they read 37 % more, which is not covered."""
_KVP_SOURCE = "one bone from 100 to 140 kVp, computed from spectra; 80 kVp is not covered"

_CORRELATION_LAGS_MM = 6.0
_WINSOR_SDS = 3.0


@dataclass(frozen=True)
class Component:
    """One source of error.

    Args:
        name: ``noise``, ``rounding``, ``region``, ``kernel``, ``phase``, ``scanner``,
            ``contrast``, ``kvp``.
        standard_uncertainty: One standard deviation, in ``unit``, not negative.
        unit: Unit of the value.
        source: Where the number comes from.
        side: ``both``, or ``low`` where the error can only have raised the value.
    """

    name: str
    standard_uncertainty: float
    unit: str
    source: str
    side: Literal["both", "low"] = "both"


@dataclass(frozen=True)
class UncertaintyBudget:
    """The errors of one value and what they add up to.

    The components add in quadrature; those of side ``low`` widen the lower half only. The true
    value is then distributed as two half normals that join without a step (a two-piece normal):
    each side holds a probability in proportion to its spread, so an error that can only have
    raised the value makes a lower truth the likelier one.

    Args:
        value: The value they belong to.
        unit: Its unit.
        components: Every component that applies.
    """

    value: float
    unit: str
    components: tuple[Component, ...]

    @property
    def total(self) -> float:
        """Combined standard uncertainty of the components that act on both sides."""
        return _quadrature(c for c in self.components if c.side == "both")

    @property
    def total_low(self) -> float:
        """Combined standard uncertainty towards lower values, one-sided components included."""
        return _quadrature(self.components)

    @property
    def interval(self) -> Interval:
        """The 95 % interval, 2.5 % beyond either end; ``covers`` names the components.

        The value itself always lies inside.
        """
        low = high = self.value
        if self.total_low > 0:
            low += min(0.0, self.total_low * float(ndtri(0.0125 / self._share_low)))
        if self.total > 0:
            high -= min(0.0, self.total * float(ndtri(0.0125 / (1.0 - self._share_low))))
        return Interval(low, high, 0.95, tuple(c.name for c in self.components))

    def probability_between(self, low: float, high: float) -> float:
        """Probability that the true value lies within ``low`` to ``high`` (either may be inf)."""
        return max(0.0, self._below(high) - self._below(low))

    def _below(self, limit: float) -> float:
        spread = self.total_low if limit < self.value else self.total
        if spread == 0:
            return float(limit >= self.value)
        score = (limit - self.value) / spread
        if score < 0:
            return 2.0 * self._share_low * float(ndtr(score))
        return 1.0 - 2.0 * (1.0 - self._share_low) * float(ndtr(-score))

    @property
    def _share_low(self) -> float:
        """Probability that the true value lies below this one."""
        return self.total_low / (self.total_low + self.total)


def measurement_budget(
    volume: Volume,
    region: Region,
    statistics: RegionStatistics,
    neighbours: Sequence[Region] = (),
) -> UncertaintyBudget:
    """How far this scan's median may lie from the trabecular bone's own in this scan.

    Covers noise and the region's definition only: not the scanner, the kernel or contrast, which
    change what the bone measures and belong to :func:`assessment_budget`.

    - *noise*: the standard error of a median, 1.2533 s / sqrt(n), with s the robust SD and n the
      region's volume divided by the correlation volume that the region itself shows.
    - *rounding*: scans hold whole HU, so a median does: 1 / sqrt(12) HU.
    - *region*: the largest change of the median from the region to its neighbours (the body
      eroded 1 mm less and more), taken as the half-width of a rectangular distribution.

    Args:
        volume: The scan in canonical orientation, HU.
        region: The region of the median.
        statistics: Of that region.
        neighbours: What the region would be with its surface elsewhere, see
            :func:`~osteoscope.densitometry.trabecular.eroded_body_with_neighbours`; none leaves
            *region* out.

    Raises:
        QualityError: A neighbour is empty.
    """
    noise = Component(
        "noise",
        1.2533 * _spread(statistics) / math.sqrt(independent_samples(volume, region, statistics)),
        statistics.unit,
        "standard error of the median, correlation measured in the region",
    )
    rounding = Component("rounding", 1.0 / math.sqrt(12.0), statistics.unit, "scans hold whole HU")
    if not neighbours:
        return UncertaintyBudget(statistics.median, statistics.unit, (noise, rounding))
    shifts = [abs(_median(volume, other) - statistics.median) for other in neighbours]
    definition = Component(
        "region",
        max(shifts) / math.sqrt(3.0),
        statistics.unit,
        f"median with the body eroded {REGION_STEP_MM:g} mm less and more",
    )
    return UncertaintyBudget(statistics.median, statistics.unit, (noise, rounding, definition))


def assessment_budget(
    measured: UncertaintyBudget,
    acquisition: Acquisition,
    *,
    contrast_enhanced: bool | None = None,
    scanner_calibrated: bool = False,
) -> UncertaintyBudget:
    """The budget of the value that a criterion is applied to.

    Adds to the measurement what separates this scanner and protocol from those behind a published
    threshold. A component applies where the scan does not rule it out: the kernel and scanner
    always, unless a calibration of this scanner and protocol was used; contrast (downwards only:
    it can only have raised the value) and its phase unless the scan is known to be unenhanced;
    the tube voltage unless the file states 120 kVp.

    Args:
        measured: From :func:`measurement_budget`, HU.
        acquisition: What the file says.
        contrast_enhanced: What is known beyond the file, for example from the aorta; None leaves
            the file's word.
        scanner_calibrated: The value went through a calibration of this scanner and kVp.

    Raises:
        InputError: The budget already holds these components.
    """
    if any(c.name == "scanner" for c in measured.components):
        raise InputError("This budget already holds the scanner; give the measurement's budget.")
    value, unit = abs(measured.value), measured.unit
    added: list[Component] = []
    if not scanner_calibrated:
        added.append(Component("kernel", KERNEL_CV * value, unit, _PRECISION_SOURCE))
        added.append(Component("scanner", SCANNER_CV * value, unit, _PRECISION_SOURCE))
        if acquisition.kvp is None or abs(acquisition.kvp - STANDARD_KVP) > KVP_TOLERANCE:
            spread = KVP_SPREAD * value / math.sqrt(3.0)
            added.append(Component("kvp", spread, unit, _KVP_SOURCE))
    enhanced = acquisition.contrast_enhanced if contrast_enhanced is None else contrast_enhanced
    if enhanced is not False:
        added.append(Component("phase", PHASE_CV * value, unit, _PRECISION_SOURCE))
        shift = math.hypot(CONTRAST_SHIFT_HU, CONTRAST_SHIFT_SD_HU)
        added.append(Component("contrast", shift, unit, _CONTRAST_SOURCE, side="low"))
    return UncertaintyBudget(measured.value, unit, (*measured.components, *added))


def averaged(budgets: Sequence[UncertaintyBudget]) -> UncertaintyBudget:
    """The mean of several levels' values, as the QCT consensus takes it over two bodies.

    Noise and region are independent between levels and shrink with their number; every other
    component is shared by the scan and is averaged as it is.

    Args:
        budgets: One or more in one unit, with the same components each.

    Raises:
        InputError: None given, several units, or different components.
    """
    if not budgets or len({b.unit for b in budgets}) > 1:
        raise InputError("An average needs one or more budgets in one unit.")
    if len({tuple((c.name, c.side) for c in b.components) for b in budgets}) > 1:
        raise InputError("An average needs budgets with the same components.")
    count = len(budgets)
    components = []
    for parts in zip(*(b.components for b in budgets), strict=True):
        if parts[0].name in ("noise", "region"):
            size = _quadrature(parts) / count
        else:
            size = sum(c.standard_uncertainty for c in parts) / count
        components.append(replace(parts[0], standard_uncertainty=size))
    mean = sum(b.value for b in budgets) / count
    return UncertaintyBudget(mean, budgets[0].unit, tuple(components))


def independent_samples(volume: Volume, region: Region, statistics: RegionStatistics) -> float:
    """How many independent values the region holds, at least 1.

    The region's volume over the product, axis by axis, of the correlation length
    ``h (1 + 2 sum rho_k)``; rho_k is the autocorrelation of the residuals (limited to 3 robust
    SD, so that one focus does not rule) at lag k, summed to its first value below zero, within
    6 mm. The structure of the bone counts as correlation too, which widens the interval.
    """
    limit = _WINSOR_SDS * _spread(statistics)
    cut = volume.array[region.box].astype(np.float32) - np.float32(statistics.median)
    residual = np.clip(cut, -limit, limit)
    inside = region.weights > 0.5
    if not inside.any() or limit == 0:
        return max(1.0, statistics.n_effective)
    residual = np.where(inside, residual - residual[inside].mean(), 0.0)
    correlation_mm3 = 1.0
    for axis, spacing in enumerate(region.grid.spacing_mm):
        correlation_mm3 *= _correlation_length(residual, inside, axis, float(spacing))
    return max(1.0, statistics.volume_cm3 * 1000.0 / correlation_mm3)


def _correlation_length(
    residual: NDArray[np.float32], inside: NDArray[np.bool_], axis: int, spacing_mm: float
) -> float:
    variance = float(np.mean(residual[inside] ** 2))
    total = 1.0
    lags = min(int(_CORRELATION_LAGS_MM / spacing_mm), residual.shape[axis] - 1)
    for lag in range(1, lags + 1):
        ahead = tuple(slice(lag, None) if a == axis else slice(None) for a in range(3))
        behind = tuple(slice(None, -lag) if a == axis else slice(None) for a in range(3))
        both = inside[ahead] & inside[behind]
        if variance == 0 or np.count_nonzero(both) < 20:
            break
        rho = float(np.mean((residual[ahead] * residual[behind])[both])) / variance
        if rho <= 0:
            break
        total += 2 * rho
    return spacing_mm * total


def _median(volume: Volume, region: Region) -> float:
    values, weights = region_values(volume, region)
    return weighted_quantiles(values, weights, (0.5,))[0]


def _spread(statistics: RegionStatistics) -> float:
    """Robust SD; of values so alike that the MAD is zero, the plain one."""
    return statistics.robust_sd if statistics.mad > 0 else statistics.sd


def _quadrature(components: Iterable[Component]) -> float:
    return math.sqrt(sum(c.standard_uncertainty**2 for c in components))
