"""What one vertebra measures: its trabecular region by every named method, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.errors import QualityError
from osteoscope.core.measurement import Measurement, Missing
from osteoscope.core.volume import Volume
from osteoscope.densitometry.region import Region
from osteoscope.densitometry.statistics import (
    ROBUST_ESTIMATOR,
    RegionStatistics,
    region_statistics,
)
from osteoscope.densitometry.trabecular import (
    DEFAULT_METHOD,
    REGION_METHODS,
    eroded_body_with_neighbours,
    trabecular_region,
)
from osteoscope.densitometry.uncertainty import (
    REGION_STEP_MM,
    UncertaintyBudget,
    measurement_budget,
)
from osteoscope.studies.screen.config import ScreenConfig

MEDIAN_CODE = "trabecular_median_hu"
"""The measurement that the criteria use."""


@dataclass(frozen=True, eq=False)
class LevelResult:
    """One level: its region, its budget and every number, or why each is missing."""

    level: str
    region: Region | None
    budget: UncertaintyBudget | Missing
    measurements: Mapping[str, Measurement | Missing] = field(default_factory=dict)


def measure_level(
    volume: Volume, vertebra: Vertebra | None, level: str, config: ScreenConfig
) -> LevelResult:
    """Measure one level; what cannot be measured is :class:`Missing` with its reason.

    Args:
        volume: The canonical scan.
        vertebra: The level in the labels, or None where they do not hold it.
        level: Its name.
        config: Region method and erosion.
    """
    if vertebra is None:
        reason = f"{level} is not among the labelled vertebrae."
        return LevelResult(
            level, None, Missing(MEDIAN_CODE, reason), {MEDIAN_CODE: Missing(MEDIAN_CODE, reason)}
        )
    measurements: dict[str, Measurement | Missing] = {}
    region: Region | None = None
    budget: UncertaintyBudget | Missing
    try:
        region, neighbours = _region(vertebra, config)
        statistics = region_statistics(volume, region)
        budget = measurement_budget(volume, region, statistics, neighbours)
        measurements |= _trabecular(statistics, budget)
    except QualityError as error:
        budget = Missing(MEDIAN_CODE, str(error))
        measurements[MEDIAN_CODE] = budget
    for method in REGION_METHODS:
        if method != config.method:
            measurements |= _alternative(volume, vertebra, method)
    measurements |= _heights(vertebra)
    return LevelResult(level, region, budget, measurements)


def _region(vertebra: Vertebra, config: ScreenConfig) -> tuple[Region, tuple[Region, ...]]:
    """The assessed region, and where its surface might lie instead."""
    if config.method == DEFAULT_METHOD:
        return eroded_body_with_neighbours(vertebra, config.erosion_mm, REGION_STEP_MM)
    return trabecular_region(vertebra, config.method, erosion_mm=config.erosion_mm), ()


def _trabecular(
    statistics: RegionStatistics, budget: UncertaintyBudget
) -> dict[str, Measurement | Missing]:
    where = f"{statistics.level} {statistics.method}"
    method = f"{statistics.method}, partial volumes weighted"

    def one(code: str, value: float, unit: str, how: str) -> Measurement:
        return Measurement(code, value, unit, f"{how}; {method}", where)

    median = Measurement(
        MEDIAN_CODE, statistics.median, "HU", f"{ROBUST_ESTIMATOR}; {method}", where,
        budget.interval,
    )  # fmt: skip
    others = (
        one("trabecular_mean_hu", statistics.mean, "HU", "weighted mean"),
        one("trabecular_sd_hu", statistics.sd, "HU", "weighted standard deviation"),
        one("trabecular_volume_cm3", statistics.volume_cm3, "cm3", "sum of weights"),
        one("trabecular_n", statistics.n_effective, "1", "effective number of voxels (Kish)"),
    )
    return {m.code: m for m in (median, *others)}


def _alternative(
    volume: Volume, vertebra: Vertebra, method: str
) -> dict[str, Measurement | Missing]:
    """Mean and median by a method that is not the assessed one, for comparison."""
    stem = method.replace("-", "_")
    mean, median = f"{stem}_mean_hu", f"{stem}_median_hu"
    try:
        region = trabecular_region(vertebra, method)
        statistics = region_statistics(volume, region)
    except QualityError as error:
        return {code: Missing(code, str(error)) for code in (mean, median)}
    where = f"{vertebra.level} {statistics.method}"
    return {
        mean: Measurement(mean, statistics.mean, "HU", "weighted mean", where),
        median: Measurement(median, statistics.median, "HU", "weighted median", where),
    }


def _heights(vertebra: Vertebra) -> dict[str, Measurement | Missing]:
    codes = ("anterior_height_mm", "middle_height_mm", "posterior_height_mm")
    if vertebra.heights is None:
        reason = vertebra.withheld or "An endplate was not found."
        return {code: Missing(code, reason) for code in codes}
    values = (
        vertebra.heights.anterior_mm,
        vertebra.heights.middle_mm,
        vertebra.heights.posterior_mm,
    )
    method = f"height along the vertebra's own axis, mid-sagittal; {vertebra.heights.method}"
    return {
        code: Measurement(code, value, "mm", method, f"{vertebra.level} body")
        for code, value in zip(codes, values, strict=True)
    }
