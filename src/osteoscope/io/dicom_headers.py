"""DICOM headers, read fast and without conversion: what sorting, checking and choosing need."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import UID

from osteoscope.io.deflated_dicom import refuse_deflate_bomb
from osteoscope.io.quiet import quiet_readers
from osteoscope.io.raw_tags import WANTED_TAGS, RawTags

CT_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.2",  # CT Image
        "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT Image
        "1.2.840.10008.5.1.4.1.1.2.2",  # Legacy Converted Enhanced CT Image
    }
)
_LONGEST_FIRST_VALUE = 256
"""A file without preamble starts with a short value: a length, a character set, a type."""

_MOST_FRAMES = 100_000
"""A header that claims more frames in one file is damaged."""

DICOMDIR_CLASS = "1.2.840.10008.1.3.10"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
NATIVE = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", DEFLATED, BIG_ENDIAN})
"""Transfer syntaxes whose pixels are plain numbers."""


@dataclass(frozen=True)
class PixelFormat:
    """How the numbers of a file's pixels are stored."""

    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    samples: int
    n_frames: int
    transfer_syntax: str
    offset: int | None
    """Position in the file of the first byte of native pixels; None where a decoder is needed."""


@dataclass(frozen=True)
class FileHeader:
    """One DICOM file: pixel format, the facts of the file, and who it belongs to (hashed)."""

    path: Path
    number: int
    """Place of the file in the order of names: how a message points to it."""
    pixels: PixelFormat | None
    """None where the file holds no pixel data."""
    complete: bool
    """False where the file ends before its header or its pixel data do."""
    patient: tuple[str | None, str | None, str | None]
    """Hashes of number, name and birth date; None where empty."""
    tags: RawTags = field(compare=False, repr=False)
    dataset: Dataset = field(compare=False, repr=False)


def read_file_header(path: Path, number: int) -> FileHeader | None:
    """Read one file's header; the pixels stay on the disk.

    Args:
        path: Any file.
        number: Its place in the order of names.

    Returns:
        The header, or None where the file is not DICOM or is a directory of files (DICOMDIR).

    Raises:
        InputError: The file is a deflate bomb.
    """
    try:
        with quiet_readers(), path.open("rb") as file:
            if not _looks_like_dicom(file):
                return None
            refuse_deflate_bomb(file)
            return _parse(path, number, file)
    except OSError:
        return None


def _looks_like_dicom(file: BinaryIO) -> bool:
    head = file.read(132)
    file.seek(0)
    if head[128:] == b"DICM":
        return True
    # Without the preamble, a data set starts with an element of group 0002 or 0008, little endian.
    if len(head) < 16 or head[:2] not in (b"\x02\x00", b"\x08\x00"):
        return False
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    return explicit or int.from_bytes(head[4:8], "little") < _LONGEST_FIRST_VALUE


def _parse(path: Path, number: int, file: BinaryIO) -> FileHeader | None:
    try:
        dataset = pydicom.dcmread(
            file, stop_before_pixels=True, specific_tags=WANTED_TAGS, force=True
        )
        return _understood(path, number, file, dataset)
    except Exception:  # pydicom raises many kinds on a damaged header, some with its values
        return FileHeader(
            path, number, None, False, (None, None, None), RawTags(Dataset()), Dataset()
        )


def _understood(path: Path, number: int, file: BinaryIO, dataset: FileDataset) -> FileHeader | None:
    syntax = str(dataset.file_meta.get("TransferSyntaxUID", "") or "1.2.840.10008.1.2")
    sop = str(dataset.file_meta.get("MediaStorageSOPClassUID", "") or "")
    if sop == DICOMDIR_CLASS:
        return None
    tags = RawTags(dataset)
    pixels, complete = None, True
    if tags.integer("Rows") and tags.integer("Columns"):
        pixels, complete = _pixel_format(tags, syntax, file, path.stat().st_size)
    elif len(dataset) == 0 or (tags.text("SOPClassUID") or sop) in CT_CLASSES:
        complete = False
    return FileHeader(path, number, pixels, complete, _patient_hashes(tags), tags, dataset)


def _pixel_format(
    tags: RawTags, syntax: str, file: BinaryIO, size: int
) -> tuple[PixelFormat | None, bool]:
    """How the pixels are stored, and whether the file holds all of them."""
    allocated = tags.integer("BitsAllocated") or 16
    stored = tags.integer("BitsStored") or allocated
    n_frames = max(1, int(tags.number("NumberOfFrames") or 1))
    samples = tags.integer("SamplesPerPixel") or 1
    rows, columns = tags.integer("Rows") or 0, tags.integer("Columns") or 0
    high = tags.integer("HighBit")
    offset: int | None = None
    complete = n_frames <= _MOST_FRAMES
    if syntax != DEFLATED:
        start = _pixel_data_start(file, UID(syntax))
        if start is None:
            return None, False
        offset, length = start
        if length == 0xFFFFFFFF:
            complete, offset = complete and _fragments_complete(file, n_frames), None
        else:
            needed = rows * columns * samples * n_frames * (allocated // 8)
            complete &= length >= needed and offset + min(length, needed) <= size
    return (
        PixelFormat(
            rows=rows,
            columns=columns,
            bits_allocated=allocated,
            bits_stored=stored,
            high_bit=stored - 1 if high is None else high,
            signed=tags.integer("PixelRepresentation") == 1,
            samples=samples,
            n_frames=n_frames,
            transfer_syntax=syntax,
            offset=offset if syntax in NATIVE else None,
        ),
        complete,
    )


def _pixel_data_start(file: BinaryIO, syntax: UID) -> tuple[int, int] | None:
    """(offset, length) of the pixel data's value; pydicom leaves the file at its tag."""
    order = ">" if syntax == BIG_ENDIAN else "<"
    head = file.read(12)
    if len(head) < 12 or struct.unpack(order + "HH", head[:4]) != (0x7FE0, 0x0010):
        return None
    if syntax.is_implicit_VR:
        file.seek(-4, 1)
        return file.tell(), int(struct.unpack(order + "L", head[4:8])[0])
    return file.tell(), int(struct.unpack(order + "L", head[8:12])[0])


def _fragments_complete(file: BinaryIO, n_frames: int) -> bool:
    """Whether the items of compressed pixel data run to their closing delimiter."""
    n_items = 0
    while True:
        head = file.read(8)
        if len(head) < 8:
            return False
        group, element, length = struct.unpack("<HHL", head)
        if (group, element) == (0xFFFE, 0xE0DD):
            return n_items >= n_frames + 1
        if (group, element) != (0xFFFE, 0xE000):
            return False
        n_items += 1
        file.seek(length, 1)


def _patient_hashes(tags: RawTags) -> tuple[str | None, str | None, str | None]:
    def known(keyword: str) -> str | None:
        text = " ".join(tags.texts(keyword)).strip("^ ").casefold()
        return hashlib.sha256(text.encode()).hexdigest() if text else None

    return known("PatientID"), known("PatientName"), known("PatientBirthDate")
