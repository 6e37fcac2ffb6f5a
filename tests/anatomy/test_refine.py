"""Heights below the voxel: against a hand-made vertebra, and against simulated patients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from osteoscope.anatomy.edge_response import edge_response
from osteoscope.anatomy.measure import measure_vertebrae
from osteoscope.anatomy.refine import REFINED_METHOD, refine_all, refine_heights
from osteoscope.core.errors import InputError
from osteoscope.core.grid import Grid
from osteoscope.core.volume import Volume
from osteoscope.simulation.patient import sample_patient
from osteoscope.simulation.render import simulate_patient
from osteoscope.simulation.scan import ScanSpec
from tests.anatomy.vertebra_phantom import cube_grid, label_map, rotation, vertebra_masks

BONE_HU, DISC_HU, PLATE_HU = 130.0, 75.0, 1300.0


def heights_of(vertebra):
    found = vertebra.heights
    return np.array([found.anterior_mm, found.middle_mm, found.posterior_mm])


def scanned_phantom(degrees, slice_mm, lift_mm, plate_mm=1.0):
    """A box vertebra at 1 mm, averaged into thicker slices; no code of the simulator."""
    thick = int(slice_mm)
    fine = cube_grid((0.5, 1.0, 1.0))
    affine = fine.affine_lps_mm.copy()
    affine[2, 3] += lift_mm
    fine = Grid((fine.shape[0] // (2 * thick) * 2 * thick, *fine.shape[1:]), affine)
    axes = np.eye(3) @ rotation(0, degrees)
    body, whole = vertebra_masks(fine, axes)
    inner, _ = vertebra_masks(fine, axes, (26.0 - 2 * plate_mm, 26.0 - 2 * plate_mm))
    hu = np.full(fine.shape, DISC_HU)
    hu[whole] = BONE_HU
    hu[body & ~inner] = PLATE_HU
    parts = (hu.shape[0] // (2 * thick), 2 * thick, *hu.shape[1:])
    share = whole.reshape(parts).mean(axis=1)
    coarse = affine.copy()
    coarse[:3, 0] *= 2 * thick
    coarse[:3, 3] += affine[:3, 0] * (2 * thick - 1) / 2
    grid = Grid(share.shape, coarse)
    volume = Volume(np.rint(hu.reshape(parts).mean(axis=1)).astype(np.int16), grid)
    return volume, measure_vertebrae(label_map(share >= 0.5, grid))["L1"]


@pytest.mark.parametrize(("slice_mm", "most_mm"), [(2.0, 0.6), (3.0, 0.8)])
def test_a_tilted_box_reads_its_height(slice_mm, most_mm):
    errors, before = [], []
    for degrees in (9.0, 17.0):
        for lift_mm in (0.0, 1.3):
            volume, vertebra = scanned_phantom(degrees, slice_mm, lift_mm)
            refined = replace(vertebra, heights=refine_heights(volume, vertebra))
            assert refined.heights.method == REFINED_METHOD
            errors.append(heights_of(refined) - 26.0)
            before.append(heights_of(vertebra) - 26.0)
    assert np.abs(errors).max() <= most_mm
    assert np.sqrt(np.mean(np.square(errors))) <= 0.5 * np.sqrt(np.mean(np.square(before)))


def test_a_mask_short_by_a_slice_at_both_ends_is_brought_most_of_the_way_back():
    volume, vertebra = scanned_phantom(12.0, 2.0, 0.6)
    short = ndimage.binary_erosion(vertebra.body, np.array([1, 1, 1])[:, None, None])
    low = replace(vertebra, body=short)
    refined = replace(low, heights=refine_heights(volume, low))
    # The mask alone is 4 mm short.
    assert np.all(np.abs(heights_of(refined) - 26.0) < 2.0)


def test_the_mask_stands_where_nothing_is_seen():
    volume, vertebra = scanned_phantom(5.0, 3.0, 0.0)
    rng = np.random.default_rng(1)
    blank = replace(volume, array=rng.normal(100, 20, volume.array.shape).astype(np.int16))
    assert refine_heights(blank, vertebra) == vertebra.heights


def test_the_mask_stands_where_there_is_metal():
    volume, vertebra = scanned_phantom(5.0, 3.0, 0.0)
    array = volume.array.copy()
    centre = np.rint(volume.grid.world_mm_to_index(vertebra.centre_mm)).astype(int)
    array[tuple(centre)] = 3071
    assert refine_heights(replace(volume, array=array), vertebra) == vertebra.heights


@pytest.mark.parametrize("slice_mm", [1.0, 5.0])
def test_fine_and_coarse_voxels_keep_the_masks_heights(slice_mm):
    volume, vertebra = scanned_phantom(5.0, slice_mm, 0.0)
    assert refine_heights(volume, vertebra) == vertebra.heights


def test_only_a_scan_in_hu_is_accepted():
    volume, vertebra = scanned_phantom(5.0, 3.0, 0.0)
    with pytest.raises(InputError, match="HU"):
        refine_heights(replace(volume, unit="mg/cm3"), vertebra)


def test_a_vertebra_without_heights_stays_without():
    volume, vertebra = scanned_phantom(5.0, 3.0, 0.0)
    assert refine_heights(volume, replace(vertebra, heights=None)) is None


def test_the_response_equals_a_voxel_cut_into_pieces():
    """Monte Carlo: the share of a turned box, blurred by 0.3 mm, that lies below a plane."""
    rng = np.random.default_rng(3)
    edges = np.array([2.0, 1.0, 0.5])
    place = (rng.uniform(-0.5, 0.5, (400_000, 3)) * edges).sum(axis=1)
    place += rng.normal(0.0, 0.3, len(place))
    response = edge_response((2.0, 1.0, 0.5))
    for distance in (-1.5, -0.4, 0.0, 0.7, 1.6):
        share = np.interp(distance, response.distance_mm, response.share)
        assert share == pytest.approx(np.mean(place < -distance), abs=0.005)


def test_the_terms_sum_to_the_tissues_far_away_and_to_the_sheets_mass():
    response = edge_response((3.0, 0.3, 0.1))
    far = response.terms(np.array([-20.0, 20.0]), 0.6)
    assert far == pytest.approx(np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]]), abs=1e-6)
    across = np.arange(-10.0, 10.0, 0.01)
    assert response.terms(across, 0.6)[:, 2].sum() * 0.01 == pytest.approx(1.0, abs=0.01)
    slope = np.gradient(response.terms(across, 0.6), 0.01, axis=0)
    assert response.slopes(across, 0.6) == pytest.approx(slope, abs=0.02)


CASES = {
    "3 mm": (ScanSpec(in_plane_mm=3.0, slice_mm=3.0, noise_sd_hu=20.0, kernel="bone"), (), 2.0),
    "2 mm, fractures": (
        ScanSpec(in_plane_mm=1.5, slice_mm=2.0, noise_sd_hu=20.0, kernel="bone"),
        ("wedge2:L1", "biconcave2:L3"),
        1.5,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_heights_of_simulated_patients(case):
    scan, defects, tolerance_mm = CASES[case]
    errors = {"mask": [], "scan": []}
    for seed in (64, 65):
        patient = sample_patient(np.random.default_rng(seed), defects=defects)
        made = simulate_patient(patient, scan, seed=seed)
        measured = measure_vertebrae(made.labels)
        for name, found in (("mask", measured), ("scan", refine_all(made.volume, measured))):
            errors[name] += [
                heights_of(found[t.level]) - [t.anterior_mm, t.middle_mm, t.posterior_mm]
                for t in made.truth.levels.values()
                if t.presence == "whole"
            ]
    mask, refined = np.array(errors["mask"]), np.array(errors["scan"])
    assert len(refined) == 16
    assert np.abs(refined).max() <= tolerance_mm
    assert np.abs(refined.mean(axis=0)).max() <= 0.5
    assert np.sqrt((refined**2).mean()) <= 0.8 * np.sqrt((mask**2).mean())
