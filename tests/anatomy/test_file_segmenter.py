"""Labels from a file or a folder, on the scan's grid; segmenters by name."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from osteoscope.anatomy.segmenters.file import FileSegmenter
from osteoscope.core.errors import GeometryError, InputError
from osteoscope.core.grid import Grid, grid_from_spacing
from osteoscope.core.label_schemes import SCHEMES
from osteoscope.core.volume import Volume

GRID = grid_from_spacing((40, 30, 32), (3.0, 2.0, 2.0), (-31.0, -20.0, 100.0))


def lumbar(scheme: str) -> np.ndarray:
    array = np.zeros(GRID.shape, np.uint8)
    for place, level in enumerate(("L3", "L2", "L1")):
        array[2 + 12 * place : 11 + 12 * place, 8:22, 9:21] = SCHEMES[scheme].vertebrae[level]
    return array


def write(path, array: np.ndarray, grid: Grid) -> None:
    """By nibabel, which shares no code with osteoscope.io: (x, y, z) arrays in RAS."""
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ grid.affine_lps_mm[:, [2, 1, 0, 3]]
    nibabel.save(nibabel.Nifti1Image(array.transpose(2, 1, 0), affine), path)


@pytest.fixture
def volume() -> Volume:
    return Volume(np.zeros(GRID.shape, np.int16), GRID)


@pytest.mark.parametrize("scheme", ["totalsegmentator", "verse"])
def test_a_file_on_the_scans_grid(tmp_path, volume, scheme):
    write(tmp_path / "labels.nii.gz", lumbar(scheme), GRID)
    segmenter = FileSegmenter(tmp_path / "labels.nii.gz")
    labels = segmenter.segment(volume)
    assert labels.scheme.name == scheme
    assert np.array_equal(labels.array, lumbar(scheme))
    assert labels.grid is volume.grid
    assert segmenter.name == "file"


def test_a_file_on_another_grid_is_resampled(tmp_path, volume):
    fine = grid_from_spacing((120, 60, 64), (1.0, 1.0, 1.0), (-31.5, -20.5, 99.0))
    array = np.repeat(np.repeat(np.repeat(lumbar("verse"), 3, 0), 2, 1), 2, 2)
    write(tmp_path / "fine.nii.gz", array, fine)
    labels = FileSegmenter(tmp_path / "fine.nii.gz").segment(volume)
    assert labels.array.shape == GRID.shape
    assert np.array_equal(labels.array, lumbar("verse"))


def test_a_folder_of_masks(tmp_path, volume):
    array = lumbar("totalsegmentator")
    for level in ("L1", "L2", "L3"):
        number = SCHEMES["totalsegmentator"].vertebrae[level]
        write(tmp_path / f"vertebrae_{level}.nii.gz", (array == number).astype(np.uint8), GRID)
    labels = FileSegmenter(tmp_path).segment(volume)
    assert labels.scheme.name == "totalsegmentator"
    assert np.array_equal(labels.array, array)


def test_the_scheme_is_asked_for_and_taken(tmp_path, volume):
    array = np.where(lumbar("verse") == 20, 20, 0).astype(np.uint8)
    write(tmp_path / "one.nii.gz", array, GRID)
    with pytest.raises(InputError, match="--scheme"):
        FileSegmenter(tmp_path / "one.nii.gz").segment(volume)
    labels = FileSegmenter(tmp_path / "one.nii.gz", scheme="verse").segment(volume)
    assert labels.scheme is SCHEMES["verse"]
    with pytest.raises(InputError, match="Unknown label scheme"):
        FileSegmenter(tmp_path / "one.nii.gz", scheme="bones").segment(volume)


def test_labels_elsewhere_are_refused(tmp_path, volume):
    away = grid_from_spacing(GRID.shape, (3.0, 2.0, 2.0), (900.0, 900.0, 900.0))
    write(tmp_path / "away.nii.gz", lumbar("verse"), away)
    with pytest.raises(GeometryError, match="overlap"):
        FileSegmenter(tmp_path / "away.nii.gz").segment(volume)


def test_a_missing_file_is_one_sentence(tmp_path, volume):
    with pytest.raises(InputError, match="does not exist"):
        FileSegmenter(tmp_path / "none.nii.gz").segment(volume)
