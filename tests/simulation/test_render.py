"""Rendered patients: what the voxels, labels and truth say must agree with each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from osteoscope.core.errors import InputError
from osteoscope.simulation.acquire import PADDING_HU
from osteoscope.simulation.patient import sample_patient
from osteoscope.simulation.patient_spec import PatientSpec
from osteoscope.simulation.render import SimulatedPatient, simulate_patient
from osteoscope.simulation.scan import ORIENTATIONS, ScanSpec

from .conftest import COARSE

LEVELS = ("T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5")


def core_hu(simulated: SimulatedPatient, level: str, erode: int = 2) -> NDArray[np.int16]:
    """HU of a body's trabecular core, some voxels away from its walls."""
    number = simulated.verse.scheme.vertebrae[level]
    core = (simulated.verse.array == number) & (simulated.subregions.array == 50)
    box = tuple(slice(max(i.min() - 1, 0), i.max() + 2) for i in np.nonzero(core))
    inner = binary_erosion(core[box], iterations=erode)
    assert inner.sum() > 50
    values: NDArray[np.int16] = simulated.volume.array[box][inner]
    return values


def centroid_mm(simulated: SimulatedPatient, level: str) -> NDArray[np.float64]:
    number = simulated.verse.scheme.vertebrae[level]
    body = (simulated.verse.array == number) & (simulated.subregions.array >= 49)
    index = np.argwhere(body).astype(np.float64).mean(axis=0)
    return simulated.volume.grid.index_to_world_mm(index)


def test_everything_is_marked_and_on_one_grid(plain: SimulatedPatient) -> None:
    assert plain.volume.acquisition.simulated
    assert plain.volume.acquisition.manufacturer == "osteoscope simulator"
    assert plain.volume.array.dtype == np.int16
    for labels in (plain.labels, plain.verse, plain.subregions):
        assert labels.array.dtype == np.uint8
        assert labels.grid.matches(plain.volume.grid)
    assert plain.truth.as_dict()["simulated"] is True
    assert plain.truth.planted == ()


