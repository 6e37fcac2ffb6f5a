"""Bad NIfTI, NRRD and MetaImage files."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from tests.apps.bad_input.case import NAME, NUMBER, Case, good_scan, good_values, with_labels
from tests.io.made_series import Made, write_enhanced

Build = Callable[[Path], list[str]]
_RAS = np.diag([1.0, 1.0, 2.0, 1.0])


def _nifti(array: np.ndarray, affine: np.ndarray = _RAS) -> Build:
    def build(folder: Path) -> list[str]:
        image = nib.Nifti1Image(array, affine, dtype=array.dtype)
        nib.save(image, folder / "ct.nii.gz")
        return with_labels(folder / "ct.nii.gz", folder)

    return build


def _header(**fields: Any) -> Build:
    """A good NIfTI file with other header fields and its small data."""

    def build(folder: Path) -> list[str]:
        image = nib.Nifti1Image(good_values().T, _RAS)
        image.set_qform(_RAS, 1)
        data = bytearray(image.to_bytes())
        head = nib.Nifti1Header.from_fileobj(_stream(data), check=False)
        for name, value in fields.items():
            head[name] = value
        (folder / "ct.nii.gz").write_bytes(gzip.compress(head.binaryblock + data[348:], 1))
        return with_labels(folder / "ct.nii.gz", folder)

    return build


def _stream(data: bytes) -> Any:
    import io

    return io.BytesIO(data)


def _claims(nx: int, ny: int, nz: int) -> Build:
    return _header(dim=[3, nx, ny, nz, 1, 1, 1, 1])


def _damaged(name: str, damage: Callable[[bytes], bytes]) -> Build:
    def build(folder: Path) -> list[str]:
        path = good_scan(folder, name)
        path.write_bytes(damage(path.read_bytes()))
        return with_labels(path, folder)

    return build


def _text(name: str, text: str, data: bytes = b"") -> Build:
    def build(folder: Path) -> list[str]:
        (folder / name).write_bytes(text.encode() + data)
        return with_labels(folder / name, folder)

    return build


def _metaimage(data_file: str, size: str = "8 8 8") -> str:
    return (
        f"ObjectType = Image\nNDims = 3\nDimSize = {size}\nElementType = MET_SHORT\n"
        f"ElementSpacing = 1 1 1\nElementDataFile = {data_file}\n"
    )


def _nrrd(data_file: str, size: str = "8 8 8") -> str:
    where = f"data file: {data_file}\n" if data_file else ""
    return (
        f"NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: {size}\n"
        "space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nendian: little\n"
        f"encoding: raw\n{where}\n"
    )


def _dicom_by_another_name(folder: Path) -> list[str]:
    made = Made(n=14, tags={"PatientName": NAME, "PatientID": NUMBER})
    write_enhanced(folder / "ct.nii.gz", made, range(made.n))
    return with_labels(folder / "ct.nii.gz", folder)


def _two_images(folder: Path) -> list[str]:
    good_scan(folder / "scan", "a.nii.gz")
    good_scan(folder / "scan", "b.nii.gz")
    return ["--one-scan", *with_labels(folder / "scan", folder)]


def _gzip_bomb(folder: Path) -> list[str]:
    """A small image, then 256 MiB of zeros that no header claims."""
    path = good_scan(folder, "ct.nii")
    with gzip.open(folder / "ct.nii.gz", "wb", 9) as stream:
        data = path.read_bytes()
        stream.write(data[:70] + struct.pack("<h", 512) + data[72:])
        for _ in range(16):
            stream.write(bytes(16 * 1024**2))
    path.unlink()
    return with_labels(folder / "ct.nii.gz", folder)


def _with_nan() -> np.ndarray:
    values = good_values().astype(np.float32).T.copy()
    values[3, 3, 3] = np.nan
    return values


def _sheared() -> np.ndarray:
    affine = _RAS.copy()
    affine[0, 2] = 0.8
    return affine


_RGB = np.zeros((8, 8, 8), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
_UNIT = np.random.default_rng(5).random((8, 8, 8), dtype=np.float32)
_ELSEWHERE = "data in another folder"
_CUT = "truncated or damaged"

CASES: dict[str, Case] = {
    "four-dimensions": Case(
        "a series over time", "has 4 dim", _nifti(np.zeros((8, 8, 8, 3), "i2"))
    ),
    "two-dimensions": Case("a single slice", "has 2 dim", _nifti(np.zeros((8, 8), "i2"))),
    "one-slice": Case("an image of one slice", "one slice", _nifti(good_values()[:1].T)),
    "colour-image": Case("a colour image", "values a voxel", _nifti(_RGB)),
    "complex": Case("complex numbers", "values a voxel", _nifti(np.zeros((8, 8, 8), np.complex64))),
    "nan": Case("voxels that are not numbers", "not numbers (NaN", _nifti(_with_nan())),
    "grey-levels": Case(
        "grey levels from 0 to 255",
        "No rescale: the values",
        _nifti((255 * _UNIT).astype(np.uint8)),
    ),
    "normalised": Case("values from 0 to 1", "No rescale: the values", _nifti(_UNIT)),
    "z-scores": Case("z-scores", "a normalised image", _nifti(6 * _UNIT - 3)),
    "far-from-hu": Case(
        "values beyond 32 bits", "these are not HU", _nifti((good_values() * 1e9).astype("i8").T)
    ),
    "singular-affine": Case(
        "an affine without depth", "affine", _header(srow_z=[0, 0, 0, 0], qform_code=0)
    ),
    "nan-affine": Case(
        "an affine that is not a number", "affine", _header(srow_x=[np.nan] * 4, qform_code=0)
    ),
    "sheared-affine": Case(
        "a sheared affine", "not at right angles", _nifti(good_values().T, _sheared())
    ),
    "no-orientation": Case(
        "no orientation", "states no orientation", _header(qform_code=0, sform_code=0)
    ),
    "two-orientations": Case(
        "two orientations that disagree", "mm apart", _header(srow_x=[1, 0, 0, 10])
    ),
    "spacing-disagrees": Case(
        "a spacing that is not the affine's",
        "spacing",
        _header(srow_x=[0.5, 0, 0, 0], srow_y=[0, 0.5, 0, 0], qform_code=0, sform_code=1),
    ),
    "microscopic-voxels": Case(
        "voxels too small for CT",
        "no CT's",
        _nifti(good_values().T, np.diag([1e-4, 1e-4, 1e-4, 1])),
    ),
    "huge-voxels": Case(
        "voxels too large for CT", "no CT's", _nifti(good_values().T, np.diag([900, 900, 900, 1]))
    ),
    "truncated-image": Case(
        "an image cut at its end", _CUT, _damaged("ct.nii.gz", lambda d: d[:-900])
    ),
    "damaged-gzip": Case(
        "an image with a wrong checksum",
        "truncated, damaged",
        _damaged("ct.nii.gz", lambda d: d[:-8] + bytes(8)),
    ),
    "empty-file": Case(
        "an empty file", "header cannot be read", _damaged("ct.nii.gz", lambda d: d[:0])
    ),
    "text-as-nifti": Case(
        "text named .nii.gz", "header cannot be read", _text("ct.nii.gz", "text\n" * 99)
    ),
    "text-as-nrrd": Case(
        "text named .nrrd", "header cannot be read", _text("ct.nrrd", "text\n" * 99)
    ),
    "dicom-as-nifti": Case("DICOM named .nii.gz", "header cannot be read", _dicom_by_another_name),
    "nrrd-absolute": Case(
        "an NRRD header that points to a file anywhere",
        _ELSEWHERE,
        _text("ct.nrrd", _nrrd("/etc/passwd")),
    ),
    "nhdr-climbing": Case(
        "an NRRD header that points out of its folder",
        _ELSEWHERE,
        _text("ct.nhdr", _nrrd("../ct.raw")),
    ),
    "nhdr-list": Case(
        "an NRRD list of files elsewhere",
        _ELSEWHERE,
        _text("ct.nhdr", _nrrd("LIST").rstrip("\n") + "\n" + "../a.raw\n" * 8),
    ),
    "mhd-absolute": Case(
        "a MetaImage header that points to a file anywhere",
        _ELSEWHERE,
        _text("ct.mhd", _metaimage("/etc/passwd")),
    ),
    "mhd-climbing": Case(
        "a MetaImage header that points out of its folder",
        _ELSEWHERE,
        _text("ct.mhd", _metaimage("sub/../../ct.raw")),
    ),
    "mhd-list": Case(
        "a MetaImage list of files elsewhere",
        _ELSEWHERE,
        _text("ct.mhd", _metaimage("LIST") + "/etc/passwd\n" * 8),
    ),
    "mhd-missing": Case(
        "a MetaImage header without its data",
        "names a file of voxels that is missing",
        _text("ct.mhd", _metaimage("ct.raw")),
    ),
    "nifti-claims": Case(
        "a NIfTI header that claims gigabytes", "and at most 4 GiB", _claims(30000, 30000, 30000)
    ),
    "nifti-claims-less": Case(
        "a NIfTI header that claims more than its data", _CUT, _claims(1000, 1000, 2000)
    ),
    "nrrd-claims": Case(
        "an NRRD header that claims more than its data",
        _CUT,
        _text("ct.nrrd", _nrrd("", "1000 1000 2000"), bytes(99)),
    ),
    "mha-claims": Case(
        "a MetaImage header that claims more than its data",
        _CUT,
        _text("ct.mha", _metaimage("LOCAL", "1000 1000 2000"), bytes(99)),
    ),
    "gzip-bomb": Case("a gzip bomb behind a small header", _CUT, _gzip_bomb),
    "absurd-offset": Case(
        "voxels that start beyond the file", "voxels nowhere", _header(vox_offset=3e38)
    ),
    "nan-offset": Case("voxels that start nowhere", "voxels nowhere", _header(vox_offset=np.nan)),
    "unknown-type": Case("an unknown type of number", "cannot be read", _header(datatype=9999)),
    "negative-size": Case("a negative size", "cannot be read", _claims(-8, 8, 8)),
    "two-images": Case("a folder of several images", "holds 2 image files", _two_images),
}
