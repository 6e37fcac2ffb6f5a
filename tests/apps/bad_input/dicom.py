"""Bad DICOM, written with pydicom alone."""

from __future__ import annotations

import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from openjpeg.utils import encode_array
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate

from tests.apps.bad_input.case import NAME, NUMBER, Case, with_labels
from tests.io.made_series import Made, header, stored_values, write_enhanced, write_series

Build = Callable[[Path], list[str]]
_PATIENT = {"PatientName": NAME, "PatientID": NUMBER, "PatientBirthDate": "19500101"}
_DEFLATED = "1.2.840.10008.1.2.1.99"


def _made(**changes: Any) -> Made:
    tags = {**_PATIENT, **changes.pop("tags", {})}
    return replace(Made(n=14, tags=tags), **changes)


def _series(**changes: Any) -> Build:
    """A series with other settings or tags."""

    def build(folder: Path) -> list[str]:
        skip = changes.get("skip", ())
        made = _made(**{key: value for key, value in changes.items() if key != "skip"})
        write_series(folder / "ct", made, skip)
        return with_labels(folder / "ct", folder)

    return build


def _tags(**tags: Any) -> Build:
    return _series(tags=tags)


def _per_slice(change: Callable[[int, FileDataset], None]) -> Build:
    return _series(per_slice=change)


def _positive(points_mm: np.ndarray) -> np.ndarray:
    return np.rint(np.abs(points_mm).sum(axis=-1)).astype(np.int32)


def _move(which: int, by_mm: float, axis: int = 2) -> Callable[[int, FileDataset], None]:
    def change(k: int, ds: FileDataset) -> None:
        if k == which:
            position = [float(v) for v in ds.ImagePositionPatient]
            position[axis] += by_mm
            ds.ImagePositionPatient = position

    return change


def _only(which: int, **tags: Any) -> Callable[[int, FileDataset], None]:
    def change(k: int, ds: FileDataset) -> None:
        if k == which:
            for keyword, value in tags.items():
                setattr(ds, keyword, value)

    return change


def _first_file(folder: Path) -> Path:
    return min((folder / "ct").iterdir())


def _doubled(folder: Path) -> list[str]:
    words = _series()(folder)
    shutil.copy(_first_file(folder), folder / "ct" / "again")
    return words


def _truncated(folder: Path) -> list[str]:
    words = _series()(folder)
    file = _first_file(folder)
    file.write_bytes(file.read_bytes()[:-40])
    return words


def _header_only(folder: Path) -> list[str]:
    words = _series()(folder)
    file = _first_file(folder)
    ds = pydicom.dcmread(file)
    del ds.PixelData
    ds.save_as(file)
    return words


def _cut_in_the_header(folder: Path) -> list[str]:
    words = _series()(folder)
    file = _first_file(folder)
    file.write_bytes(file.read_bytes()[:420])
    return words


def _garbage(folder: Path) -> list[str]:
    path = folder / "scan.dcm"
    path.write_bytes(np.random.default_rng(1).bytes(5000))
    return with_labels(path, folder)


def _garbage_after_the_mark(folder: Path) -> list[str]:
    path = folder / "scan.dcm"
    path.write_bytes(bytes(128) + b"DICM" + np.random.default_rng(1).bytes(5000))
    return with_labels(path, folder)


def _empty_folder(folder: Path) -> list[str]:
    (folder / "ct").mkdir()
    return with_labels(folder / "ct", folder)


def _no_such_scan(folder: Path) -> list[str]:
    return with_labels(folder / "absent", folder)


def _one_file(folder: Path) -> list[str]:
    _series()(folder)
    return with_labels(_first_file(folder), folder)


def _unknown_series(folder: Path) -> list[str]:
    return [*_tags(SeriesDescription="ABDOMEN DOE JANE")(folder), "--series", "9-nothing"]


def _compressed(syntax: str) -> Build:
    def build(folder: Path) -> list[str]:
        made = _made()
        (folder / "ct").mkdir()
        for k in range(made.n):
            ds = header(made, k)
            ds.PatientName, ds.PatientID = NAME, NUMBER
            ds.file_meta.TransferSyntaxUID = syntax
            ds.PixelData = encapsulate([np.random.default_rng(k).bytes(300)])
            ds["PixelData"].VR = "OB"
            ds.save_as(folder / "ct" / f"{k}", enforce_file_format=True)
        return with_labels(folder / "ct", folder)

    return build


