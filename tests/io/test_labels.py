"""Segmentations: read, combined and brought onto the scan's grid."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from osteoscope.core.errors import GeometryError, InputError
from osteoscope.core.grid import Grid, grid_from_spacing
from osteoscope.io.image_files import write_labels
from osteoscope.io.labels import RawLabels, overlap_note, read_labels, resample_labels
from osteoscope.io.simple_itk import sitk

GRID = grid_from_spacing((8, 9, 10), (2.0, 1.0, 1.0), (-5.0, 3.0, 100.0))


def some_labels(shape: tuple[int, ...] = (8, 9, 10), highest: int = 40) -> np.ndarray:
    return np.random.default_rng(3).integers(0, highest + 1, shape).astype(np.uint8)


@pytest.mark.parametrize(
    ("kind", "factor", "expected"),
    [("uint8", 1, "uint8"), ("int16", 1, "uint8"), ("float32", 1, "uint8"),
     ("float64", 1, "uint8"), ("int32", 20, "uint16"), ("int64", 1, "uint8")],
)  # fmt: skip
def test_whole_numbers_of_any_type(tmp_path: Path, kind: str, factor: int, expected: str) -> None:
    labels = some_labels().astype(kind) * np.dtype(kind).type(factor)
    image = nib.Nifti1Image(labels.T, np.diag([-1.0, -1.0, 2.0, 1.0]), dtype=kind)
    image.set_qform(image.affine, 1)
    nib.save(image, tmp_path / "labels.nii.gz")
    raw = read_labels(tmp_path / "labels.nii.gz")
    assert raw.array.dtype == expected
    assert np.array_equal(raw.array, labels)
    assert raw.names is None


@pytest.mark.parametrize(
    ("value", "match"),
    [(0.5, "the file holds fractions"), (-1, "reach from -1 to 40"), (70_000, "reach from 0 to 7"),
     (np.nan, "reach from nan")],
)  # fmt: skip
def test_what_is_no_label_is_refused(tmp_path: Path, value: float, match: str) -> None:
    values = some_labels().astype(np.float32)
    values[4, 4, 4] = value
    image = nib.Nifti1Image(values.T, np.eye(4))
    nib.save(image, tmp_path / "labels.nii.gz")
    with pytest.raises(InputError, match=match):
        read_labels(tmp_path / "labels.nii.gz")


def test_files_that_are_no_segmentation_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_labels(tmp_path / "absent.nii.gz")
    (tmp_path / "labels.txt").write_text("1")
    with pytest.raises(InputError, match=r"'\.txt' is none"):
        read_labels(tmp_path / "labels.txt")


def test_names_of_a_slicer_segmentation(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(some_labels(highest=2))
    image.SetMetaData("Segment0_LabelValue", "1")
    image.SetMetaData("Segment0_Name", "L1 vertebra")
    image.SetMetaData("Segment1_LabelValue", "2")
    image.SetMetaData("Segment1_Name", "L2 vertebra")
    sitk.WriteImage(image, str(tmp_path / "labels.seg.nrrd"))
    raw = read_labels(tmp_path / "labels.seg.nrrd")
    assert raw.names == {1: "L1 vertebra", 2: "L2 vertebra"}


def mask(*box: tuple[int, int]) -> np.ndarray:
    array = np.zeros((8, 9, 10), np.uint8)
    array[tuple(slice(*b) for b in box)] = 1
    return array


def test_a_folder_of_masks_becomes_totalsegmentators_numbers(tmp_path: Path) -> None:
    one, two = mask((0, 4), (0, 9), (0, 10)), mask((4, 8), (0, 9), (0, 5))
    write_labels(tmp_path / "vertebrae_L1.nii.gz", one, GRID)
    write_labels(tmp_path / "aorta.nii.gz", two, GRID)
    write_labels(tmp_path / "rib_left_12.nii.gz", mask((7, 8), (8, 9), (9, 10)), GRID)
    write_labels(tmp_path / "brain.nii.gz", one, GRID)
    raw = read_labels(tmp_path)
    assert raw.array.dtype == np.uint8
    assert np.array_equal(raw.array == 31, one == 1)
    assert np.array_equal(raw.array == 52, two == 1)
    assert raw.array[7, 8, 9] == 103
    assert raw.names == {31: "vertebrae_L1", 52: "aorta", 103: "rib_left_12"}
    assert raw.notes == ("1 mask(s) of structures that are not used were skipped.",)
    assert raw.grid.matches(GRID)


def test_a_few_shared_voxels_go_to_the_last_mask_and_many_are_an_error(tmp_path: Path) -> None:
    write_labels(tmp_path / "vertebrae_L1.nii.gz", mask((0, 4), (0, 9), (0, 10)), GRID)
    write_labels(tmp_path / "vertebrae_L2.nii.gz", mask((3, 4), (0, 1), (0, 10)), GRID)
    assert np.all(read_labels(tmp_path).array[3, 0] == 30)
    write_labels(tmp_path / "vertebrae_L2.nii.gz", mask((3, 8), (0, 9), (0, 10)), GRID)
    with pytest.raises(InputError, match="'vertebrae_L2' shares 90 of its 450 voxels"):
        read_labels(tmp_path)


def test_masks_on_two_grids_and_folders_without_masks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds 0 image files and none is named"):
        read_labels(tmp_path)
    write_labels(tmp_path / "vertebrae_L1.nii.gz", mask((0, 4), (0, 9), (0, 10)), GRID)
    moved = grid_from_spacing((8, 9, 10), (2.0, 1.0, 1.0), (-5.0, 3.0, 101.0))
    write_labels(tmp_path / "vertebrae_L2.nii.gz", mask((5, 8), (0, 9), (0, 10)), moved)
    with pytest.raises(GeometryError, match=r"'vertebrae_L2\.nii\.gz' lies on another grid"):
        read_labels(tmp_path)


def by_simpleitk(raw: RawLabels, grid: Grid) -> np.ndarray:
    """The whole grid at once, by the library alone."""

    def image_on(array: np.ndarray, on: Grid) -> object:
        image = sitk.GetImageFromArray(np.ascontiguousarray(array))
        image.SetSpacing([float(s) for s in on.spacing_mm[::-1]])
        image.SetDirection([float(d) for d in on.directions[:, ::-1].ravel()])
        image.SetOrigin([float(x) for x in on.affine_lps_mm[:3, 3]])
        return image

    return sitk.GetArrayFromImage(
        sitk.Resample(
            image_on(raw.array, raw.grid),
            image_on(np.zeros(grid.shape, np.uint8), grid),
            sitk.Transform(),
            sitk.sitkNearestNeighbor,
            0,
        )
    )


def test_matching_grids_return_the_array_itself() -> None:
    raw = RawLabels(some_labels(), GRID)
    assert resample_labels(raw, GRID) is raw.array
    assert overlap_note(raw, GRID) is None


@settings(max_examples=40, deadline=None, derandomize=True)
@given(order=st.permutations([0, 1, 2]), flips=st.tuples(*[st.booleans()] * 3))
def test_flips_and_permutations_are_exact(order: list[int], flips: tuple[bool, ...]) -> None:
    raw = RawLabels(some_labels(), GRID)
    shape = [GRID.shape[a] for a in order]
    affine = np.eye(4)
    affine[:3, :3] = GRID.affine_lps_mm[:3, :3][:, order]
    start = np.zeros(3)
    for axis, flip in enumerate(flips):
        if flip:
            affine[:3, axis] *= -1
            start[order[axis]] = shape[axis] - 1
    affine[:3, 3] = GRID.index_to_world_mm(start)
    target = Grid((shape[0], shape[1], shape[2]), affine)
    result = resample_labels(raw, target)
    assert result.shape == target.shape
    assert np.array_equal(result, by_simpleitk(raw, target))
    assert np.shares_memory(result, raw.array)
    back = resample_labels(RawLabels(result, target), GRID)
    assert np.array_equal(back, raw.array)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), spacing=st.tuples(*[st.floats(0.6, 2.5)] * 3))
def test_any_grid_gives_what_the_library_gives_on_the_whole_grid(
    seed: int, spacing: tuple[float, ...]
) -> None:
    rng = np.random.default_rng(seed)
    labels = np.zeros((8, 9, 10), np.uint8)
    labels[2:6, 3:7, 2:9] = rng.integers(1, 5, (4, 4, 7))
    raw = RawLabels(labels, GRID)
    affine = np.eye(4)
    tilt = Rotation.from_euler("xyz", rng.uniform(-25, 25, 3), degrees=True).as_matrix()
    affine[:3, :3] = (tilt * np.array(spacing))[:, ::-1]
    affine[:3, 3] = [-9 + rng.uniform(), -2 + rng.uniform(), 96 + rng.uniform()]
    target = Grid((14, 13, 12), affine)
    assert np.array_equal(resample_labels(raw, target), by_simpleitk(raw, target))


def test_a_crop_is_pasted_at_its_place_and_noted() -> None:
    labels = some_labels()
    box = (slice(2, 5), slice(0, 9), slice(3, 10))
    raw = RawLabels(labels[box], GRID.crop(box))
    result = resample_labels(raw, GRID)
    assert np.array_equal(result[box], labels[box])
    assert np.count_nonzero(result) == np.count_nonzero(labels[box])
    note = overlap_note(raw, GRID)
    assert note is not None
    assert "covers 2" in note
    assert "100 % of the segmentation lies in the scan" in note
    larger = resample_labels(RawLabels(labels, GRID), GRID.crop(box))
    assert np.array_equal(larger, labels[box])


def test_labels_beside_the_scan_are_an_error_that_states_the_overlap() -> None:
    raw = RawLabels(some_labels(), GRID)
    far = grid_from_spacing((8, 9, 10), (2.0, 1.0, 1.0), (300.0, 3.0, 100.0))
    with pytest.raises(GeometryError, match=r"does not overlap the scan: 0\.0 % of its box"):
        resample_labels(raw, far)


def test_empty_labels_stay_empty() -> None:
    raw = RawLabels(np.zeros(GRID.shape, np.uint8), GRID)
    target = grid_from_spacing((5, 6, 7), (2.2, 1.3, 1.1), (-4.7, 3.2, 100.9))
    assert not resample_labels(raw, target).any()
