"""Archives from strangers: unpacked, or refused in one sentence with nothing left behind."""

from __future__ import annotations

import struct
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from osteoscope.core.errors import InputError
from osteoscope.io.archive import ArchiveLimits, unpacked
from osteoscope.io.scan import read_scan
from tests.io.made_series import Made, write_series


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where unpacking happens; empty before and after."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def refused(path: Path, match: str, limits: ArchiveLimits | None = None) -> None:
    with pytest.raises(InputError, match=match) as caught, unpacked(path, limits):
        pytest.fail("unpacked")
    assert str(caught.value).endswith(".")
    assert list(Path(tempfile.gettempdir()).iterdir()) == []


def packed(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_a_zipped_series_is_the_series(tmp_path: Path) -> None:
    write_series(tmp_path / "series" / "deep" / "er", Made())
    plain = read_scan(tmp_path / "series")
    files = (tmp_path / "series").rglob("im*")
    path = packed(tmp_path / "study.zip", {f"A/{f.name}": f.read_bytes() for f in files})
    zipped = read_scan(path)
    assert np.array_equal(zipped.volume.array, plain.volume.array)
    assert zipped.digest == plain.digest
    assert zipped.chosen == plain.chosen
    assert list(Path(tempfile.gettempdir()).iterdir()) == []
    path.rename(tmp_path / "study")
    assert read_scan(tmp_path / "study").digest == plain.digest


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "C:/evil", "..\\evil"])
def test_paths_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    refused(packed(tmp_path / "a.zip", {"ok": b"1", name: b"2"}), "leads out of its folder")
    assert not (tmp_path / "evil").exists()


def test_links_are_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    refused(tmp_path / "a.zip", "symbolic link")


def test_encrypted_archives_are_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"scan": b"x" * 100})
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    path.write_bytes(data)
    refused(path, "encrypted")


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"zeros": bytes(24 * 1024**2)})
    assert path.stat().st_size < 40_000
    refused(path, "zip bomb")


def test_the_claimed_size_is_not_believed(tmp_path: Path) -> None:
    """The member claims 10 bytes, and 1 MiB comes out."""
    path = packed(tmp_path / "a.zip", {"liar": bytes(1024**2)})
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<L", data, data.index(mark) + offset, 10)
    path.write_bytes(data)
    refused(path, "damaged|more than", ArchiveLimits(total_bytes=100_000))


def test_total_size_and_number_of_files_are_bounded(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {str(n): bytes(1000) for n in range(20)})
    refused(path, "more than .* GiB", ArchiveLimits(total_bytes=19_000))
    refused(path, "holds 20 files and at most 19", ArchiveLimits(members=19))
    with unpacked(path, ArchiveLimits(members=20, total_bytes=20_000)) as folder:
        assert len(list(folder.iterdir())) == 20


@pytest.mark.parametrize("damage", ["cut", "noise", "crc"])
def test_damaged_archives_are_refused(tmp_path: Path, damage: str) -> None:
    path = packed(tmp_path / "a.zip", {"scan": bytes(range(256)) * 50})
    data = bytearray(path.read_bytes())
    if damage == "cut":
        data = data[:-30]
    elif damage == "noise":
        data = bytearray(b"PK\x03\x04 no archive at all")
    else:
        data[45] ^= 0xFF
    path.write_bytes(data)
    refused(path, "cannot be unpacked")


def test_archives_within_the_archive_stay_packed(tmp_path: Path) -> None:
    inner = packed(tmp_path / "inner.zip", {"x": b"1"}).read_bytes()
    path = packed(tmp_path / "a.zip", {"inner.zip": inner})
    with unpacked(path) as folder:
        assert [f.name for f in folder.iterdir()] == ["inner.zip"]
    with pytest.raises(InputError, match="No DICOM file"):
        read_scan(path)


def test_two_members_of_one_name_are_both_kept(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("same", b"1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("same", b"2")
    with unpacked(tmp_path / "a.zip") as folder:
        assert sorted(f.read_bytes() for f in folder.iterdir()) == [b"1", b"2"]


def test_the_folder_is_removed_when_reading_fails(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"scan": b"nothing"})
    with pytest.raises(RuntimeError, match="reader"), unpacked(path):
        raise RuntimeError("reader")
    assert list(Path(tempfile.gettempdir()).iterdir()) == []
