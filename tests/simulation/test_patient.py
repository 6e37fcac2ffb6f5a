"""Drawn patients: deterministic, realistic, and with exactly the defects asked for."""

from __future__ import annotations

import numpy as np
import pytest

from osteoscope.core.errors import InputError
from osteoscope.simulation.fractures import GRADE_LOSS, fractured
from osteoscope.simulation.patient import DEFECT_NAMES, CohortSpec, sample_patient
from osteoscope.simulation.patient_spec import VertebraSpec


def draw(seed: int, *defects: str) -> object:
    return sample_patient(np.random.default_rng(seed), defects=defects)


def test_the_same_seed_gives_the_same_patient() -> None:
    assert draw(4, "fracture", "cement") == draw(4, "fracture", "cement")
    assert draw(4) != draw(5)


def test_nothing_is_planted_unless_asked_for() -> None:
    for seed in range(25):
        patient = sample_patient(np.random.default_rng(seed))
        assert not patient.hip_implant
        assert patient.variant is None
        for v in patient.vertebrae:
            assert not v.defects
            assert v.fracture_grade == 0
            heights = (v.anterior_mm, v.middle_mm, v.posterior_mm)
            assert min(heights) / max(heights) > 0.82, "normal wedging stays below Genant's 20 %"
        by = patient.by_level
        assert 22 < by["L1"].posterior_mm < 33
        assert 0.0 <= patient.marrow_fat_fraction <= 1.0


@pytest.mark.parametrize("name", DEFECT_NAMES)
def test_every_defect_can_be_planted_at_a_level(name: str) -> None:
    whole = name in ("hip_implant", "T13", "L6")
    patient = sample_patient(np.random.default_rng(1), defects=[name if whole else f"{name}:L2"])
    l2 = patient.by_level["L2"]
    assert (
        patient.hip_implant
        or patient.variant is not None
        or l2.fracture_grade > 0
        or len(l2.defects) == 1
    )
    if patient.variant:
        assert patient.variant in patient.levels


def test_defects_drawn_by_chance_take_different_levels() -> None:
    patient = sample_patient(
        np.random.default_rng(2), defects=["fracture", "cement", "metal", "lytic_focus"]
    )
    touched = [v.level for v in patient.vertebrae if v.defects or v.fracture_grade]
    assert len(touched) == 4


def spec() -> VertebraSpec:
    return sample_patient(np.random.default_rng(3)).by_level["L1"]


@pytest.mark.parametrize("grade", [1, 2, 3])
def test_fractures_lose_the_height_of_their_grade(grade: int) -> None:
    before = spec()
    low, high = GRADE_LOSS[grade]
    genant = {1: (0.20, 0.25), 2: (0.25, 0.40), 3: (0.40, 1.0)}[grade]
    assert genant[0] <= low <= high <= genant[1]
    rng = np.random.default_rng(0)
    wedge = fractured(before, f"wedge{grade}", rng)
    assert low <= 1 - wedge.anterior_mm / wedge.posterior_mm <= high
    assert wedge.posterior_mm == before.posterior_mm
    bowl = fractured(before, f"biconcave{grade}", rng)
    assert low <= 1 - bowl.middle_mm / bowl.posterior_mm <= high
    crush = fractured(before, f"crush{grade}", rng)
    assert low <= 1 - crush.posterior_mm / before.posterior_mm <= high
    for after in (wedge, bowl, crush):
        assert after.fracture_grade == grade
        assert after.trabecular_vbmd_mg_cm3 > before.trabecular_vbmd_mg_cm3


def test_density_falls_with_age() -> None:
    def mean(age: float) -> float:
        cohort = CohortSpec(age_range_years=(age, age))
        rng = np.random.default_rng(9)
        drawn = [sample_patient(rng, cohort=cohort).by_level["L1"] for _ in range(200)]
        return float(np.mean([v.trabecular_vbmd_mg_cm3 for v in drawn]))

    expected = CohortSpec().vbmd_loss_mg_cm3_year * 30
    assert mean(50) - mean(80) == pytest.approx(expected, abs=6.0)


@pytest.mark.parametrize(
    ("defects", "words"),
    [
        (["gout"], "Unknown defect"),
        (["cement:C7"], "No vertebra C7"),
        (["T13", "L6"], "one variant"),
    ],
)
def test_what_cannot_be_planted_is_refused(defects: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        sample_patient(np.random.default_rng(0), defects=defects)


def test_impossible_populations_and_vertebrae_are_refused() -> None:
    with pytest.raises(InputError, match="Ages"):
        CohortSpec(age_range_years=(80, 60))
    with pytest.raises(InputError, match="0-1"):
        CohortSpec(female_share=1.2)
    with pytest.raises(InputError, match="Unknown fracture"):
        fractured(spec(), "burst", np.random.default_rng(0))
