"""Calibration from the patient's own tissues: an effective energy, then a two-component mix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError, QualityError
from osteoscope.densitometry.calibration.attenuation import (
    BONE_CM3_PER_G_MINERAL,
    ENERGIES_KEV,
    TISSUES,
    bone_cm2_per_g_mineral,
    linear_attenuation_cm,
)
from osteoscope.densitometry.calibration.line import Calibration
from osteoscope.densitometry.calibration.phantom import R2_REFUSES_BELOW, R2_WARNS_BELOW

_MIN_TISSUES = 3

MARROW_FAT_SHARE, MARROW_FAT_SHARE_SD = 0.5, 0.15
"""Share by volume of adipose tissue in the marrow that fills trabecular bone. No single scan can
tell marrow fat from missing mineral, so its spread between people goes into the result."""

MODEL_SLOPE_CV = 0.04
"""What one effective energy leaves out of a spectrum, and fixed shares of collagen and water out
of people: the slope lies within this of a spectral model at 80 to 140 kVp
(tests/densitometry/test_internal.py)."""

_PLAUSIBLE_KEV = (40.0, 110.0)


@dataclass(frozen=True)
class TissueSample:
    """What one tissue of the patient measures.

    Args:
        tissue: A key of ``attenuation.TISSUES``.
        hu: Median attenuation.
        sd: Robust SD of the sampled voxels, HU.
        n_voxels: How many were sampled.
    """

    tissue: str
    hu: float
    sd: float
    n_voxels: int


@dataclass(frozen=True, eq=False)
class InternalFit:
    """An internal calibration and how it came about.

    Args:
        calibration: The line, in mg of hydroxyapatite per cm3.
        effective_energy_kev: Where the tissues lie best on one line.
        r2: Of that line.
        used: The tissues that entered.
        dropped: Reason by tissue for those that did not.
    """

    calibration: Calibration
    effective_energy_kev: float
    r2: float
    used: tuple[TissueSample, ...]
    dropped: Mapping[str, str]


def fit_internal(samples: Sequence[TissueSample]) -> InternalFit:
    """Calibrate a scan by its own tissues.

    1. A sample outside its expected range is dropped (an enhanced aorta is no blood standard).
    2. HU is a straight line in linear attenuation, ``HU = a mu + b``. At each photon energy from
       1 to 200 keV the samples are fitted against the tabulated attenuation of their tissues; the
       energy of the highest R^2 is the scan's effective energy.
    3. A voxel is bone tissue in marrow, which it displaces by volume: with c grams of mineral
       per cm3, ``mu = mu_m (1 - c v) + c k``; v and k are the volume and the attenuation of
       bone tissue (mineral, collagen, bound water) per gram of mineral, and mu_m is half adipose,
       half lean tissue on the fitted line. So c is linear in HU.
    4. The covariance of the line is the sum over its inputs of the change that one standard
       deviation of each makes: each tissue (a third of its expected half-range, for people
       differ, plus its standard error), the marrow's fat share, and the model itself (4 %).

    Args:
        samples: At least three tissues that pass; each tissue once.

    Raises:
        InputError: An unknown tissue or one given twice.
        QualityError: Fewer than three usable tissues, R^2 below 0.90, or no effective energy.
    """
    names = [sample.tissue for sample in samples]
    unknown = sorted(set(names) - set(TISSUES))
    if unknown or len(set(names)) != len(names):
        raise InputError(
            "Internal calibration takes each of "
            f"{', '.join(sorted(TISSUES))} once, not {', '.join(names)}."
        )
    dropped = {s.tissue: reason for s in samples if (reason := _implausible(s))}
    used = tuple(s for s in samples if s.tissue not in dropped)
    if len(used) < _MIN_TISSUES:
        because = "".join(f"; {name}: {reason}" for name, reason in dropped.items())
        raise QualityError(
            f"Internal calibration needs at least {_MIN_TISSUES} plausible tissues, but has "
            f"{len(used)}{because}."
        )
    hu = np.array([s.hu for s in used])
    table = np.array([linear_attenuation_cm(s.tissue) for s in used])
    line, energy, r2 = _line(hu, table, MARROW_FAT_SHARE)
    _check_fit(energy, r2)
    covariance = _covariance(used, hu, table, line)
    tissues = ", ".join(f"{s.tissue} {s.hu:.0f} HU" for s in used)
    calibration = Calibration(
        name="internal",
        mineral="HA",
        slope_mg_cm3_per_hu=float(line[0]),
        intercept_mg_cm3=float(line[1]),
        covariance=covariance,
        source=f"patient's own tissues ({tissues}), effective energy {energy:.1f} keV, R2 {r2:.4f}",
        warnings=_warnings(energy, r2, dropped),
    )
    return InternalFit(calibration, energy, r2, used, dropped)


def _line(
    hu: NDArray[np.float64], table: NDArray[np.float64], fat_share: float
) -> tuple[NDArray[np.float64], float, float]:
    """Slope and intercept of density on HU (mg/cm3), the effective energy and R^2."""
    centred = table - table.mean(axis=0)
    deviation = hu - hu.mean()
    covariance = deviation @ centred
    variance = np.sum(centred**2, axis=0)
    r2 = covariance**2 / (variance * float(deviation @ deviation))
    best = int(np.argmax(r2))
    gain = float(covariance[best] / variance[best])
    offset = float(hu.mean() - gain * table[:, best].mean())
    adipose = float(linear_attenuation_cm("adipose")[best])
    lean = float(linear_attenuation_cm("muscle")[best])
    marrow = fat_share * adipose + (1.0 - fat_share) * lean
    per_gram = float(bone_cm2_per_g_mineral()[best]) - marrow * BONE_CM3_PER_G_MINERAL
    slope = 1000.0 / (gain * per_gram)
    intercept = -slope * (gain * marrow + offset)
    return np.array([slope, intercept]), float(ENERGIES_KEV[best]), float(r2[best])


def _covariance(
    used: Sequence[TissueSample],
    hu: NDArray[np.float64],
    table: NDArray[np.float64],
    line: NDArray[np.float64],
) -> NDArray[np.float64]:
    steps = []
    for index, sample in enumerate(used):
        low, high = TISSUES[sample.tissue].expected_hu
        spread = np.hypot((high - low) / 6.0, sample.sd / np.sqrt(max(1, sample.n_voxels)))
        shift = np.zeros_like(hu)
        shift[index] = spread
        up, *_ = _line(hu + shift, table, MARROW_FAT_SHARE)
        down, *_ = _line(hu - shift, table, MARROW_FAT_SHARE)
        steps.append((up - down) / 2.0)
    fatter, *_ = _line(hu, table, MARROW_FAT_SHARE + MARROW_FAT_SHARE_SD)
    leaner, *_ = _line(hu, table, MARROW_FAT_SHARE - MARROW_FAT_SHARE_SD)
    steps.append((fatter - leaner) / 2.0)
    steps.append(MODEL_SLOPE_CV * line)
    moved = np.array(steps)
    return np.asarray(moved.T @ moved, dtype=np.float64)


def _implausible(sample: TissueSample) -> str | None:
    low, high = TISSUES[sample.tissue].expected_hu
    if np.isfinite(sample.hu) and low <= sample.hu <= high:
        return None
    return f"{sample.hu:.0f} HU lies outside {low:.0f} to {high:.0f} HU"


def _check_fit(energy: float, r2: float) -> None:
    if r2 < R2_REFUSES_BELOW:
        raise QualityError(
            f"The tissues do not lie on one line (R2 {r2:.3f}, must be at least "
            f"{R2_REFUSES_BELOW:.2f}); the scan's values are not Hounsfield units, or a tissue "
            "label is wrong."
        )
    if energy in (float(ENERGIES_KEV[0]), float(ENERGIES_KEV[-1])):
        raise QualityError(
            "The tissues fit no effective energy within 1 to 200 keV; give a phantom or a table."
        )


def _warnings(energy: float, r2: float, dropped: Mapping[str, str]) -> tuple[str, ...]:
    found = [f"{name} was left out: {reason}." for name, reason in dropped.items()]
    if r2 < R2_WARNS_BELOW:
        found.append(f"The tissues' line has R2 {r2:.3f}, below {R2_WARNS_BELOW:.2f}.")
    if not _PLAUSIBLE_KEV[0] <= energy <= _PLAUSIBLE_KEV[1]:
        found.append(f"An effective energy of {energy:.0f} keV is unusual for CT.")
    return tuple(found)
