"""Where an NRRD or MetaImage header says that its voxels lie: beside it, and all of them there.

A header may name any file of the machine as its voxels, and may claim any number of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from osteoscope.core.errors import InputError

MOST_DEFLATED = 1100.0
"""Deflate makes a byte out of no less than 1/1032 (RFC 1951: 258 bytes of two bits)."""

_LONGEST_HEADER = 4 * 1024**2
_META_FIELD = re.compile(r"\s*(\w+)\s*[=:]\s*(.*?)\s*$")
_NRRD_FIELD = re.compile(r"\s*([\w ]+?)\s*:(?!=)\s*(.*?)\s*$")
_NRRD_EXPANSION = {"raw": 1.0, "gz": MOST_DEFLATED, "gzip": MOST_DEFLATED}


@dataclass(frozen=True)
class _Named:
    """What a header says of its voxels.

    Args:
        files: Names as the header writes them; empty where the voxels follow the header.
        expansion: Largest number of bytes that a stored byte can become; infinite where unknown.
        start: Bytes of the header.
    """

    files: tuple[str, ...]
    expansion: float
    start: int


@dataclass(frozen=True)
class StoredVoxels:
    """How much a header's voxels can be.

    Args:
        most_bytes: Largest size of the array that the stored bytes can fill.
    """

    most_bytes: float


def stored_voxels(path: Path) -> StoredVoxels:
    """Check where the voxels of an NRRD or MetaImage file lie.

    Args:
        path: ``*.nrrd``, ``*.nhdr``, ``*.mha`` or ``*.mhd``.

    Raises:
        InputError: The header names a file outside its own folder, or one that is missing.
    """
    name = path.name.lower()
    try:
        with path.open("rb") as stream:
            named = _of_nrrd(stream) if name.endswith((".nrrd", ".nhdr")) else _of_meta(stream)
        for file in named.files:
            _check_name(file)
        if any("%" in file for file in named.files):
            return StoredVoxels(math.inf)
        data = [path.parent / file for file in named.files]
        if not all(file.is_file() for file in data):
            raise InputError(
                "The image's header names a file of voxels that is missing; copy both files into "
                "one folder."
            )
        size = sum(f.stat().st_size for f in data) if data else path.stat().st_size - named.start
    except OSError as error:
        raise InputError(f"The image file cannot be read: {error.strerror}.") from None
    return StoredVoxels(size * named.expansion if size else 0.0)


def _check_name(file: str) -> None:
    name = file.replace("\\", "/")
    if name.startswith("/") or ".." in PurePosixPath(name).parts or name[1:2] == ":":
        raise InputError(
            "The image's header points to data in another folder (an absolute path or '..'); put "
            "both files into one folder and name the data without a path."
        )


def _lines(stream: BinaryIO) -> Iterator[str]:
    """Lines up to the longest length of a header."""
    while stream.tell() < _LONGEST_HEADER:
        line = stream.readline(_LONGEST_HEADER)
        if not line:
            return
        yield line.decode("latin-1").rstrip("\r\n")
    raise InputError("The image file's header is over 4 MiB long; it is damaged.")


def _of_meta(stream: BinaryIO) -> _Named:
    """MetaImage: the field ElementDataFile is the last."""
    expansion = 1.0
    for line in _lines(stream):
        match = _META_FIELD.match(line)
        if match is None:
            continue
        key, value = match[1].lower(), match[2]
        if key == "compresseddata" and value.lower().startswith("t"):
            expansion = max(expansion, MOST_DEFLATED)
        elif key == "binarydata" and value.lower().startswith("f"):
            expansion = math.inf
        elif key == "elementdatafile":
            start = stream.tell()
            if value.upper() == "LOCAL":
                return _Named((), expansion, start)
            if value.upper().startswith("LIST"):
                listed = (rest.strip() for rest in _lines(stream))
                return _Named(tuple(name for name in listed if name), expansion, start)
            return _Named((_without_range(value),), expansion, start)
    return _Named((), math.inf, 0)


def _of_nrrd(stream: BinaryIO) -> _Named:
    """NRRD: fields up to an empty line; a list of files follows its field to the end."""
    expansion = 1.0
    files: tuple[str, ...] = ()
    for line in _lines(stream):
        if not line.strip():
            break
        match = _NRRD_FIELD.match(line)
        if match is None:
            continue
        key, value = match[1].lower(), match[2]
        if key == "encoding":
            expansion = _NRRD_EXPANSION.get(value.lower(), math.inf)
        elif key in ("data file", "datafile"):
            if value.upper().startswith("LIST"):
                listed = (rest.strip() for rest in _lines(stream))
                return _Named(tuple(name for name in listed if name), math.inf, 0)
            files = (_without_range(value),)
    return _Named(files, expansion, stream.tell())


def _without_range(value: str) -> str:
    """A pattern such as ``slice%03d.raw 1 20 1`` without its numbers."""
    return value.split()[0] if "%" in value and value.split() else value
