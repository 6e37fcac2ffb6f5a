"""The measurements that stand beside a crop, so that a network is held against what needs none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscope.anatomy.quality.examine import examine_scan
from osteoscope.anatomy.quality.verdict import known_contrast, withheld_levels
from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.box import inward
from osteoscope.core.errors import InputError, QualityError
from osteoscope.core.flag import Flag
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.measurement import Missing
from osteoscope.core.volume import Volume
from osteoscope.densitometry.calibration.internal import fit_internal
from osteoscope.densitometry.calibration.line import Calibration
from osteoscope.densitometry.calibration.table import (
    calibration_from_table,
    read_calibration_table,
)
from osteoscope.densitometry.calibration.tissue_samples import internal_tissues
from osteoscope.densitometry.region import Region
from osteoscope.densitometry.statistics import region_statistics
from osteoscope.densitometry.trabecular import trabecular_region
from osteoscope.densitometry.virtual_dxa import LEVELS as DXA_LEVELS
from osteoscope.densitometry.virtual_dxa import virtual_dxa
from osteoscope.studies.tscore.prepare_config import INTERNAL, PrepareConfig

ADULT_YEARS = 20.0
"""ISCD: no T-scores below this age."""


@dataclass(frozen=True, eq=False)
class LabelledVolume:
    """A scan with its labels and every vertebra in them.

    Args:
        volume: The canonical scan, HU.
        labels: Its canonical labels.
        vertebrae: From ``measure_vertebrae``, all levels.
    """

    volume: Volume
    labels: LabelMap
    vertebrae: Mapping[str, Vertebra]


def baseline_columns(
    scan: LabelledVolume, config: PrepareConfig, age_years: float | None
) -> dict[str, dict[str, Any]]:
    """Columns of each level's row: what densitometry measures there, or why it does not.

    ``l1_hu`` is the trabecular median of the row's own level by the package's default method,
    nan where it cannot be measured or a quality flag withholds it, with the reason in
    ``l1_hu_reason``; ``virtual_dxa_t`` is the virtual DXA T-score of L1-L4, nan without a
    calibration or where it is withheld, with the reason in ``virtual_dxa_reason``. ``enhanced`` is
    yes, no or empty; ``flags`` names every flag of the level and of the whole scan.

    Args:
        scan: The scan, its labels and vertebrae.
        config: The levels and the calibration.
        age_years: Of the patient; None where unknown. Below 20 years there is no T-score.

    Returns:
        Columns by level, for each of the configuration's levels.
    """
    projected = config.calibration is not None
    wanted = tuple(dict.fromkeys((*config.levels, *(DXA_LEVELS if projected else ()))))
    medians = {level: _median_hu(scan, level) for level in config.levels}
    regions = {level: found[1] for level, found in medians.items() if isinstance(found, tuple)}
    weights = {level: _on_its_crop(r, scan.vertebrae[level]) for level, r in regions.items()}
    flags = examine_scan(scan.volume, scan.labels, scan.vertebrae, wanted, weights=weights)
    withheld = withheld_levels(flags, wanted)
    enhanced = known_contrast(flags, scan.volume.acquisition)
    t_score = _virtual_t(scan, config, flags, age_years=age_years, enhanced=enhanced)
    shared = {
        "virtual_dxa_t": None if isinstance(t_score, Missing) else t_score,
        "virtual_dxa_reason": t_score.reason if isinstance(t_score, Missing) else "",
        "enhanced": {True: "yes", False: "no", None: ""}[enhanced],
    }
    columns = {}
    for level, found in medians.items():
        reason = withheld.get(level, "") or (found.reason if isinstance(found, Missing) else "")
        columns[level] = {
            "l1_hu": found[0] if isinstance(found, tuple) and not reason else None,
            "l1_hu_reason": reason,
            "flags": " ".join(sorted({f.code for f in flags if f.level in (None, level)})),
            **shared,
        }
    return columns


def _median_hu(scan: LabelledVolume, level: str) -> tuple[float, Region] | Missing:
    """Trabecular median and the region that it was taken in."""
    vertebra = scan.vertebrae.get(level)
    if vertebra is None:
        return Missing("l1_hu", f"{level} is not among the labelled vertebrae.")
    try:
        region = trabecular_region(vertebra)
        return region_statistics(scan.volume, region).median, region
    except QualityError as error:
        return Missing("l1_hu", str(error))


def _on_its_crop(region: Region, vertebra: Vertebra) -> NDArray[np.float32]:
    weights = np.zeros(vertebra.grid.shape, dtype=np.float32)
    weights[inward(region.box, vertebra.box)] = region.weights
    return weights


def _virtual_t(
    scan: LabelledVolume,
    config: PrepareConfig,
    flags: Sequence[Flag],
    *,
    age_years: float | None,
    enhanced: bool | None,
) -> float | Missing:
    """The virtual DXA T-score, where everything that it needs is there."""
    code = "virtual_dxa_t"
    if config.calibration is None:
        return Missing(code, "No calibration was given.")
    if enhanced:
        return Missing(code, "The scan is contrast-enhanced.")
    if age_years is not None and age_years < ADULT_YEARS:
        return Missing(code, f"There is no T-score below {ADULT_YEARS:g} years.")
    withheld = withheld_levels(flags, DXA_LEVELS)
    for level in DXA_LEVELS:
        metal = any(f.code == "metal_in_region" and f.level == level for f in flags)
        if metal or level in withheld:
            return Missing(code, f"Metal lies at {level}." if metal else withheld[level])
    try:
        found = virtual_dxa(
            scan.volume,
            scan.vertebrae,
            _calibration(scan, config.calibration),
            reference=config.dxa_reference,
            labels=scan.labels,
        )
    except (QualityError, InputError) as error:
        return Missing(code, str(error))
    if found.t_score is None or not math.isfinite(found.t_score):
        return Missing(code, "The projection gave no T-score.")
    return found.t_score


def _calibration(scan: LabelledVolume, named: str) -> Calibration:
    """From HU to density.

    Raises:
        InputError: The table has no row for this scanner.
        QualityError: The patient's tissues fit no line.
    """
    if named == INTERNAL:
        return fit_internal(internal_tissues(scan.volume, scan.labels)).calibration
    return calibration_from_table(read_calibration_table(Path(named)), scan.volume.acquisition)
