"""The simulated DXA: its physics, its categories, and how weakly attenuation predicts it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from osteoscope.core.dxa_reference import DxaReference
from osteoscope.core.errors import InputError
from osteoscope.simulation.dxa import (
    HOLOGIC_WOMEN_L1_L4,
    PRECISION_CV,
    examine_dxa,
    who_class,
)
from osteoscope.simulation.materials import bone_hu
from osteoscope.simulation.patient import sample_patient
from osteoscope.simulation.patient_spec import PatientSpec


def with_all(patient: PatientSpec, **change: float) -> PatientSpec:
    return replace(
        patient,
        vertebrae=tuple(replace(v, **change) for v in patient.vertebrae),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("t_score", "category"),
    [(-0.9, "normal"), (-1.0, "normal"), (-1.1, "osteopenia"), (-2.4, "osteopenia"),
     (-2.5, "osteoporosis"), (-4.0, "osteoporosis")],
)  # fmt: skip
def test_categories_are_the_who_s(t_score: float, category: str) -> None:
    assert who_class(t_score) == category


def test_the_t_score_is_relative_to_the_reference(patient: PatientSpec) -> None:
    dxa = examine_dxa(replace(patient, dxa_noise_sd=1.5))
    assert dxa.measured_g_cm2 == pytest.approx(dxa.total_g_cm2 * (1 + 1.5 * PRECISION_CV))
    expected = (dxa.measured_g_cm2 - HOLOGIC_WOMEN_L1_L4.mean_g_cm2) / 0.110
    assert dxa.t_score == pytest.approx(expected, abs=0.051)
    shifted = examine_dxa(patient, DxaReference("other", dxa.total_g_cm2 + 5.0, 1.0, "made up"))
    assert shifted.who_class == "osteoporosis"


def test_totals_are_mass_over_area(patient: PatientSpec) -> None:
    dxa = examine_dxa(patient)
    mass = sum(dxa.areal_bmd_g_cm2[v] * dxa.area_cm2[v] for v in dxa.area_cm2)
    assert dxa.total_g_cm2 == pytest.approx(mass / sum(dxa.area_cm2.values()))
    for area in dxa.area_cm2.values():
        assert 9 < area < 24, "cm2 of a lumbar vertebra on DXA"


def test_the_grid_hardly_matters(patient: PatientSpec) -> None:
    coarse, fine = examine_dxa(patient), examine_dxa(patient, step_mm=1.25)
    assert coarse.total_g_cm2 == pytest.approx(fine.total_g_cm2, rel=0.025)


def test_everything_in_the_way_counts_but_only_the_body_is_trabecular(
    patient: PatientSpec,
) -> None:
    bare = replace(
        with_all(
            patient, osteophyte_mm=0.0, endplate_sclerosis_mg_cm3=0.0, facet_sclerosis_mg_cm3=0.0
        ),
        aortic_calcification=0.0,
        dxa_noise_sd=0.0,
    )
    base = examine_dxa(bare).total_g_cm2
    for worn in (
        with_all(bare, osteophyte_mm=5.0),
        with_all(bare, facet_sclerosis_mg_cm3=300.0),
        with_all(bare, endplate_sclerosis_mg_cm3=60.0),
        with_all(bare, cortex_mm=bare.vertebrae[0].cortex_mm + 0.3),
        replace(bare, aortic_calcification=1.0),
        with_all(bare, trabecular_vbmd_mg_cm3=bare.vertebrae[0].trabecular_vbmd_mg_cm3 + 60.0),
    ):
        assert examine_dxa(worn).total_g_cm2 > base + 0.004


def test_a_spine_without_l1_cannot_be_examined(patient: PatientSpec) -> None:
    short = replace(patient, vertebrae=patient.vertebrae[4:])
    with pytest.raises(InputError, match="L1 to L4"):
        examine_dxa(short)


def auc(low: NDArray[np.float64], high: NDArray[np.float64]) -> float:
    """Share of pairs in which the case reads lower than the control."""
    return float(np.mean(low[:, None] < high[None, :]) + 0.5 * np.mean(low[:, None] == high))


@pytest.mark.slow
def test_attenuation_separates_osteoporosis_as_weakly_as_in_people() -> None:
    # Literature: AUC 0.74 (Insights Imaging 2023, n = 536) to 0.83 (Pickhardt 2013).
    rng = np.random.default_rng(2024)
    hu, t, names = [], [], []
    for _ in range(400):
        patient = sample_patient(rng)
        dxa = examine_dxa(patient)
        l1 = patient.by_level["L1"].trabecular_vbmd_mg_cm3
        hu.append(bone_hu(l1, patient.marrow_fat_fraction, 120.0))
        t.append(dxa.t_score)
        names.append(dxa.who_class)
    hu_array, cases = np.array(hu), np.array(t) <= -2.5
    value = auc(hu_array[cases], hu_array[~cases])
    boot = np.random.default_rng(1)
    draws = []
    for _ in range(300):
        pick = boot.integers(0, len(hu_array), len(hu_array))
        draws.append(auc(hu_array[pick][cases[pick]], hu_array[pick][~cases[pick]]))
    interval = np.percentile(draws, [2.5, 97.5])
    message = f"AUC {value:.3f}, 95 % interval {interval[0]:.3f}-{interval[1]:.3f}"
    assert 0.74 <= value <= 0.83, message
    assert interval[1] - interval[0] < 0.15, message
    assert 0.12 < cases.mean() < 0.30, "prevalence of osteoporosis at the spine above 50"
    # Class means 118, 143 and 178 HU there; ours within 25 HU and in that order.
    for category, published in (("osteoporosis", 118), ("osteopenia", 143), ("normal", 178)):
        mean = hu_array[np.array(names) == category].mean()
        assert mean == pytest.approx(published, abs=25), category
