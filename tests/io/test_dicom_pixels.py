"""From stored numbers to Hounsfield units: rescale, padding, bits, codecs, frames."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from osteoscope.core.errors import InputError
from osteoscope.io.scan import read_scan
from osteoscope.io.simple_itk import sitk
from tests.io.made_series import Made, header, stored_values, write_enhanced, write_series


def truth(made: Made) -> np.ndarray:
    return np.stack([made.hu(k) for k in range(made.n)])


def read_array(folder: Path) -> np.ndarray:
    return read_scan(folder).volume.array


@pytest.mark.parametrize(
    ("signed", "bits", "slope", "intercept"),
    [(False, 12, 1, -1024), (True, 16, 1, 0), (True, 16, 1, -1000), (False, 16, 1, -8192),
     (True, 12, 1, 0), (False, 12, 2, -1024), (True, 16, 1, 24)],
)  # fmt: skip
def test_signs_bits_and_rescales(
    tmp_path: Path, signed: bool, bits: int, slope: int, intercept: int
) -> None:
    made = Made(
        signed=signed, bits_stored=bits, slope=slope, intercept=intercept,
        values=lambda points: 2 * np.rint(points.sum(axis=-1)).astype(np.int32),
    )  # fmt: skip
    write_series(tmp_path, made)
    array = read_array(tmp_path)
    assert array.dtype == np.int16
    assert np.array_equal(array, truth(made))


def test_each_slice_has_its_own_rescale(tmp_path: Path) -> None:
    def own(k: int, ds: Any) -> None:
        ds.RescaleIntercept = -1024 - 10 * k
        ds.PixelData = (made.hu(k) + 1024 + 10 * k).astype(np.uint16).tobytes()

    made = Made(per_slice=own)
    write_series(tmp_path, made)
    assert np.array_equal(read_array(tmp_path), truth(made))


def test_a_rescale_with_fractions_gives_float32(tmp_path: Path) -> None:
    made = Made(slope=0.5, intercept=-1024.25, bits_stored=16)
    write_series(tmp_path, made)
    array = read_array(tmp_path)
    stored = np.stack([stored_values(made, k) for k in range(made.n)])
    assert array.dtype == np.float32
    assert np.array_equal(array, (stored * 0.5 - 1024.25).astype(np.float32))


def test_values_beyond_int16_become_int32(tmp_path: Path) -> None:
    made = Made(
        bits_stored=16, intercept=-1000, values=lambda p: np.where(p[..., 0] > -15, 60_000, -999)
    )
    write_series(tmp_path, made)
    array = read_array(tmp_path)
    assert array.dtype == np.int32
    assert np.array_equal(array, truth(made))


def test_an_overlay_in_the_high_bits_is_not_density(tmp_path: Path) -> None:
    def overlay(k: int, ds: Any) -> None:
        stored = np.frombuffer(ds.PixelData, np.uint16).copy()
        stored[::3] |= 0x8000
        stored[::5] |= 0x1000
        ds.PixelData = stored.tobytes()

    made = Made(per_slice=overlay)
    write_series(tmp_path, made)
    assert np.array_equal(read_array(tmp_path), truth(made))


def with_padding(value: int, fill: int, limit: int | None = None, **also: Any) -> Made:
    def pad(k: int, ds: Any) -> None:
        stored = np.frombuffer(ds.PixelData, "<i2" if ds.PixelRepresentation else "<u2").copy()
        stored.reshape(10, 14)[:, :2] = fill
        ds.PixelData = stored.tobytes()
        vr = "SS" if ds.PixelRepresentation else "US"
        ds.add_new(0x00280120, vr, value)
        if limit is not None:
            ds.add_new(0x00280121, vr, limit)

    return Made(per_slice=pad, **also)


@pytest.mark.parametrize(
    ("value", "fill", "limit", "also"),
    [(-2000, -2000, None, {"signed": True, "bits_stored": 16, "intercept": 0.0}),
     (63536, 63536, None, {"bits_stored": 12}),
     (0, 0, None, {"intercept": -8192.0, "bits_stored": 16}),
     (-3024, -2500, -2000, {"signed": True, "bits_stored": 16, "intercept": 0.0})],
)  # fmt: skip
def test_padding_becomes_air_and_stays_known(
    tmp_path: Path, value: int, fill: int, limit: int | None, also: dict[str, Any]
) -> None:
    made = with_padding(value, fill, limit, **also)
    write_series(tmp_path, made)
    reading = read_scan(tmp_path)
    assert np.all(reading.volume.array[:, :, :2] == -1024)
    assert np.array_equal(reading.volume.array[:, :, 2:], truth(made)[:, :, 2:])
    assert reading.volume.padding == -1024
    assert any("14.3% of voxels are declared padding" in note for note in reading.notes)


def test_unsigned_padding_of_signed_pixels_is_read_by_the_pixels_sign(tmp_path: Path) -> None:
    made = with_padding(-2000, -2000, signed=True, bits_stored=16, intercept=0.0)
    inner = made.per_slice

    def as_us(k: int, ds: Any) -> None:
        assert inner is not None
        inner(k, ds)
        del ds[0x00280120]
        ds.add_new(0x00280120, "US", 63536)

    write_series(tmp_path, Made(signed=True, bits_stored=16, intercept=0.0, per_slice=as_us))
    assert np.all(read_array(tmp_path)[:, :, :2] == -1024)


def test_a_padding_value_that_is_tissue_is_not_believed(tmp_path: Path) -> None:
    """A header whose padding is 0 HU would turn water into air."""

    def claim(k: int, ds: Any) -> None:
        ds.add_new(0x00280120, "SS", 0)

    made = Made(
        signed=True, bits_stored=16, intercept=0.0, per_slice=claim,
        values=lambda p: np.where(np.abs(p[..., 0] + 15) < 2, 0, -300),
    )  # fmt: skip
    write_series(tmp_path, made)
    reading = read_scan(tmp_path)
    assert np.array_equal(reading.volume.array, truth(made))
    assert reading.volume.padding is None
    assert any("was not applied" in note for note in reading.notes)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, RLELossless])
@pytest.mark.parametrize("signed", [False, True])
def test_lossless_codecs(tmp_path: Path, syntax: UID, signed: bool) -> None:
    bits = 16 if signed else 12
    made = write_series(tmp_path, Made(signed=signed, bits_stored=bits, rows=32, columns=40))
    plain = read_array(tmp_path).copy()
    for file in tmp_path.iterdir():
        ds = dcmread(file)
        ds.compress(syntax, generate_instance_uid=False)
        ds.save_as(file)
    assert np.array_equal(read_array(tmp_path), plain)
    assert np.array_equal(plain, truth(made))


def test_jpeg_lossless_is_decoded_by_simpleitk(tmp_path: Path) -> None:
    """GDCM writes and reads it; only the pixels of its files are taken, the header is ours."""
    made = Made(rows=32, columns=40)
    for k in range(made.n):
        image = sitk.GetImageFromArray(stored_values(made, k)[None])
        writer = sitk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.UseCompressionOn()
        writer.SetCompressor("JPEG")
        writer.SetFileName(str(tmp_path / "packed.dcm"))
        writer.Execute(image)
        packed = dcmread(tmp_path / "packed.dcm")
        assert packed.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.70"
        ds = header(made, k)
        ds.file_meta.TransferSyntaxUID = packed.file_meta.TransferSyntaxUID
        ds.BitsStored, ds.HighBit = packed.BitsStored, packed.HighBit
        ds.PixelData = packed.PixelData
        ds["PixelData"].is_undefined_length = True
        ds.save_as(tmp_path / f"{k}.dcm", enforce_file_format=True)
    (tmp_path / "packed.dcm").unlink()
    assert np.array_equal(read_array(tmp_path), truth(made))


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_native_transfer_syntaxes(tmp_path: Path, syntax: UID) -> None:
    made = Made()
    for k in range(made.n):
        ds = Dataset()  # without the little-endian history of the other
        ds.update(header(made, k))
        ds.file_meta, ds.preamble = header(made, k).file_meta, bytes(128)
        ds.file_meta.TransferSyntaxUID = syntax
        order = ">" if syntax == ExplicitVRBigEndian else "<"
        ds.PixelData = stored_values(made, k).astype(f"{order}u2").tobytes()
        ds.save_as(tmp_path / str(k), enforce_file_format=True)
    assert np.array_equal(read_array(tmp_path), truth(made))


def test_files_without_preamble_are_read(tmp_path: Path) -> None:
    made = Made()
    for k in range(made.n):
        ds = header(made, k)
        ds.PixelData = stored_values(made, k).tobytes()
        del ds.file_meta
        ds.preamble = None
        ds.save_as(tmp_path / str(k), implicit_vr=True, little_endian=True)
        assert (tmp_path / str(k)).read_bytes()[:2] == b"\x08\x00"
    assert np.array_equal(read_array(tmp_path), truth(made))


def test_enhanced_frames_lie_by_position_with_their_own_rescale(tmp_path: Path) -> None:
    made = Made(bits_stored=16)
    order = [(k * 5) % made.n for k in range(made.n)]
    write_enhanced(tmp_path / "multi.dcm", made, order)
    reading = read_scan(tmp_path / "multi.dcm")
    assert np.array_equal(reading.volume.array, truth(made))
    facts = reading.volume.acquisition
    assert (facts.kvp, facts.kernel, facts.slice_thickness_mm) == (100.0, "B30f", 2.0)
    assert reading.volume.grid.affine_lps_mm[:3, 3] == pytest.approx(made.origin)


def test_enhanced_and_compressed(tmp_path: Path) -> None:
    made = Made(bits_stored=16, rows=16, columns=16)
    write_enhanced(tmp_path / "multi.dcm", made, range(made.n))
    ds = dcmread(tmp_path / "multi.dcm")
    ds.compress(RLELossless, generate_instance_uid=False)
    ds.save_as(tmp_path / "multi.dcm")
    assert np.array_equal(read_array(tmp_path / "multi.dcm"), truth(made))


def test_enhanced_with_a_missing_frame_is_refused(tmp_path: Path) -> None:
    write_enhanced(tmp_path / "multi.dcm", Made(n=14, bits_stored=16), [*range(5), *range(6, 14)])
    with pytest.raises(Exception, match="Missing slices"):
        read_scan(tmp_path)


def refused(path: Path, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        read_scan(path)
    assert str(caught.value).endswith(".")


def test_no_rescale_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "a", Made(tags={"RescaleSlope": None, "RescaleIntercept": None}))
    write_series(tmp_path / "b", Made(tags={"RescaleIntercept": None}))
    refused(tmp_path / "a", "No rescale: .* Slope and Intercept are missing")
    refused(tmp_path / "b", "No rescale")


def test_values_without_air_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path, Made(intercept=0, values=lambda p: np.full(p.shape[:2], 900)))
    refused(tmp_path, "No rescale: the values reach from 900 to 900")


def test_other_units_than_hu_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path, Made(tags={"RescaleType": "MGML"}))
    refused(tmp_path, "in 'MGML', not in HU")


def test_colour_is_refused(tmp_path: Path) -> None:
    def colour(k: int, ds: Any) -> None:
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 3, "RGB"
        ds.PlanarConfiguration, ds.BitsAllocated, ds.BitsStored, ds.HighBit = 0, 8, 8, 7
        ds.PixelData = bytes(10 * 14 * 3)

    write_series(tmp_path, Made(per_slice=colour))
    refused(tmp_path, r"3 value\(s\) of 8 bits a pixel")


def test_an_unknown_codec_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path)
    for file in tmp_path.iterdir():
        ds = dcmread(file)
        ds.compress(RLELossless, generate_instance_uid=False)
        ds.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.100")  # MPEG-2
        ds.save_as(file)
    refused(tmp_path, "transfer syntax '1.2.840.10008.1.2.4.100'.* not supported")


@pytest.mark.parametrize("cut", [60, 500, 300, 900])
def test_truncated_files_are_refused(tmp_path: Path, cut: int) -> None:
    """Cut in the pixels (60 bytes early) or at some place of the header."""
    write_series(tmp_path)
    file = sorted(tmp_path.iterdir())[4]
    data = file.read_bytes()
    file.write_bytes(data[:-cut] if cut == 60 else data[:cut])
    refused(tmp_path, "Truncated or damaged file: number 5 in the order of names")


def test_one_file_cut_in_its_header_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path)
    file = sorted(tmp_path.iterdir())[4]
    file.write_bytes(file.read_bytes()[:700])
    refused(file, "Truncated or damaged file: number 1 in the order of names")


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, RLELossless])
def test_truncated_compressed_files_are_refused(tmp_path: Path, syntax: UID) -> None:
    write_series(tmp_path, Made(rows=32, columns=32))
    for n, file in enumerate(sorted(tmp_path.iterdir())):
        ds = dcmread(file)
        ds.compress(syntax, generate_instance_uid=False)
        ds.save_as(file)
        if n == 4:
            file.write_bytes(file.read_bytes()[:-50])
    refused(tmp_path, "Truncated or damaged file: number 5")


def test_damaged_compressed_pixels_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path, Made(rows=32, columns=32))
    for n, file in enumerate(sorted(tmp_path.iterdir())):
        ds = dcmread(file)
        ds.compress(JPEG2000Lossless, generate_instance_uid=False)
        ds.save_as(file)
        if n == 4:
            data = bytearray(file.read_bytes())
            start = data.index(b"\xff\x4f\xff\x51")
            data[start : start + 60] = bytes(60)
            file.write_bytes(data)
    refused(tmp_path, "cannot be decoded")


def test_too_large_a_series_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_series(tmp_path)
    monkeypatch.setattr("osteoscope.io.dicom_pixels.MAX_IMAGE_BYTES", 1000)
    refused(tmp_path, "GiB are read")


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("NumberOfFrames", "2000000000"), ("NumberOfFrames", "7"), ("Rows", 60_000)],
)
def test_more_pixels_than_the_file_holds_are_refused(
    tmp_path: Path, keyword: str, value: Any
) -> None:
    def claim(k: int, ds: Any) -> None:
        if k == 3:
            setattr(ds, keyword, value)

    write_series(tmp_path, Made(per_slice=claim))
    refused(tmp_path, "Truncated or damaged file")


@pytest.mark.parametrize("text", [b"inf ", b"nan ", b"abc "])
def test_numbers_that_are_none_are_refused(tmp_path: Path, text: bytes) -> None:
    write_series(tmp_path, Made(tags={"RescaleSlope": "1.25"}))
    for file in tmp_path.iterdir():
        file.write_bytes(file.read_bytes().replace(b"1.25", text))
    refused(tmp_path, "No rescale")


def test_damaged_functional_groups_are_refused(tmp_path: Path) -> None:
    write_enhanced(tmp_path / "multi.dcm", Made(bits_stored=16), range(12))
    data = (tmp_path / "multi.dcm").read_bytes()
    damaged = re.sub(rb"(\x28\x00\x53\x10DS..)1", rb"\1x", data, flags=re.DOTALL)
    assert damaged != data
    (tmp_path / "multi.dcm").write_bytes(damaged)
    with pytest.raises(InputError, match=r"functional groups .* damaged|No rescale"):
        read_scan(tmp_path)


def test_the_folder_is_left_as_it_was(tmp_path: Path) -> None:
    write_series(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    read_scan(tmp_path / "a")
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == sorted(
        p.name for p in (tmp_path / "b").iterdir()
    )
