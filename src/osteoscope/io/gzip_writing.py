"""A gzip file by several threads, with the same bytes whatever their number."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

_CHUNK = 4 * 1024**2
_LEVEL = 1
"""CT noise hardly compresses further at higher levels, which cost several times the time."""

_HEADER = struct.pack("<BBBBLBB", 0x1F, 0x8B, 8, 0, 0, 4, 255)
"""RFC 1952: deflate, no file name, no time, fastest algorithm, unknown system."""


def gzip_file(source: Path, target: Path) -> None:
    """Compress ``source`` into ``target``: one gzip member, no name and no time in its header.

    Each chunk is deflated on its own and ends at a byte (zlib's sync flush), so the chunks can be
    joined to one stream that every gzip reader takes.

    Raises:
        OSError: A file cannot be read or written.
    """
    checksum, size = 0, 0
    workers = min(8, os.cpu_count() or 1)
    with source.open("rb") as plain, target.open("wb") as out, ThreadPoolExecutor(workers) as pool:
        out.write(_HEADER)
        chunks = _chunks(plain.fileno(), source.stat().st_size)
        # A few chunks at a time, so that a large file is not held in memory.
        while batch := list(islice(chunks, 2 * workers)):
            for (chunk, _), packed in zip(batch, pool.map(_deflate, batch), strict=True):
                checksum = zlib.crc32(chunk, checksum)
                size += len(chunk)
                out.write(packed)
        out.write(struct.pack("<LL", checksum, size & 0xFFFFFFFF))


def _chunks(descriptor: int, size: int) -> Iterator[tuple[bytes, bool]]:
    """Pieces of the file, each with whether it is the last; an empty file is one empty piece."""
    for start in range(0, max(size, 1), _CHUNK):
        chunk = os.pread(descriptor, _CHUNK, start)
        yield chunk, start + _CHUNK >= size


def _deflate(piece: tuple[bytes, bool]) -> bytes:
    chunk, last = piece
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15)
    return packer.compress(chunk) + packer.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