def test_the_same_seed_gives_the_same_arrays(patient: PatientSpec) -> None:
    scan = replace(COARSE, in_plane_mm=4.0, slice_mm=4.0, contrast_phase="venous")
    first, again, other = (simulate_patient(patient, scan, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.volume.array, again.volume.array)
    assert first.truth.marrow_enhancement_hu == again.truth.marrow_enhancement_hu
    assert not np.array_equal(first.volume.array, other.volume.array)
    np.testing.assert_array_equal(first.labels.array, again.labels.array)


@pytest.mark.parametrize("level", LEVELS)
def test_trabecular_attenuation_is_the_truth(plain: SimulatedPatient, level: str) -> None:
    truth = plain.truth.levels[level]
    assert truth.presence == "whole"
    assert np.median(core_hu(plain, level)) == pytest.approx(truth.trabecular_hu, abs=3.0)
    assert truth.trabecular_hu == truth.unenhanced_120_hu


@pytest.mark.parametrize("level", LEVELS)
def test_bodies_lie_where_the_truth_says(plain: SimulatedPatient, level: str) -> None:
    truth = plain.truth.levels[level]
    assert np.linalg.norm(centroid_mm(plain, level) - truth.centre_lps_mm) < 1.5
    np.testing.assert_allclose(truth.axes @ truth.axes.T, np.eye(3), atol=1e-9)


def test_labels_hold_the_structures_that_checks_use(plain: SimulatedPatient) -> None:
    found = set(np.unique(plain.labels.array))
    s = plain.labels.scheme.structures
    wanted = (
        "sacrum", "aorta", "spinal_cord", "autochthon_left", "autochthon_right", "hip_left",
        "rib_left_12", "rib_right_12", "rib_left_11", "rib_left_10",
    )  # fmt: skip
    assert {s[name] for name in wanted} <= found
    assert {plain.labels.scheme.vertebrae[v] for v in LEVELS} <= found
    left = np.argwhere(plain.labels.array == s["autochthon_left"])[:, 2].mean()
    right = np.argwhere(plain.labels.array == s["autochthon_right"])[:, 2].mean()
    assert left > right, "columns run to the patient's left"
    sub = set(np.unique(plain.subregions.array)) - {0}
    assert {41, 42, 43, 44, 45, 46, 47, 48, 49, 50} == sub


def test_both_schemes_and_the_subregions_cover_the_same_vertebrae(
    plain: SimulatedPatient,
) -> None:
    for level in LEVELS:
        a = plain.labels.array == plain.labels.scheme.vertebrae[level]
        b = plain.verse.array == plain.verse.scheme.vertebrae[level]
        np.testing.assert_array_equal(a, b)
        assert np.all(plain.subregions.array[a] > 0)


def test_the_sacrum_includes_its_first_body_where_the_scheme_does_not_split_it(
    plain: SimulatedPatient,
) -> None:
    first = plain.labels.array == plain.labels.scheme.vertebrae["S1"]
    assert first.sum() > 1000
    sacrum = plain.verse.scheme.structures["sacrum"]
    assert np.mean(plain.verse.array[first] == sacrum) == 1.0
    below = plain.labels.array == plain.labels.scheme.structures["sacrum"]
    assert np.mean(plain.verse.array[below] == sacrum) == 1.0


def test_noise_is_what_was_asked_for(patient: PatientSpec) -> None:
    quiet = replace(COARSE, noise_sd_hu=0.0, in_plane_mm=1.5, slice_mm=6.0)
    loud = replace(quiet, noise_sd_hu=25.0)
    a, b = (simulate_patient(patient, s, seed=3).volume.array for s in (quiet, loud))
    inside = (a > -200) & (a < 500)
    spread = float((b.astype(np.float64) - a)[inside].std())
    assert spread == pytest.approx(25.0, rel=0.03)
    assert ("high_noise", None) in simulate_patient(
        patient, replace(quiet, noise_sd_hu=45.0), seed=3
    ).truth.planted


@pytest.mark.parametrize(("phase", "marrow", "aorta"), [("arterial", 14, 300), ("venous", 26, 150)])
def test_contrast_enhances_marrow_and_aorta(
    patient: PatientSpec, phase: str, marrow: float, aorta: float
) -> None:
    scan = replace(COARSE, contrast_phase=phase)  # type: ignore[arg-type]
    enhanced = simulate_patient(patient, scan, seed=5)
    truth = enhanced.truth.levels["L1"]
    added = truth.trabecular_hu - truth.unenhanced_120_hu
    assert added == pytest.approx(marrow, abs=20)
    assert np.median(core_hu(enhanced, "L1")) == pytest.approx(truth.trabecular_hu, abs=3.0)
    number = enhanced.labels.scheme.structures["aorta"]
    seen = np.median(enhanced.volume.array[enhanced.labels.array == number])
    assert seen == pytest.approx(aorta, abs=35)
    assert ("contrast_enhanced", None) in enhanced.truth.planted
    assert enhanced.volume.acquisition.contrast_enhanced is True


def test_marrow_enhancement_averages_to_the_published_mean(patient: PatientSpec) -> None:
    from osteoscope.simulation.tissue_values import tissue_values

    for phase, published in (("arterial", 14.4), ("venous", 25.7)):
        scan = replace(COARSE, contrast_phase=phase)  # type: ignore[arg-type]
        drawn = [
            tissue_values(patient, scan, np.random.default_rng([s, 1])).marrow_enhancement_hu
            for s in range(300)
        ]
        assert np.mean(drawn) == pytest.approx(published, abs=1.2)


def test_lower_voltage_is_brighter_and_flagged(patient: PatientSpec) -> None:
    low = simulate_patient(patient, replace(COARSE, kvp=100.0), seed=5)
    truth = low.truth.levels["L1"]
    assert truth.trabecular_hu > truth.unenhanced_120_hu + 3
    assert np.median(core_hu(low, "L1")) == pytest.approx(truth.trabecular_hu, abs=3.0)
    assert low.truth.planted == (("kvp_not_120", None),)
    unknown = replace(COARSE, header_names_kvp=False, slice_mm=5.0)
    simulated = simulate_patient(patient, unknown, seed=5)
    assert simulated.volume.acquisition.kvp is None
    assert set(simulated.truth.planted) == {("kvp_unknown", None), ("thick_slices", None)}
    assert np.median(core_hu(simulated, "L1", 1)) == pytest.approx(
        simulated.truth.levels["L1"].trabecular_hu, abs=4.0
    )


@pytest.mark.parametrize("position", ORIENTATIONS)
def test_the_patient_is_the_same_in_every_position(patient: PatientSpec, position: str) -> None:
    scan = replace(COARSE, in_plane_mm=4.0, slice_mm=4.0)
    here = simulate_patient(patient, scan, seed=2)
    there = simulate_patient(patient, replace(scan, patient_position=position), seed=2)
    np.testing.assert_array_equal(there.volume.canonical().array, here.volume.canonical().array)
    np.testing.assert_array_equal(there.labels.canonical().array, here.labels.canonical().array)
    assert there.volume.canonical().grid.matches(here.volume.canonical().grid)
    assert there.volume.acquisition.patient_position == position


def test_an_oblique_patient_turns_with_the_truth(patient: PatientSpec) -> None:
    scan = replace(COARSE, in_plane_mm=3.0, oblique_deg=(12.0, -7.0, 20.0))
    turned = simulate_patient(patient, scan, seed=2)
    truth = turned.truth.levels["L1"]
    assert np.linalg.norm(centroid_mm(turned, "L1") - truth.centre_lps_mm) < 1.5
    straight = simulate_patient(patient, replace(scan, oblique_deg=(0, 0, 0)), seed=2)
    assert np.linalg.norm(truth.centre_lps_mm - straight.truth.levels["L1"].centre_lps_mm) > 5


def test_a_short_scan_misses_and_cuts_levels(patient: PatientSpec) -> None:
    scan = replace(
        COARSE, in_plane_mm=3.0, top_level="L2", bottom_level="L4", bottom_margin_mm=-8.0
    )
    short = simulate_patient(patient, scan, seed=2)
    assert short.truth.levels["L1"].presence in ("partial", "absent")
    assert short.truth.levels["T11"].presence == "absent"
    assert short.truth.levels["L4"].presence == "partial"
    assert ("touches_edge", "L4") in short.truth.planted
    higher = replace(scan, top_level="L3", top_margin_mm=0.0, bottom_margin_mm=30.0)
    assert ("level_missing", "L1") in simulate_patient(patient, higher, seed=2).truth.planted


def test_a_small_circle_truncates_the_body(patient: PatientSpec) -> None:
    scan = replace(COARSE, in_plane_mm=3.0, circle_mm=220.0)
    cut = simulate_patient(patient, scan, seed=2)
    assert cut.volume.padding == PADDING_HU
    corner = cut.volume.canonical().array[:, 0, 0]
    assert np.all(corner == PADDING_HU)
    assert ("truncated_field_of_view", None) in cut.truth.planted


def test_planted_things_can_be_seen() -> None:
    names = [
        "metal:L1", "cement:L2", "bone_island:L3", "lytic_focus:L4", "wedge2:T12",
        "schmorl_node:T11", "hip_implant",
    ]  # fmt: skip
    patient = sample_patient(np.random.default_rng(8), defects=names)
    seen = simulate_patient(patient, replace(COARSE, in_plane_mm=1.5), seed=1)
    assert set(seen.truth.planted) == {
        ("metal_in_region", "L1"), ("cement", "L2"), ("dense_focus", "L3"), ("lytic_focus", "L4"),
        ("fracture", "T12"), ("dense_focus", "T11"), ("metal_in_scan", None),
    }  # fmt: skip
    assert core_hu(seen, "L1").max() > 2500
    assert 900 < np.percentile(core_hu(seen, "L2"), 99) < 2000
    truth = seen.truth.levels
    assert np.percentile(core_hu(seen, "L3"), 99.5) > truth["L3"].trabecular_hu + 300
    assert np.percentile(core_hu(seen, "L4"), 2) < truth["L4"].trabecular_hu - 60
    assert truth["T12"].fracture_grade == 2
    below = seen.volume.array[: seen.volume.array.shape[0] // 5]
    assert below.max() == 3071


@pytest.mark.parametrize("variant", ["T13", "L6"])
def test_variants_have_their_own_number_where_the_scheme_has_one(variant: str) -> None:
    patient = sample_patient(np.random.default_rng(8), defects=[variant])
    seen = simulate_patient(patient, replace(COARSE, in_plane_mm=3.0), seed=1)
    assert np.any(seen.verse.array == seen.verse.scheme.vertebrae[variant])
    assert ("transitional_anatomy", None) in seen.truth.planted
    assert variant in seen.truth.levels


def test_impossible_scans_are_refused(patient: PatientSpec) -> None:
    for wrong, words in (
        ({"kvp": 60.0}, "80-140"),
        ({"slice_mm": 0.0}, "Voxels"),
        ({"noise_sd_hu": -1.0}, "Noise"),
        ({"patient_position": "standing"}, "patient position"),
    ):
        with pytest.raises(InputError, match=words):
            ScanSpec(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no vertebra T4"):
        simulate_patient(patient, replace(COARSE, top_level="T4"), seed=1)
    with pytest.raises(InputError, match="no slice"):
        simulate_patient(patient, replace(COARSE, top_level="L5", bottom_level="T10"), seed=1)