def _codestream_bomb(folder: Path) -> list[str]:
    """Frames of JPEG 2000 that claim 30,000 x 30,000 pixels in a few hundred bytes."""
    made = _made(rows=64, columns=64)
    (folder / "ct").mkdir()
    for k in range(made.n):
        ds = header(made, k)
        ds.PatientName, ds.PatientID = NAME, NUMBER
        code = bytearray(encode_array(stored_values(made, k), photometric_interpretation=2))
        size = code.index(b"\xff\x51")
        for offset in (6, 22):  # of the image, of its one tile
            struct.pack_into(">II", code, size + offset, 30_000, 30_000)
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.90"
        ds.PixelData = encapsulate([bytes(code)])
        ds["PixelData"].VR = "OB"
        ds.save_as(folder / "ct" / f"{k}", enforce_file_format=True)
    return with_labels(folder / "ct", folder)


def _secondary_capture(folder: Path) -> list[str]:
    def change(k: int, ds: FileDataset) -> None:
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
        ds.ImageType = ["DERIVED", "SECONDARY"]
        del ds.ImagePositionPatient, ds.ImageOrientationPatient

    return _per_slice(change)(folder)


def _enhanced(change: Callable[[FileDataset], None]) -> Build:
    def build(folder: Path) -> list[str]:
        (folder / "ct").mkdir()
        path = folder / "ct" / "enhanced"
        made = _made()
        write_enhanced(path, made, range(made.n))
        ds = pydicom.dcmread(path)
        ds.PatientName, ds.PatientID = NAME, NUMBER
        change(ds)
        ds.save_as(path)
        return with_labels(folder / "ct", folder)

    return build


def _one_position_less(ds: FileDataset) -> None:
    del ds.PerFrameFunctionalGroupsSequence[4].PlanePositionSequence


def _half_the_groups(ds: FileDataset) -> None:
    ds.PerFrameFunctionalGroupsSequence = ds.PerFrameFunctionalGroupsSequence[:7]


def _many_frames(ds: FileDataset) -> None:
    ds.Rows = ds.Columns = 65535
    ds.NumberOfFrames = 99_999


def _deflated_bomb(folder: Path) -> list[str]:
    """256 MiB of zeros in 256 KiB, in a file that any DICOM library inflates whole."""
    made = _made()
    ds = header(made, 0)
    ds.PatientName, ds.PatientID = NAME, NUMBER
    ds.PixelData = stored_values(made, 0).tobytes()
    (folder / "ct").mkdir()
    path = folder / "ct" / "a"
    ds.save_as(path, enforce_file_format=True)
    data = path.read_bytes()
    body = 144 + struct.unpack_from("<L", data, 140)[0]
    ds.file_meta.TransferSyntaxUID = _DEFLATED
    ds.save_as(path, enforce_file_format=True)
    meta = path.read_bytes()
    meta = meta[: 144 + struct.unpack_from("<L", meta, 140)[0]]
    deflate = zlib.compressobj(9, wbits=-15)
    with path.open("wb") as file:
        file.write(meta + deflate.compress(data[body:]))
        for _ in range(16):
            file.write(deflate.compress(bytes(16 * 1024**2)))
        file.write(deflate.flush())
    return with_labels(folder / "ct", folder)


