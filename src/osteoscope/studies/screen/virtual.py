"""Virtual DXA of a screened scan, or why there is none."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.dxa_reference import DEFAULT_REFERENCE, dxa_reference
from osteoscope.core.errors import QualityError
from osteoscope.core.flag import Flag
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.measurement import Missing
from osteoscope.core.volume import Acquisition, Volume
from osteoscope.densitometry.calibration.line import Calibration
from osteoscope.densitometry.virtual_dxa import LEVELS, ArealDensity, VirtualDxa, virtual_dxa
from osteoscope.studies.screen.intervals import interval_dict

_FEWEST_LEVELS = 2
_ADULT_YEARS = 20.0
"""ISCD: no T-scores below this age."""
_WHO_YEARS = 50.0
_OSTEOPENIA_WIDTH = 1.5
"""From a T-score of -2.5 to -1: an interval wider than this tells no two WHO classes apart."""


def projected_density(
    volume: Volume,
    labels: LabelMap,
    vertebrae: Mapping[str, Vertebra],
    calibration: Calibration | Missing,
    *,
    withheld: Collection[str],
    enhanced: bool | None,
    reference: str | None,
) -> dict[str, Any]:
    """The ``virtual_dxa`` part of ``result.json``.

    Args:
        volume: The canonical scan.
        labels: Its canonical labels.
        vertebrae: Every measured vertebra.
        calibration: From HU to density, or why there is none.
        withheld: Levels that quality withholds; the longest run of neighbours without them is
            projected, and a T-score needs all of L1-L4.
        enhanced: Whether the scan is contrast-enhanced; None where unknown.
        reference: Name of the young-adult reference; None takes the default.

    Raises:
        InputError: An unknown reference.
    """
    named = dxa_reference(reference or DEFAULT_REFERENCE).name
    if isinstance(calibration, Missing):
        return {"withheld": calibration.reason}
    if enhanced:
        return {
            "withheld": "The scan is contrast-enhanced: enhanced vessels and marrow would be "
            "projected as mineral."
        }
    levels = _longest_run([level for level in LEVELS if level in vertebrae], withheld)
    if len(levels) < _FEWEST_LEVELS:
        return {"withheld": "Fewer than two neighbours among L1-L4 may be measured."}
    try:
        found = virtual_dxa(
            volume, vertebrae, calibration, levels=levels, reference=named, labels=labels
        )
    except QualityError as error:
        return {"withheld": str(error)}
    return _as_json(_for_the_patient(found, volume.acquisition, enhanced))


def unprojected_levels(flags: Sequence[Flag], withheld: Collection[str]) -> set[str]:
    """The withheld levels, and those beside which metal lies: it would be projected as mineral."""
    metal = {flag.level for flag in flags if flag.code == "metal_in_region" and flag.level}
    return metal | set(withheld)


def _for_the_patient(
    found: VirtualDxa, acquisition: Acquisition, enhanced: bool | None
) -> VirtualDxa:
    """The same without a T-score where there is none for that age, its limits completed."""
    age, sex = acquisition.patient_age_years, acquisition.patient_sex
    limits = list(found.limits)
    if enhanced is None:
        limits.append(
            "Whether contrast was given is unknown; enhanced vessels and marrow would count as "
            "mineral."
        )
    if age is None:
        limits.append("The age is unknown; T-scores are for postmenopausal women and older men.")
    elif age < _WHO_YEARS:
        limits.append(
            f"The patient is {age:.0f} years old; T-scores are for postmenopausal women and men "
            f"from {_WHO_YEARS:g}, and none is given below {_ADULT_YEARS:g} years (ISCD)."
        )
    if sex == "M" and "women" in found.reference.name:
        limits.append("The reference is of women and the patient is a man.")
    if sex == "F" and "-men-" in found.reference.name:
        limits.append("The reference is of men and the patient is a woman.")
    spread = found.t_score_interval
    if spread is not None and spread.high - spread.low > _OSTEOPENIA_WIDTH:
        limits.append(
            f"The T-score's interval spans {spread.high - spread.low:.1f}, more than osteopenia "
            f"does ({_OSTEOPENIA_WIDTH:g}): it tells little; a phantom or a table narrows it."
        )
    if age is not None and age < _ADULT_YEARS:
        found = replace(found, t_score=None, t_score_interval=None)
    return replace(found, limits=tuple(limits))


def _longest_run(levels: list[str], withheld: Collection[str]) -> tuple[str, ...]:
    """The longest run of neighbours in L1-L4 that are labelled and not withheld."""
    best: tuple[str, ...] = ()
    run: tuple[str, ...] = ()
    for level in LEVELS:
        run = (*run, level) if level in levels and level not in withheld else ()
        best = max(best, run, key=len)
    return best


def _as_json(found: VirtualDxa) -> dict[str, Any]:
    return _areal(found.total) | {
        "t_score": found.t_score,
        "t_score_interval": interval_dict(found.t_score_interval),
        "reference": f"{found.reference.name}: {found.reference.source}",
        "levels": {level: _areal(density) for level, density in found.levels.items()},
        "method": f"{found.method}; {found.calibration}",
        "limits": list(found.limits),
    }


def _areal(density: ArealDensity) -> dict[str, Any]:
    return {
        "areal_bmd_g_cm2": density.areal_bmd_g_cm2,
        "area_cm2": density.area_cm2,
        "bmc_g": density.bmc_g,
        "interval": interval_dict(density.interval),
    }
