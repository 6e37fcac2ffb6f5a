"""Bad zip archives."""

from __future__ import annotations

import io
import shutil
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.apps.bad_input.case import NAME, Case, good_scan, with_labels
from tests.io.made_series import Made, write_series

Build = Callable[[Path], list[str]]


def _packed(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _zip(members: dict[str, bytes], change: Callable[[bytearray], object] | None = None) -> Build:
    def build(folder: Path) -> list[str]:
        data = bytearray(_packed(members))
        if change is not None:
            change(data)
        (folder / "study.zip").write_bytes(data)
        return with_labels(folder / "study.zip", folder)

    return build


def _patched(local: int, central: int, code: str, value: int) -> Callable[[bytearray], None]:
    """Overwrite a field of the first member in both of its headers."""

    def change(data: bytearray) -> None:
        for mark, offset in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
            struct.pack_into(code, data, data.index(mark) + offset, value)

    return change


def _many(folder: Path) -> list[str]:
    """Over the limit by one, all empty."""
    with zipfile.ZipFile(folder / "study.zip", "w") as archive:
        for n in range(50_001):
            archive.writestr(zipfile.ZipInfo(f"{n:x}"), b"")
    return with_labels(folder / "study.zip", folder)


def _link(folder: Path) -> list[str]:
    info = zipfile.ZipInfo(f"{NAME}/link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(folder / "study.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    return with_labels(folder / "study.zip", folder)


def _two_patients(folder: Path) -> list[str]:
    for name, number in (("a", "12345678"), ("b", "87654321")):
        write_series(folder / "tree" / name, Made(tags={"PatientID": number, "PatientName": NAME}))
    shutil.make_archive(str(folder / "study"), "zip", folder / "tree")
    shutil.rmtree(folder / "tree")
    return with_labels(folder / "study.zip", folder)


def _header_that_points_out(folder: Path) -> list[str]:
    header = (
        "ObjectType = Image\nNDims = 3\nDimSize = 8 8 8\nElementType = MET_SHORT\n"
        "ElementDataFile = ../../../../../../../../../../etc/passwd\n"
    )
    return _zip({"ct.mhd": header.encode()})(folder)


def _unpacked(folder: Path) -> list[str]:
    path = good_scan(folder)
    path.rename(folder / "study.zip")
    return with_labels(folder / "study.zip", folder)


_OUT = "leads out of its folder"
_DAMAGED = "cannot be unpacked: it is damaged"

CASES: dict[str, Case] = {
    "bomb-by-ratio": Case("a zip bomb", "a zip bomb", _zip({"ct": bytes(24 * 1024**2)})),
    "bomb-by-count": Case("an archive of too many files", "holds 50001 files", _many),
    "lying-size": Case(
        "a member larger than it claims",
        _DAMAGED,
        _zip({"ct": bytes(1024**2)}, _patched(22, 24, "<L", 10)),
    ),
    "climbing-path": Case("a path with ..", _OUT, _zip({"ok": b"1", "a/../../evil": b"2"})),
    "absolute-path": Case("an absolute path", _OUT, _zip({"/tmp/evil": b"2"})),
    "windows-path": Case("a path with backslashes", _OUT, _zip({"..\\evil": b"2"})),
    "drive-path": Case("a path with a drive", _OUT, _zip({"C:/evil": b"2"})),
    "symbolic-link": Case("a symbolic link in an archive", "symbolic link", _link),
    "encrypted": Case(
        "an encrypted archive", "is encrypted", _zip({"ct": b"x" * 99}, _patched(6, 8, "<H", 1))
    ),
    "truncated-zip": Case(
        "an archive cut at its end",
        _DAMAGED,
        _zip({"ct": b"x" * 99}, lambda d: d.__delitem__(slice(-30, None))),
    ),
    "damaged-zip": Case(
        "an archive with a wrong checksum",
        _DAMAGED,
        _zip({"ct": bytes(range(256)) * 50}, lambda d: d.__setitem__(45, d[45] ^ 0xFF)),
    ),
    "unknown-packing": Case(
        "an archive packed by an unknown method",
        _DAMAGED,
        _zip({"ct": b"x" * 99}, _patched(8, 10, "<H", 96)),
    ),
    "file-as-folder": Case(
        "a file that is also a folder", _DAMAGED, _zip({"a": b"1", "a/b": b"2"})
    ),
    "nested-zip": Case(
        "an archive in an archive", "No DICOM file", _zip({"inner.zip": _packed({"ct": b"1"})})
    ),
    "no-scan-in-zip": Case("an archive without a scan", "No DICOM file", _zip({"a.txt": b"text"})),
    "empty-zip": Case("an empty archive", "holds no files", _zip({})),
    "no-zip": Case("another file named .zip", _DAMAGED, _unpacked),
    "two-patients-in-zip": Case(
        "two patients in one archive", "Two patients in one folder", _two_patients
    ),
    "header-points-out-of-zip": Case(
        "an archived image header that points elsewhere",
        "data in another folder",
        _header_that_points_out,
    ),
}
