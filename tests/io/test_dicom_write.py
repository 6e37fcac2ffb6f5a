"""Written CT series: valid by an independent validator, equal when read by independent readers."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from osteoscope.core.errors import InputError
from osteoscope.core.grid import Grid, grid_from_spacing
from osteoscope.core.volume import Acquisition, Volume
from osteoscope.io.dicom_write import write_ct_series

SHAPE = (5, 40, 48)

FACTS = Acquisition(
    kvp=120.0, kernel="Br40f", slice_thickness_mm=2.0, tube_current_ma=200.0, exposure_mas=100.0,
    manufacturer="osteoscope simulator", scanner_model="digital patient", patient_position="HFS",
    reconstruction_diameter_mm=32.0, series_description="SIMULATED spine",
    patient_age_years=71.0, patient_sex="F", simulated=True,
)  # fmt: skip


def made_volume(facts: Acquisition = FACTS, padding: float | None = None) -> Volume:
    rng = np.random.default_rng(3)
    array = rng.integers(-1024, 3071, SHAPE).astype(np.int16)
    if padding is not None:
        array[:, :4, :4] = int(padding)
    grid = grid_from_spacing(SHAPE, (2.0, 0.7, 0.9), (-12.3, 45.6, -789.1))
    return Volume(array, grid, acquisition=facts, padding=padding)


def oblique_grid() -> Grid:
    """A left decubitus patient, slices downwards, turned by 10 degrees."""
    turn = np.deg2rad(10.0)
    matrix = np.array([[0.0, 0.9, 0.0], [0.0, 0.0, -0.9], [-2.5, 0.0, 0.0]])
    about_x = np.array(
        [[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]]
    )
    affine = np.eye(4)
    affine[:3, :3] = about_x @ matrix
    affine[:3, 3] = (11.5, -20.25, 300.125)
    return Grid(SHAPE, affine)


CASES = {
    "plain": made_volume(),
    "contrast": made_volume(
        replace(FACTS, contrast_agent="SIMULATED IODINE", contrast_enhanced=True)
    ),
    "padded": made_volume(padding=-2000.0),
    "unknown": made_volume(Acquisition(simulated=True)),
    "oblique": replace(made_volume(replace(FACTS, patient_position="HFDL")), grid=oblique_grid()),
}


@pytest.mark.parametrize("case", CASES)
def test_dciodvfy_finds_no_error(case: str, tmp_path: Path) -> None:
    program = shutil.which("dciodvfy")
    if program is None:
        if os.environ.get("OSTEOSCOPE_REQUIRE_DCIODVFY") == "1":
            pytest.fail("dciodvfy is required here; install Debian's dicom3tools")
        pytest.skip("dciodvfy is not installed (Debian: dicom3tools)")
    files = write_ct_series(tmp_path, CASES[case], uid_seed=case, patient_id="sim-1")
    done = subprocess.run([program, str(files[2])], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert "CTImage" in said, "the validator recognised the object"
    assert "Error" not in said, said


@pytest.mark.parametrize("case", CASES)
def test_an_independent_reader_sees_the_same_voxels_and_world(case: str, tmp_path: Path) -> None:
    volume = CASES[case]
    files = write_ct_series(tmp_path, volume, uid_seed=case, patient_id="sim-1")
    reader = sitk.ImageSeriesReader()
    # In the order of the array, which may be against the order of positions.
    reader.SetFileNames([str(f) for f in files])
    image = reader.Execute()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), volume.array)
    for k, j, i in ((0, 0, 0), (0, 39, 47), (4, 0, 47), (4, 39, 0)):
        expected = volume.grid.index_to_world_mm(np.array([k, j, i], dtype=float))
        dataset = pydicom.dcmread(files[k])
        row, column = np.array(dataset.ImageOrientationPatient, dtype=float).reshape(2, 3)
        down, across = (float(s) for s in dataset.PixelSpacing)
        place = np.array(dataset.ImagePositionPatient, dtype=float)
        place = place + row * across * i + column * down * j
        np.testing.assert_allclose(place, expected, atol=1e-6)
    if case == "plain":
        np.testing.assert_allclose(
            image.TransformIndexToPhysicalPoint((47, 39, 4)),
            volume.grid.index_to_world_mm(np.array([4.0, 39.0, 47.0])),
            atol=1e-6,
        )


def test_headers_tell_what_is_known_and_no_more(tmp_path: Path) -> None:
    known = pydicom.dcmread(
        write_ct_series(tmp_path / "a", CASES["contrast"], uid_seed="a", patient_id="sim-1")[0]
    )
    assert known.KVP == 120
    assert known.ConvolutionKernel == "Br40f"
    assert known.ContrastBolusAgent == "SIMULATED IODINE"
    assert known.PatientAge == "071Y"
    assert "SIMULATED" in known.ImageComments
    assert "SIMULATED" in known.SeriesDescription
    assert known.Manufacturer == "osteoscope simulator"
    unknown = pydicom.dcmread(
        write_ct_series(tmp_path / "b", CASES["unknown"], uid_seed="b", patient_id="sim-1")[0]
    )
    assert unknown.KVP is None
    assert unknown.SliceThickness is None
    assert "ContrastBolusAgent" not in unknown
    assert "ConvolutionKernel" not in unknown
    assert "PatientAge" not in unknown
    padded = pydicom.dcmread(
        write_ct_series(tmp_path / "c", CASES["padded"], uid_seed="c", patient_id="sim-1")[0]
    )
    assert padded.PixelPaddingValue + padded.RescaleIntercept == -2000


def test_the_same_arguments_give_the_same_bytes_and_other_seeds_other_uids(
    tmp_path: Path,
) -> None:
    volume = CASES["plain"]
    a, b, c = (
        write_ct_series(tmp_path / folder, volume, uid_seed=seed, patient_id="sim-1")
        for folder, seed in (("a", "one"), ("b", "one"), ("c", "two"))
    )
    assert [p.read_bytes() for p in a] == [p.read_bytes() for p in b]
    first, other = pydicom.dcmread(a[0]), pydicom.dcmread(c[0])
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        assert first[keyword].value.startswith("2.25.")
        assert first[keyword].value != other[keyword].value
    uids = {pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID for p in a}
    assert len(uids) == SHAPE[0]


@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless, JPEG2000Lossless, JPEGLSLossless],
)
def test_transfer_syntaxes_are_lossless(syntax: str, tmp_path: Path) -> None:
    volume = CASES["plain"]
    files = write_ct_series(
        tmp_path, volume, uid_seed="s", patient_id="sim-1", transfer_syntax=syntax
    )
    for k, path in enumerate(files):
        dataset = pydicom.dcmread(path)
        assert dataset.file_meta.TransferSyntaxUID == syntax
        hu = dataset.pixel_array * dataset.RescaleSlope + dataset.RescaleIntercept
        np.testing.assert_array_equal(hu, volume.array[k])


def test_what_a_ct_image_cannot_hold_is_refused(tmp_path: Path) -> None:
    volume = CASES["plain"]
    bad = {
        "mg/cm3": replace(volume, unit="mg/cm3"),
        "whole HU": replace(volume, array=volume.array + np.float32(0.5)),
        "16-bit": replace(volume, array=volume.array.astype(np.int32) + 40000),
    }
    for words, wrong in bad.items():
        with pytest.raises(InputError, match=words):
            write_ct_series(tmp_path / "none", wrong, uid_seed="s", patient_id="sim-1")
    assert not (tmp_path / "none").exists()


def test_a_syntax_that_cannot_be_encoded_is_named(tmp_path: Path) -> None:
    mpeg2 = "1.2.840.10008.1.2.4.100"
    with pytest.raises(InputError, match=mpeg2.replace(".", r"\.")):
        write_ct_series(
            tmp_path, CASES["plain"], uid_seed="s", patient_id="sim-1", transfer_syntax=mpeg2
        )
