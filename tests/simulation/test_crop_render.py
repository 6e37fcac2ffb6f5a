"""A box rendered alone shows what the whole scan shows there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from osteoscope.core.box import Box
from osteoscope.core.errors import InputError
from osteoscope.simulation.crop_render import SimulatedCrop, simulate_crop
from osteoscope.simulation.patient import sample_patient
from osteoscope.simulation.patient_spec import PatientSpec
from osteoscope.simulation.render import SimulatedPatient, simulate_patient
from osteoscope.simulation.scan import ScanSpec

SILENT = ScanSpec(in_plane_mm=2.0, slice_mm=2.0, noise_sd_hu=0.0)
SCANS = {
    "plain": SILENT,
    "thick, enhanced, 100 kVp": replace(
        SILENT, slice_mm=5.0, contrast_phase="venous", kvp=100.0, in_plane_mm=1.6
    ),
    "on the side, feet first, sharp": replace(
        SILENT, slice_mm=3.0, patient_position="FFDL", kernel="bone"
    ),
    "prone, oblique, smooth, truncated": replace(
        SILENT, patient_position="HFP", oblique_deg=(6, -4, 9), kernel="smooth", circle_mm=240.0
    ),
    "short scan": replace(SILENT, top_level="T12", bottom_level="L2", bottom_margin_mm=-4.0),
}
REACH_MM = (34.0, 45.0, 50.0)


@pytest.fixture(scope="module")
def worn() -> PatientSpec:
    """A patient whose vertebrae show much that a wrong crop would get wrong."""
    return sample_patient(np.random.default_rng(5), defects=("schmorl_node:L1", "cement:L2", "L6"))


def box_in(whole: SimulatedPatient, crop: SimulatedCrop) -> Box:
    """Where the crop's voxels lie in the whole scan; fails where they are no voxels of it."""
    start = whole.volume.grid.world_mm_to_index(crop.volume.grid.index_to_world_mm(np.zeros(3)))
    first = np.rint(start).astype(int)
    shape = crop.volume.array.shape
    box = tuple(slice(int(a), int(a) + n) for a, n in zip(first, shape, strict=True))
    assert whole.volume.crop((box[0], box[1], box[2])).grid.matches(crop.volume.grid, 1e-3)
    return box[0], box[1], box[2]


@pytest.mark.parametrize("name", SCANS)
def test_without_noise_it_is_the_scan_itself(name: str, worn: PatientSpec) -> None:
    scan = SCANS[name]
    whole = simulate_patient(worn, scan, seed=3)
    crop = simulate_crop(worn, scan, seed=3, level="L1", reach_mm=REACH_MM)
    box = box_in(whole, crop)
    np.testing.assert_array_equal(crop.volume.array, whole.volume.array[box])
    np.testing.assert_array_equal(crop.labels.array, whole.labels.array[box])
    assert crop.volume.acquisition == whole.volume.acquisition
    assert crop.volume.padding == whole.volume.padding
    there = whole.truth.levels["L1"]
    assert crop.truth.trabecular_hu == there.trabecular_hu
    assert crop.truth.unenhanced_120_hu == there.unenhanced_120_hu
    np.testing.assert_array_equal(crop.truth.centre_lps_mm, there.centre_lps_mm)
    assert crop.marrow_enhancement_hu == whole.truth.marrow_enhancement_hu
    assert crop.aorta_hu == whole.truth.aorta_hu


def test_the_noise_spreads_and_correlates_as_the_scan_s(patient: PatientSpec) -> None:
    noisy = replace(SILENT, noise_sd_hu=15.0)
    silent = simulate_crop(patient, SILENT, seed=3, level="L1", reach_mm=REACH_MM)
    crop = simulate_crop(patient, noisy, seed=3, level="L1", reach_mm=REACH_MM)
    whole = simulate_patient(patient, noisy, seed=3)
    box = box_in(whole, crop)
    clean = silent.volume.array.astype(float)
    here, there = crop.volume.array - clean, whole.volume.array[box] - clean
    assert here.std() == pytest.approx(15.0, rel=0.05)
    assert here.std() == pytest.approx(there.std(), rel=0.04)
    for axis in (1, 2):
        along = [
            float(np.mean(noise.take(range(1, 40), axis) * noise.take(range(39), axis)))
            for noise in (here, there)
        ]
        assert along[0] == pytest.approx(along[1], abs=0.06 * 15.0**2)
    assert abs(float(np.mean(here * there))) < 0.05 * 15.0**2, "other values than the scan's"


def test_the_same_seed_gives_the_same_crop(patient: PatientSpec) -> None:
    noisy = replace(SILENT, noise_sd_hu=15.0)
    crops = [
        simulate_crop(patient, noisy, seed=seed, level="L3", reach_mm=REACH_MM)
        for seed in (3, 3, 4)
    ]
    np.testing.assert_array_equal(crops[0].volume.array, crops[1].volume.array)
    assert np.any(crops[0].volume.array != crops[2].volume.array)


def test_a_small_box_still_holds_the_whole_vertebra(patient: PatientSpec) -> None:
    small = simulate_crop(patient, SILENT, seed=3, level="L1", reach_mm=(3.0, 3.0, 3.0))
    large = simulate_crop(patient, SILENT, seed=3, level="L1", reach_mm=REACH_MM)
    number = small.labels.scheme.vertebrae["L1"]
    inside = small.labels.array == number
    assert inside.sum() == (large.labels.array == number).sum() > 0
    for axis in range(3):
        assert not inside.take(0, axis).any()
        assert not inside.take(-1, axis).any()


def test_what_cannot_be_cropped_is_said(patient: PatientSpec) -> None:
    with pytest.raises(InputError, match="no vertebra L6"):
        simulate_crop(patient, SILENT, seed=3, level="L6", reach_mm=REACH_MM)
    with pytest.raises(InputError, match="further than 0 mm"):
        simulate_crop(patient, SILENT, seed=3, level="L1", reach_mm=(30.0, 0.0, 30.0))
    high = replace(SILENT, top_level="T10", bottom_level="T11", bottom_margin_mm=0.0)
    with pytest.raises(InputError, match="does not hold L4"):
        simulate_crop(patient, high, seed=3, level="L4", reach_mm=REACH_MM)
