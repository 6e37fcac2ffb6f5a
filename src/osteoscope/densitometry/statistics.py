"""Weighted statistics of a region: partial volumes count by their share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import GeometryError, QualityError
from osteoscope.core.robust import MAD_TO_SD, weighted_quantiles
from osteoscope.core.volume import Volume
from osteoscope.densitometry.region import Region

ROBUST_ESTIMATOR = (
    "weighted median (a dense or lytic focus moves it little; partial volumes weighted)"
)
"""The estimator that every criterion uses, in the words of the report."""

_PADDING_LIMIT = 0.01


@dataclass(frozen=True)
class RegionStatistics:
    """What lies in a region, in the volume's unit.

    Args:
        level: The vertebra.
        method: How the region was drawn.
        unit: ``HU`` or ``mg/cm3``.
        volume_cm3: Sum of weights times the voxel volume.
        n_voxels: Voxels with any share in the region.
        n_effective: (sum w)^2 / sum w^2 (Kish): voxels of full weight that carry as much.
        mean: Weighted mean.
        median: Weighted median: half the weight lies on either side.
        sd: Weighted standard deviation about the mean (divisor: sum of weights).
        mad: Weighted median of the distances from the median; times 1.4826 it is a robust SD.
        p10: Weighted 10th percentile.
        p25: Weighted 25th percentile.
        p75: Weighted 75th percentile.
        p90: Weighted 90th percentile.
    """

    level: str
    method: str
    unit: str
    volume_cm3: float
    n_voxels: int
    n_effective: float
    mean: float
    median: float
    sd: float
    mad: float
    p10: float
    p25: float
    p75: float
    p90: float

    @property
    def robust_sd(self) -> float:
        """1.4826 times the MAD: the SD of a normal distribution with that MAD."""
        return MAD_TO_SD * self.mad


def region_values(
    volume: Volume, region: Region
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The values and weights of the region's voxels, both (n,), voxels without weight left out.

    Args:
        volume: The scan in canonical orientation (``Volume.canonical()``).
        region: Weights on the scan's voxels.

    Raises:
        GeometryError: The region does not lie on the volume's voxels.
        QualityError: More than 1 % of the region lies in the scan's padding.
    """
    cut = volume.crop(region.box)
    if not cut.grid.matches(region.grid):
        raise GeometryError(
            f"The region of {region.level} does not lie on the volume's voxels; "
            "use the canonical volume that the labels belong to."
        )
    used = region.weights > 0
    values = cut.array[used].astype(np.float64)
    weights = region.weights[used].astype(np.float64)
    if volume.padding is not None and len(values):
        share = float(np.sum(weights[values == volume.padding]) / np.sum(weights))
        if share > _PADDING_LIMIT:
            raise QualityError(
                f"{100 * share:.0f} % of the {region.level} region lies outside the reconstructed "
                "field; nothing can be measured there."
            )
    return values, weights


def region_statistics(volume: Volume, region: Region) -> RegionStatistics:
    """Volume, mean, median, spread and percentiles of a region.

    With integer weights each number equals NumPy's on the values repeated that often
    (percentiles: ``method="averaged_inverted_cdf"``).

    Args:
        volume: The scan in canonical orientation.
        region: Weights on the scan's voxels.

    Raises:
        GeometryError: The region does not lie on the volume's voxels.
        QualityError: The region is empty or lies in padding.
    """
    values, weights = region_values(volume, region)
    total = float(weights.sum())
    if total <= 0:
        raise QualityError(f"The region of {region.level} is empty; nothing can be measured.")
    mean = float(weights @ values) / total
    p10, p25, median, p75, p90 = weighted_quantiles(values, weights, (0.1, 0.25, 0.5, 0.75, 0.9))
    return RegionStatistics(
        level=region.level,
        method=region.method,
        unit=volume.unit,
        volume_cm3=total * region.grid.voxel_volume_mm3 / 1000.0,
        n_voxels=len(values),
        n_effective=total**2 / float(weights @ weights),
        mean=mean,
        median=median,
        sd=float(np.sqrt(weights @ (values - mean) ** 2 / total)),
        mad=weighted_quantiles(np.abs(values - median), weights, (0.5,))[0],
        p10=p10,
        p25=p25,
        p75=p75,
        p90=p90,
    )
