"""Real scans against independent readers; skipped where the shared data are missing."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from osteoscope.io.labels import overlap_note, read_labels, resample_labels
from osteoscope.io.scan import read_scan
from osteoscope.io.simple_itk import sitk

CT = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "ct"
SIEMENS = CT / "siemens_t11_t12_dicom"
EXAMPLE = CT / "totalsegmentator_example"

pytestmark = pytest.mark.skipif(not CT.is_dir(), reason="../shared/data/ct is not here")


@pytest.fixture(scope="module")
def simpleitk_series() -> object:
    """SimpleITK orders by position too; the series has no identifier, so its files are given."""
    files = sorted(SIEMENS.iterdir())
    reader = sitk.ImageFileReader()
    places = []
    for file in files:
        reader.SetFileName(str(file))
        reader.ReadImageInformation()
        places.append((reader.GetOrigin()[2], str(file)))
    series = sitk.ImageSeriesReader()
    series.SetFileNames([name for _, name in sorted(places)])
    return series.Execute()


def test_the_siemens_series_voxel_for_voxel_and_place_for_place(simpleitk_series: object) -> None:
    volume = read_scan(SIEMENS).volume
    theirs = sitk.GetArrayFromImage(simpleitk_series)
    assert volume.array.dtype == np.int16
    assert np.array_equal(volume.array, theirs)
    for index in np.ndindex(2, 2, 2):
        corner = np.array(index) * (np.array(theirs.shape) - 1)
        world = simpleitk_series.TransformIndexToPhysicalPoint([int(n) for n in corner[::-1]])  # type: ignore[attr-defined]
        assert volume.grid.index_to_world_mm(corner) == pytest.approx(world, abs=1e-6)


def test_the_siemens_series_facts_and_empty_tags() -> None:
    reading = read_scan(SIEMENS, identify=True)
    facts = reading.volume.acquisition
    assert reading.volume.array.shape == (20, 512, 512)
    assert reading.volume.grid.spacing_mm == pytest.approx([2.0, 0.9765625, 0.9765625])
    assert (facts.kvp, facts.kernel, facts.slice_thickness_mm) == (120.0, "Br38f", 3.0)
    assert (facts.contrast_agent, facts.contrast_enhanced) == ("APPLIED", True)
    assert (facts.manufacturer, facts.patient_position) == ("SIEMENS", "HFS")
    # Empty in the files: unknown, not a default.
    assert facts.patient_age_years is None
    assert facts.patient_sex is None
    assert reading.identity is not None
    assert reading.identity.patient_name is None
    assert not facts.simulated


def test_the_siemens_labels_lie_on_bone() -> None:
    """The label file's rows run the other way: a reader that forgot would hit the belly."""
    volume = read_scan(SIEMENS).volume
    raw = read_labels(CT / "siemens_t11_t12_labels.nii.gz")
    assert not raw.grid.matches(volume.grid)
    labels = resample_labels(raw, volume.grid)
    assert overlap_note(raw, volume.grid) is None
    t12, cord = volume.array[labels == 32], volume.array[labels == 79]
    assert t12.size == 23_576  # voxels of label 32 in the file
    assert np.median(t12) > 180
    assert -20 < np.median(cord) < 80


@pytest.mark.parametrize("name", ["ct.nii.gz", "ct_cropped.nii.gz"])
def test_the_nifti_voxel_for_voxel_and_place_for_place(name: str) -> None:
    theirs = nib.load(EXAMPLE / name)
    reading = read_scan(EXAMPLE / name)
    assert reading.volume.array.dtype == np.int16
    assert np.array_equal(reading.volume.array, np.asarray(theirs.dataobj).T)
    for index in np.ndindex(2, 2, 2):
        ijk = np.array(index) * (np.array(theirs.shape) - 1)
        ras = nib.affines.apply_affine(theirs.affine, ijk)
        lps = reading.volume.grid.index_to_world_mm(ijk[::-1])
        assert lps == pytest.approx(ras * [-1, -1, 1], abs=1e-4)
    assert reading.kind == "nifti"
    assert reading.volume.acquisition.kvp is None


def test_the_labels_of_the_nifti_are_on_its_grid() -> None:
    volume = read_scan(EXAMPLE / "ct.nii.gz").volume
    raw = read_labels(EXAMPLE / "labels.nii.gz")
    labels = resample_labels(raw, volume.grid)
    assert labels is raw.array
    # ../shared/data/INDEX.md: whole L1, arch included, 196.2 HU.
    assert volume.array[labels == 31].mean() == pytest.approx(196.2, abs=0.1)
    cropped = read_labels(EXAMPLE / "labels_cropped.nii.gz")
    assert set(np.unique(cropped.array)) == set(np.unique(raw.array))
