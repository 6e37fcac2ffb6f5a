"""Whatever bytes a file holds, reading ends in a scan or in one sentence; never in a traceback."""

from __future__ import annotations

import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import RLELossless

from osteoscope.core.errors import OsteoscopeError
from osteoscope.core.grid import grid_from_spacing
from osteoscope.core.volume import Volume
from osteoscope.io.image_files import write_labels, write_volume
from osteoscope.io.labels import read_labels
from osteoscope.io.scan import list_series, read_scan
from tests.io.made_series import Made, write_enhanced, write_series

ROUNDS = 25


def damaged(data: bytes, rng: np.random.Generator, reach: int) -> bytes:
    """Some bytes of the first ``reach`` changed, and sometimes a piece cut out or the end lost."""
    broken = bytearray(data)
    for place in rng.integers(0, min(reach, len(broken)), rng.integers(1, 12)):
        broken[place] = rng.integers(0, 256)
    kind = rng.integers(0, 4)
    if kind == 1:
        del broken[rng.integers(0, len(broken)) :]
    elif kind == 2:
        start = int(rng.integers(0, min(reach, len(broken))))
        del broken[start : start + int(rng.integers(1, 40))]
    return bytes(broken)


def reads_or_says_why(path: Path) -> bool:
    """True where a scan came out."""
    try:
        reading = read_scan(path)
    except OsteoscopeError as error:
        said = str(error)
    else:
        said = ""
    if said:
        assert said.endswith((".", ")"))
        assert len(said) < 400
        return False
    assert np.all(np.isfinite(reading.volume.grid.affine_lps_mm))
    assert reading.volume.array.shape == reading.volume.grid.shape
    return True


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_damaged_slices(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    write_series(tmp_path, Made(n=11, rows=8, columns=8))
    files = sorted(tmp_path.iterdir())
    if seed % 3 == 0:
        for file in files:
            ds = dcmread(file)
            ds.compress(RLELossless, generate_instance_uid=False)
            ds.save_as(file)
    for file in rng.choice(files, 2, replace=False):
        file.write_bytes(damaged(file.read_bytes(), rng, 1400))
    reads_or_says_why(tmp_path)
    with suppress(OsteoscopeError):
        assert list_series(tmp_path)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_damaged_enhanced_files(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    path = tmp_path / "multi.dcm"
    write_enhanced(path, Made(n=10, rows=4, columns=4, bits_stored=16), range(10))
    path.write_bytes(damaged(path.read_bytes(), rng, 5000))
    reads_or_says_why(path)


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz", "ct.nrrd", "ct.mha"])
def test_damaged_images(tmp_path: Path, name: str) -> None:
    array = np.random.default_rng(0).integers(-1000, 2000, (6, 7, 8)).astype(np.int16)
    volume = Volume(array, grid_from_spacing((6, 7, 8), (2, 1, 1)))
    write_volume(tmp_path / name, volume)
    data = (tmp_path / name).read_bytes()
    came_out = 0
    for seed in range(ROUNDS):
        broken = damaged(data, np.random.default_rng(seed), 700)
        (tmp_path / name).write_bytes(broken)
        came_out += reads_or_says_why(tmp_path / name)
    assert came_out < ROUNDS


def test_damaged_labels(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 40, (6, 7, 8)).astype(np.uint8)
    write_labels(tmp_path / "l.nii.gz", labels, grid_from_spacing((6, 7, 8), (2, 1, 1)))
    data = (tmp_path / "l.nii.gz").read_bytes()
    refused = 0
    for seed in range(ROUNDS):
        (tmp_path / "l.nii.gz").write_bytes(damaged(data, np.random.default_rng(seed), 700))
        try:
            read_labels(tmp_path / "l.nii.gz")
        except OsteoscopeError:
            refused += 1
    # The checksum of the gzip stream catches what the header's rules do not.
    assert refused >= ROUNDS - 2


def test_damaged_archives(tmp_path: Path) -> None:
    write_series(tmp_path / "s", Made(n=11, rows=8, columns=8))
    with zipfile.ZipFile(tmp_path / "whole.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted((tmp_path / "s").iterdir()):
            archive.write(file, file.name)
    data = (tmp_path / "whole.zip").read_bytes()
    assert reads_or_says_why(tmp_path / "whole.zip")
    for seed in range(ROUNDS):
        rng = np.random.default_rng(seed)
        (tmp_path / "broken.zip").write_bytes(damaged(data, rng, len(data)))
        reads_or_says_why(tmp_path / "broken.zip")


@pytest.mark.parametrize(
    ("field", "other"),
    [(b"NDims = 3", b"NDims =93"), (b"NDims = 3", b"NDims = 0"), (b"NDims = 3", b"NDims = x"),
     (b"Offset = 0 0 0", b"Offset = 0 0 0 0 0 0 0 0 0 0 0 0 0 0"),
     (b"DimSize = 8 7 6", b"DimSize = 8 7"), (b"NDims = 3\n", b""),
     (b"ElementSpacing", b"\xb7lementSpacing"), (b"Offset", b"O" * 300)],
)  # fmt: skip
def test_metaimage_headers_that_overrun_itks_buffers(
    tmp_path: Path, field: bytes, other: bytes
) -> None:
    """NDims = 93 corrupts the heap of a process that hands the file to ITK."""
    array = np.random.default_rng(0).integers(-1000, 2000, (6, 7, 8)).astype(np.int16)
    volume = Volume(array, grid_from_spacing((6, 7, 8), (2, 1, 1)))
    write_volume(tmp_path / "ct.mha", volume)
    data = (tmp_path / "ct.mha").read_bytes()
    assert field in data
    (tmp_path / "ct.mha").write_bytes(data.replace(field, other, 1))
    with pytest.raises(OsteoscopeError, match="MetaImage header is truncated or damaged"):
        read_scan(tmp_path / "ct.mha")
