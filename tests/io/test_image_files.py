"""NIfTI, NRRD and MetaImage against nibabel and against what was written."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from osteoscope.core.errors import GeometryError, InputError, OsteoscopeError
from osteoscope.core.grid import Grid, grid_from_spacing
from osteoscope.core.volume import Volume
from osteoscope.io.gzip_writing import gzip_file
from osteoscope.io.image_files import write_labels, write_volume
from osteoscope.io.scan import list_series, read_scan
from osteoscope.io.simple_itk import sitk

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def hu(shape: tuple[int, ...] = (6, 7, 8), low: int = -1000, high: int = 2000) -> np.ndarray:
    return np.random.default_rng(7).integers(low, high, shape)


def save(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
    """With nibabel, both orientations alike."""
    affine = np.diag([1.5, 1.0, 2.0, 1.0]) if affine is None else affine
    image = nib.Nifti1Image(array, affine, dtype=array.dtype)
    image.set_qform(image.affine, 1)
    nib.save(image, path)
    return path


def lps_of_nibabel(image: Any, index_xyz: np.ndarray) -> np.ndarray:
    return nib.affines.apply_affine(RAS_TO_LPS @ image.affine, index_xyz)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    flips=st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3),
    spacing=st.tuples(*[st.floats(0.3, 4.0)] * 3),
)
def test_nibabel_agrees_voxel_for_voxel_and_place_for_place(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    flips: tuple[float, ...],
    spacing: tuple[float, ...],
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.random(random_state=seed).as_matrix() * spacing * np.array(flips)
    affine[:3, 3] = [30, -20, 10]
    path = save(tmp_path_factory.mktemp("n") / "ct.nii", hu().astype(np.int16), affine)
    theirs = nib.load(path)
    ours = read_scan(path).volume
    assert np.array_equal(ours.array, np.asarray(theirs.dataobj).T)
    index = np.array([[0, 0, 0], [5, 6, 7], [5, 0, 3]])
    assert np.allclose(
        ours.grid.index_to_world_mm(index[:, ::-1]), lps_of_nibabel(theirs, index), atol=1e-3
    )


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_what_is_written_is_read_back(tmp_path: Path, suffix: str) -> None:
    rotation = Rotation.from_euler("xyz", [10, -20, 30], degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = rotation[:, ::-1] * [2.0, 1.0, -0.7]
    affine[:3, 3] = [-100, 50, 20]
    volume = Volume(hu().astype(np.int16), Grid((6, 7, 8), affine))
    write_volume(tmp_path / f"ct{suffix}", volume)
    back = read_scan(tmp_path / f"ct{suffix}")
    assert np.array_equal(back.volume.array, volume.array)
    assert back.volume.grid.matches(volume.grid, 1e-3)
    assert [p.name for p in tmp_path.iterdir()] == [f"ct{suffix}"]
    assert back.kind == {".nrrd": "nrrd", ".mha": "metaimage"}.get(suffix, "nifti")


def test_nibabel_reads_what_is_written(tmp_path: Path) -> None:
    volume = Volume(hu().astype(np.int16), grid_from_spacing((6, 7, 8), (2, 1, 0.5), (3, 4, 5)))
    write_volume(tmp_path / "ct.nii.gz", volume)
    image = nib.load(tmp_path / "ct.nii.gz")
    assert np.array_equal(np.asarray(image.dataobj).T, volume.array)
    assert lps_of_nibabel(image, np.array([7, 6, 5])) == pytest.approx([6.5, 10, 15])
    assert np.array_equal(image.get_sform(), image.get_qform())


def test_canonical_views_are_written_as_they_lie(tmp_path: Path) -> None:
    affine = np.eye(4)
    affine[:3, :3] = [[0, -1, 0], [0, 0, 2], [3, 0, 0]]
    volume = Volume(hu().astype(np.int16), Grid((6, 7, 8), affine)).canonical()
    write_volume(tmp_path / "ct.nii.gz", volume)
    back = read_scan(tmp_path / "ct.nii.gz").volume
    assert np.array_equal(back.array, volume.array)
    assert back.grid.matches(volume.grid)


def test_the_same_volume_gives_the_same_bytes(tmp_path: Path) -> None:
    volume = Volume(hu().astype(np.int16), grid_from_spacing((6, 7, 8), (2, 1, 1)))
    digests = set()
    for name in ("a.nii.gz", "b.nii.gz"):
        write_volume(tmp_path / name, volume)
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1
    head = (tmp_path / "a.nii.gz").read_bytes()[:10]
    assert head[3] == 0  # no file name in the header
    assert head[4:8] == bytes(4)  # no time


@settings(max_examples=15, deadline=None, derandomize=True)
@given(size=st.integers(0, 5_000), chunk=st.integers(1, 1_500))
def test_chunks_join_to_one_gzip_stream(
    tmp_path_factory: pytest.TempPathFactory, size: int, chunk: int
) -> None:
    folder = tmp_path_factory.mktemp("gz")
    data = np.random.default_rng(size).integers(0, 9, size, dtype=np.uint8).tobytes()
    (folder / "plain").write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("osteoscope.io.gzip_writing._CHUNK", chunk)
        gzip_file(folder / "plain", folder / "a.gz")
        patch.setattr("os.cpu_count", lambda: 1)
        gzip_file(folder / "plain", folder / "b.gz")
    packed = (folder / "a.gz").read_bytes()
    assert packed == (folder / "b.gz").read_bytes()
    assert gzip.decompress(packed) == data
    inflate = zlib.decompressobj(31)
    assert inflate.decompress(packed) == data
    assert inflate.eof
    assert not inflate.unused_data  # one member, which every reader takes


def test_labels_are_written_as_unsigned_bytes(tmp_path: Path) -> None:
    grid = grid_from_spacing((6, 7, 8), (2, 1, 1))
    write_labels(tmp_path / "mask.nii.gz", hu() > 0, grid)
    image = nib.load(tmp_path / "mask.nii.gz")
    assert image.get_data_dtype() == np.uint8
    assert np.array_equal(np.asarray(image.dataobj).T, hu() > 0)
    with pytest.raises(InputError, match="must be integers, not float64"):
        write_labels(tmp_path / "x.nii.gz", hu() / 2, grid)
    with pytest.raises(GeometryError, match="is not the grid's"):
        write_labels(tmp_path / "x.nii.gz", hu((2, 2, 2)), grid)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = Volume(hu().astype(np.int16), grid_from_spacing((6, 7, 8), (2, 1, 1)))
    write_volume(tmp_path / "ct.nii.gz", volume)
    old = (tmp_path / "ct.nii.gz").read_bytes()

    def full(*_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("osteoscope.io.gzip_writing._deflate", full)
    with pytest.raises(InputError, match="cannot be written"):
        write_volume(tmp_path / "ct.nii.gz", volume)
    assert [p.name for p in tmp_path.iterdir()] == ["ct.nii.gz"]
    assert (tmp_path / "ct.nii.gz").read_bytes() == old
    with pytest.raises(InputError, match=r"not '\.jpg'"):
        write_volume(tmp_path / "ct.jpg", volume)
    with pytest.raises(InputError, match="cannot be written"):
        write_volume(tmp_path / "absent" / "ct.nii.gz", volume)


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [(np.int32, (-1000, 2000), np.int16), (np.uint8, None, None),
     (np.float32, (-1000, 2000), np.int16), (np.float64, (-1000, 2000), np.int16),
     (np.int64, (-1000, 2000), np.int16), (np.int32, (-1000, 90_000), np.int32)],
)  # fmt: skip
def test_the_smallest_type_that_holds_the_values(
    tmp_path: Path, kind: Any, values: tuple[int, int] | None, expected: Any
) -> None:
    if values is None or expected is None:
        path = save(tmp_path / "ct.nii", hu(low=0, high=200).astype(kind))
        with pytest.raises(InputError, match="No rescale: the values reach from 0 to"):
            read_scan(path)
        return
    path = save(tmp_path / "ct.nii", hu(low=values[0], high=values[1]).astype(kind))
    array = read_scan(path).volume.array
    assert array.dtype == expected
    assert np.array_equal(array, np.asarray(nib.load(path).dataobj).T)


def test_fractions_stay_as_float32(tmp_path: Path) -> None:
    path = save(tmp_path / "ct.nii.gz", hu() / 3.0)
    array = read_scan(path).volume.array
    assert array.dtype == np.float32
    assert np.allclose(array, hu().T / 3, atol=1e-3)


def test_a_scale_factor_in_the_header_is_applied(tmp_path: Path) -> None:
    image = nib.Nifti1Image(hu(low=0, high=3000).astype(np.int16), np.eye(4))
    image.set_qform(image.affine, 1)
    image.header.set_slope_inter(1, -1024)
    nib.save(image, tmp_path / "ct.nii")
    raw = bytearray((tmp_path / "ct.nii").read_bytes())
    raw[112:120] = np.array([1, -1024], "<f4").tobytes()
    (tmp_path / "ct.nii").write_bytes(raw)
    volume = read_scan(tmp_path / "ct.nii").volume
    assert volume.array.dtype == np.int16
    assert np.array_equal(volume.array, np.asarray(nib.load(tmp_path / "ct.nii").dataobj).T)
    assert volume.array.min() < -1000


def refused(path: Path, error: type[OsteoscopeError], match: str) -> None:
    with pytest.raises(error, match=match) as caught:
        read_scan(path)
    assert str(caught.value).endswith(".")
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("values", "match"),
    [(hu(low=0, high=4096), "No rescale: the values reach from .* to 4"),
     (hu(low=0, high=256), "No rescale"),
     (np.linspace(0, 1, 336).reshape(6, 7, 8), "No rescale: the values reach from 0 to 1,"),
     (np.linspace(-1, 1, 336).reshape(6, 7, 8), "a normalised image, not HU")],
)  # fmt: skip
def test_values_that_are_not_hounsfield_units_are_refused(
    tmp_path: Path, values: np.ndarray, match: str
) -> None:
    refused(save(tmp_path / "ct.nii", values.astype(np.float32)), InputError, match)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_a_number_is_refused(tmp_path: Path, bad: float) -> None:
    values = hu().astype(np.float32)
    values[2:4, 3, 4] = bad
    refused(save(tmp_path / "ct.nii", values), InputError, "not numbers .* 2 of them")


def test_more_than_three_dimensions_and_colours_are_refused(tmp_path: Path) -> None:
    refused(
        save(tmp_path / "time.nii", hu((4, 5, 6, 3)).astype(np.int16)),
        InputError, r"4 dimensions \(4 x 5 x 6 x 3\)",
    )  # fmt: skip
    flat = sitk.GetImageFromArray(hu((5, 6)).astype(np.int16))
    sitk.WriteImage(flat, str(tmp_path / "flat.mha"))
    refused(tmp_path / "flat.mha", InputError, "2 dimensions")
    colour = sitk.GetImageFromArray(hu((4, 5, 6, 3)).astype(np.uint8), isVector=True)
    sitk.WriteImage(colour, str(tmp_path / "rgb.nrrd"))
    refused(tmp_path / "rgb.nrrd", InputError, "3 values a voxel")


def test_a_fourth_axis_of_one_is_no_time(tmp_path: Path) -> None:
    path = save(tmp_path / "ct.nii", hu((4, 5, 6, 1)).astype(np.int16))
    assert np.array_equal(read_scan(path).volume.array, hu((4, 5, 6, 1))[..., 0].T)


def test_unknown_sheared_and_contradicting_orientations_are_refused(tmp_path: Path) -> None:
    values = hu().astype(np.int16)
    nib.save(nib.Nifti1Image(values, None), tmp_path / "none.nii")
    refused(tmp_path / "none.nii", GeometryError, "states no orientation")
    sheared = np.eye(4)
    sheared[0, 2] = 0.2
    image = nib.Nifti1Image(values, sheared)
    image.set_qform(None, 0)
    nib.save(image, tmp_path / "sheared.nii")
    refused(tmp_path / "sheared.nii", GeometryError, "not at right angles")
    for name, change in (("moved", (0, 3, 12.5)), ("flipped", (0, 0, -1.0))):
        other = np.eye(4)
        other[change[0], change[1]] = change[2]
        image = nib.Nifti1Image(values, np.eye(4))
        image.set_qform(other, 1)
        nib.save(image, tmp_path / f"{name}.nii.gz")
        refused(tmp_path / f"{name}.nii.gz", GeometryError, r"up to (12\.5|10\.0) mm apart")


@pytest.mark.parametrize("name", ["ct.nii.gz", "ct.nii", "ct.nrrd", "ct.mha"])
@pytest.mark.parametrize("keep", [0.6, 0.05, 0.0])
def test_truncated_image_files_are_refused(tmp_path: Path, name: str, keep: float) -> None:
    volume = Volume(hu((20, 30, 30)).astype(np.int16), grid_from_spacing((20, 30, 30), (2, 1, 1)))
    write_volume(tmp_path / name, volume)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(len(data) * keep)])
    refused(tmp_path / name, InputError, "truncated")


def test_junk_under_an_image_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(b"no image" * 100))
    refused(tmp_path / "ct.nii.gz", InputError, "header cannot be read")


def test_too_large_an_image_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "ct.nii", hu().astype(np.int16))
    monkeypatch.setattr("osteoscope.io.image_files.MAX_IMAGE_BYTES", 600)
    refused(path, InputError, "GiB are read")


def test_padding_and_clipping_are_noticed(tmp_path: Path) -> None:
    values = hu((20, 20, 20), high=400).astype(np.int16)
    values[:4] = -3024
    reading = read_scan(save(tmp_path / "padded.nii", values))
    assert reading.volume.padding == -3024
    assert any("-3024 HU are taken as padding" in note for note in reading.notes)
    reading = read_scan(
        save(tmp_path / "clipped.nii", np.clip(hu((20, 20, 20)), -1000, 300).astype(np.int16))
    )
    assert reading.volume.padding is None
    assert any("clipped at 300 HU" in note for note in reading.notes)


def test_facts_come_from_the_json_file_beside_it(tmp_path: Path) -> None:
    facts = {
        "KVP": 100, "ConvolutionKernel": "Br40d\\3", "ContrastBolusAgent": "none",
        "Manufacturer": "SIEMENS", "ManufacturersModelName": "Force", "SliceThickness": 1.5,
        "XRayExposure": 80, "PatientAge": "067Y", "PatientSex": "F", "Simulated": True,
    }  # fmt: skip
    path = save(tmp_path / "ct.nii.gz", hu().astype(np.int16))
    (tmp_path / "ct.json").write_text(json.dumps(facts))
    reading = read_scan(path)
    got = reading.volume.acquisition
    assert (got.kvp, got.kernel, got.slice_thickness_mm) == (100.0, "Br40d", 1.5)
    assert (got.contrast_agent, got.contrast_enhanced) == ("none", False)
    assert (got.manufacturer, got.scanner_model, got.exposure_mas) == ("SIEMENS", "Force", 80.0)
    assert (got.patient_age_years, got.patient_sex, got.simulated) == (67.0, "F", True)
    assert any("JSON file beside it" in note for note in reading.notes)


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 5000, '{"KVP": "x", "PatientAge": []}'])
def test_an_unusable_json_file_says_nothing(tmp_path: Path, text: str) -> None:
    path = save(tmp_path / "ct.nii.gz", hu().astype(np.int16))
    (tmp_path / "ct.json").write_text(text)
    reading = read_scan(path)
    assert reading.volume.acquisition.kvp is None
    assert reading.volume.acquisition.patient_age_years is None


def test_a_folder_with_one_image_is_that_image(tmp_path: Path) -> None:
    path = save(tmp_path / "ct.nii.gz", hu().astype(np.int16))
    assert read_scan(tmp_path).digest == read_scan(path).digest
    assert list_series(path)[0].n_slices == 8
    with pytest.raises(InputError, match="--series"):
        read_scan(path, series="1")
    save(tmp_path / "other.nii.gz", hu().astype(np.int16))
    refused(tmp_path, InputError, "holds 2 image files and no DICOM")


def test_the_digest_names_voxels_and_place(tmp_path: Path) -> None:
    values = hu().astype(np.int16)
    one = read_scan(save(tmp_path / "a.nii.gz", values)).digest
    assert read_scan(save(tmp_path / "b.nii", values)).digest == one
    moved = np.diag([1.5, 1.0, 2.0, 1.0])
    moved[0, 3] = 0.5
    assert read_scan(save(tmp_path / "c.nii", values, moved)).digest != one
    values[0, 0, 0] += 1
    assert read_scan(save(tmp_path / "d.nii", values)).digest != one
    assert len(one) == 64
