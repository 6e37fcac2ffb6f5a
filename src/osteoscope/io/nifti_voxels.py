"""Voxels of a NIfTI file, read once into their place and checked to be all there.

ITK's reader fills what a truncated file lacks with zeros and turns NaN into 0 without a word, and
holds the image twice while it reads. ISA-L inflates nearly twice as fast as zlib.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from osteoscope.core.errors import InputError
from osteoscope.io.nifti_header import NiftiStorage

_CHUNK = 256 * 1024
_MOST_INFLATED = 4 * 1024**2
_MOST_EXCESS = 64 * 1024**2
"""Header and trailing bytes; far beyond, the file is a gzip bomb and no longer inflated."""


def read_nifti_voxels(
    path: Path, storage: NiftiStorage, shape: tuple[int, int, int]
) -> NDArray[Any]:
    """(z, y, x) voxels, scaled as the header says; native byte order.

    Args:
        path: The file.
        storage: How its numbers are stored.
        shape: Voxels along (z, y, x).

    Raises:
        InputError: The file ends early, or its checksum is wrong.
    """
    array = np.empty(shape, dtype=storage.kind)
    target = array.reshape(-1).view(np.uint8)
    filled, excess = -storage.offset, 0
    try:
        for chunk in _ahead(_chunks(path, storage.zipped)):
            piece = np.frombuffer(chunk, np.uint8)
            if filled < 0:
                piece, filled = piece[-filled:], min(0, filled + len(piece))
            piece = piece[: target.size - filled]
            target[filled : filled + len(piece)] = piece
            filled += len(piece)
            excess += len(chunk) - len(piece)
            if excess > _MOST_EXCESS:
                raise EOFError
    # The stub takes the class for an instance.
    except (OSError, EOFError, isal_zlib.error):  # type: ignore[misc]
        filled = -1
    if filled != target.size:
        raise InputError(
            "The image file's pixel data cannot be read: it is truncated or damaged; "
            "copy or export it again."
        )
    if not storage.kind.isnative:
        array = array.byteswap(inplace=True).view(storage.kind.newbyteorder("="))
    if (storage.slope, storage.intercept) == (1.0, 0.0):
        return array
    return _scaled(array, storage.slope, storage.intercept)


def _ahead(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same chunks, each made while the one before it is used: inflating lets go of the GIL."""
    with ThreadPoolExecutor(max_workers=1) as inflating:
        coming = inflating.submit(next, chunks, None)
        while (chunk := coming.result()) is not None:
            coming = inflating.submit(next, chunks, None)
            yield chunk


def _chunks(path: Path, zipped: bool) -> Iterator[bytes]:
    """The file's bytes, inflated; the checksum at the end of a gzip member is verified."""
    with path.open("rb", buffering=0) as file:
        inflate = isal_zlib.decompressobj(31)
        while chunk := file.read(_CHUNK):
            if not zipped:
                yield chunk
                continue
            while chunk:
                if inflate.eof:
                    inflate = isal_zlib.decompressobj(31)
                # Labels inflate a thousandfold: without a bound one chunk would fill the memory.
                yield inflate.decompress(chunk, _MOST_INFLATED)
                chunk = (
                    inflate.unused_data.lstrip(b"\0") if inflate.eof else inflate.unconsumed_tail
                )
        if zipped and not inflate.eof:
            raise EOFError


def _scaled(array: NDArray[Any], slope: float, intercept: float) -> NDArray[Any]:
    """``slope * array + intercept``: integers where both are whole, else float32."""
    whole = slope == int(slope) and intercept == int(intercept) and array.dtype.kind in "iu"
    out = np.empty(array.shape, dtype=np.int32 if whole else np.float32)
    for source, target in zip(array, out, strict=True):
        target[...] = source.astype(np.float64) * slope + intercept
    return out