CASES: dict[str, Case] = {
    "missing-slice": Case("a slice is missing", "Missing slices: about 1", _series(skip=[5])),
    "doubled-slice": Case("a slice stands twice", "Doubled slices: 1 of 15", _doubled),
    "uneven-spacing": Case(
        "slices at uneven distances", "Uneven spacing: steps", _per_slice(_move(5, 0.3))
    ),
    "sideways-slice": Case(
        "one slice shifted sideways", "shifted sideways", _per_slice(_move(5, 3.0, axis=0))
    ),
    "impossible-tilt": Case(
        "a shear that no gantry makes", "which no gantry tilts", _series(tilt_drift=5.0)
    ),
    "no-rescale": Case(
        "no rescale slope or intercept", "No rescale: the series", _tags(RescaleSlope=None)
    ),
    "zero-rescale": Case("a rescale slope of 0", "missing or zero", _tags(RescaleSlope="0")),
    "nothing-below-0": Case(
        "no value below 0 HU", "a CT in HU holds air and fat below 0", _series(values=_positive)
    ),
    "absurd-rescale": Case("an absurd rescale slope", "leads to no HU", _tags(RescaleSlope="1e30")),
    "mr": Case("MR, not CT", "14 x not CT (MR)", _tags(Modality="MR")),
    "localizer": Case(
        "a localizer alone", "14 x localizer", _tags(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    ),
    "truncated-file": Case(
        "a file cut in its pixels", "Truncated or damaged file: number 1", _truncated
    ),
    "cut-header": Case(
        "a file cut in its header", "Truncated or damaged file: number 1", _cut_in_the_header
    ),
    "header-only": Case(
        "a file without pixels", "Truncated or damaged file: number 1", _header_only
    ),
    "two-patients": Case(
        "two patients in one folder",
        "Two patients in one folder",
        _per_slice(_only(3, PatientID="87654321")),
    ),
    "pixel-spacings": Case(
        "two pixel spacings in one series",
        "slices of different pixel spacings",
        _per_slice(_only(3, PixelSpacing=[0.8, 0.8])),
    ),
    "matrix-sizes": Case(
        "two matrix sizes in one series",
        "slices of different matrix sizes",
        _per_slice(_only(3, Rows=9)),
    ),
    "too-few-slices": Case("fewer than ten slices", "Too few slices", _series(n=5)),
    "one-file": Case("one file of a series", "Too few slices", _one_file),
    "garbage": Case("random bytes", "No DICOM file and no image file", _garbage),
    "garbage-after-mark": Case(
        "random bytes after DICOM's mark", "Truncated or damaged file", _garbage_after_the_mark
    ),
    "empty-folder": Case("an empty folder", "holds no files", _empty_folder),
    "no-such-scan": Case("a path that does not exist", "does not exist", _no_such_scan),
    "unknown-series": Case("a series that is not there", "No series is meant", _unknown_series),
    "unsupported-codec": Case(
        "pixels in a codec that is not supported",
        "not supported; export them as explicit VR",
        _compressed("1.2.840.10008.1.2.4.100"),
    ),
    "damaged-codec": Case(
        "compressed pixels that are damaged",
        "cannot be decoded",
        _compressed("1.2.840.10008.1.2.4.90"),
    ),
    "codestream-bomb": Case(
        "compressed pixels that claim another size than the header",
        "cannot be decoded",
        _codestream_bomb,
    ),
    "damaged-rle": Case(
        "run-length pixels that are damaged",
        "cannot be decoded",
        _compressed("1.2.840.10008.1.2.5"),
    ),
    "secondary-capture": Case("a secondary capture", "screen capture", _secondary_capture),
    "no-position": Case(
        "slices without a position",
        "Slices without a position",
        _per_slice(_only(3, ImagePositionPatient=None)),
    ),
    "no-spacing": Case("a pixel spacing of 0", "no pixel spacing", _tags(PixelSpacing=[0, 0])),
    "bad-orientation": Case(
        "an orientation that is none",
        "not two unit vectors",
        _tags(ImageOrientationPatient=[1, 1, 0, 0, 1, 0]),
    ),
    "absurd-position": Case(
        "positions beyond any scanner",
        "beyond",
        _per_slice(_only(3, ImagePositionPatient=["0", "0", "1e300"])),
    ),
    "colour": Case("colour pixels", "CT has one of 8, 16 or 32", _tags(SamplesPerPixel=3, Rows=3)),
    "other-unit": Case("values in another unit", "not in HU", _tags(RescaleType="MGML")),
    "absurd-bits": Case(
        "more bits stored than allocated", "which cannot be", _tags(BitsStored=200, HighBit=199)
    ),
    "absurd-rows": Case(
        "a header that claims more pixels than the file holds",
        "Truncated or damaged file",
        _tags(Rows=65535, Columns=65535, NumberOfFrames=99_999),
    ),
    "absurd-frames": Case(
        "a header that claims a billion frames",
        "Truncated or damaged file",
        _tags(NumberOfFrames=10**9),
    ),
    "enhanced-absurd": Case(
        "an enhanced file that claims terabytes",
        "Truncated or damaged file",
        _enhanced(_many_frames),
    ),
    "enhanced-no-position": Case(
        "an enhanced file with a frame that has no position",
        "Slices without a position",
        _enhanced(_one_position_less),
    ),
    "enhanced-fewer-groups": Case(
        "an enhanced file with fewer groups than frames",
        "functional groups",
        _enhanced(_half_the_groups),
    ),
    "deflated-bomb": Case("a deflate bomb in a DICOM file", "bomb", _deflated_bomb),
}
