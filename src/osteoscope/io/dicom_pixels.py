"""Pixels of a sorted series into one preallocated array of Hounsfield units."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError
from osteoscope.io.dicom_decoding import FrameDecoder
from osteoscope.io.dicom_frames import Frame
from osteoscope.io.dicom_headers import BIG_ENDIAN, NATIVE, PixelFormat
from osteoscope.io.hu_values import AIR_HU
from osteoscope.io.image_files import MAX_IMAGE_BYTES

_HU_TYPES = (None, "HU", "US", "HU_MOD")
"""Rescale types that may be Hounsfield units; ``US`` is *unspecified*."""
_LARGEST_SLOPE, _LARGEST_INTERCEPT = 1e3, 1e6
"""CT has slopes near 1 and intercepts near -1024; far beyond, sums leave 64 bits."""
_TISSUE_HU = (-900, 3071)
_INT16 = np.iinfo(np.int16)


@dataclass(frozen=True, eq=False)
class HounsfieldPixels:
    """Values of a series.

    Args:
        array: (n, rows, columns) HU: int16, int32 where that is too small, float32 where the
            rescale has fractions.
        padding: -1024 where padding was found and set to air, else None.
        notes: What was done.
    """

    array: NDArray[Any]
    padding: float | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Padding:
    """Stored values from ``low`` to ``high`` lie outside the reconstructed field."""

    low: int
    high: int


class _Int16OverflowError(Exception):
    """A value that the header allowed but that was not expected."""


def read_hounsfield(frames: Sequence[Frame]) -> HounsfieldPixels:
    """Read every frame, apply its own rescale, and set declared padding to air.

    Args:
        frames: In the order of the result's first axis.

    Raises:
        InputError: No rescale, not HU, colour, a codec that is not supported, truncated pixel
            data, or more than the largest size.
    """
    _check_frames(frames)
    fractional = any(value % 1 for f in frames for value in f.rescale or ())
    if fractional:
        return _read_as(frames, np.float32)
    try:
        return _read_as(frames, np.int16)
    except _Int16OverflowError:
        return _read_as(frames, np.int32)


def _check_frames(frames: Sequence[Frame]) -> None:
    for frame in frames:
        pixels = _format(frame)
        if frame.rescale is None or frame.rescale[0] == 0:
            raise InputError(
                "No rescale: the series does not say how its numbers become HU (Rescale Slope "
                "and Intercept are missing or zero); export the original series."
            )
        if abs(frame.rescale[0]) > _LARGEST_SLOPE or abs(frame.rescale[1]) > _LARGEST_INTERCEPT:
            raise InputError(
                f"The rescale of the series (slope {frame.rescale[0]:g}, intercept "
                f"{frame.rescale[1]:g}) leads to no HU; export the original series."
            )
        if frame.rescale_type not in _HU_TYPES:
            raise InputError(
                f"The series' values are in {frame.rescale_type!r}, not in HU; choose another."
            )
        if pixels.samples != 1 or pixels.bits_allocated not in (8, 16, 32):
            raise InputError(
                f"The series has {pixels.samples} value(s) of {pixels.bits_allocated} bits a "
                "pixel; CT has one of 8, 16 or 32."
            )
        if not pixels.bits_stored <= pixels.high_bit + 1 <= pixels.bits_allocated:
            raise InputError(
                f"The series stores {pixels.bits_stored} bits up to bit {pixels.high_bit} of "
                f"{pixels.bits_allocated}, which cannot be; export the original series."
            )
    first = _format(frames[0])
    n_bytes = 2 * first.rows * first.columns * len(frames)
    if n_bytes > MAX_IMAGE_BYTES:
        raise InputError(
            f"The series needs {n_bytes / 1024**3:.1f} GiB and at most "
            f"{MAX_IMAGE_BYTES / 1024**3:.0f} GiB are read; choose a thicker series."
        )


def _format(frame: Frame) -> PixelFormat:
    pixels = frame.file.pixels
    if pixels is None:
        raise InputError("A file of the series holds no pixels; export it again.")
    return pixels


def _read_as(frames: Sequence[Frame], kind: Any) -> HounsfieldPixels:
    first = _format(frames[0])
    array = np.empty((len(frames), first.rows, first.columns), dtype=kind)
    decoder = FrameDecoder()

    def fill(k: int) -> tuple[int, bool]:
        return _fill_slice(frames[k], array[k], decoder)

    workers = min(8, (os.cpu_count() or 1) + 1, len(frames))
    with ThreadPoolExecutor(workers) as pool:
        outcome = list(pool.map(fill, range(len(frames))))
    padded = sum(count for count, _ in outcome)
    notes = []
    if padded:
        notes.append(
            f"{padded / array.size:.1%} of voxels are declared padding and were set to {AIR_HU} HU."
        )
    if any(ignored for _, ignored in outcome):
        notes.append("The declared padding value is that of tissue and was not applied.")
    return HounsfieldPixels(array, float(AIR_HU) if padded else None, tuple(notes))


def _fill_slice(frame: Frame, out: NDArray[Any], decoder: FrameDecoder) -> tuple[int, bool]:
    """Write one slice's HU into ``out``.

    Returns:
        Number of padded pixels, and whether a declared padding was not believed.
    """
    pixels = _format(frame)
    slope, intercept = frame.rescale or (1.0, 0.0)
    raw = decoder.decode(frame) if pixels.offset is None else _native(frame, pixels, out)
    stored = _used_bits(raw, pixels) if pixels.transfer_syntax in NATIVE else raw
    mask, ignored = _padding_mask(frame, raw, stored)
    if out.dtype == np.float32:
        np.multiply(stored, slope, out=out, casting="unsafe")
        out += np.float32(intercept)
    else:
        _rescale_integers(stored, int(slope), int(intercept), out)
    if mask is not None:
        out[mask] = AIR_HU
    return (0 if mask is None else int(np.count_nonzero(mask))), ignored


def _native(frame: Frame, pixels: PixelFormat, out: NDArray[Any]) -> NDArray[Any]:
    """Stored numbers of a native frame, read straight into ``out`` where its type allows."""
    letter = "i" if pixels.signed else "u"
    order = ">" if pixels.transfer_syntax == BIG_ENDIAN else "<"
    kind = np.dtype(f"{order}{letter}{pixels.bits_allocated // 8}")
    in_place = out.dtype == np.int16 and kind.itemsize == 2
    raw = out.view(kind) if in_place else np.empty(out.shape, dtype=kind)
    with frame.file.path.open("rb", buffering=0) as file:
        file.seek((pixels.offset or 0) + frame.index * raw.nbytes)
        if file.readinto(raw.data.cast("B")) != raw.nbytes:
            raise InputError("A file of the series is truncated; copy or export it again.")
    return raw


def _used_bits(raw: NDArray[Any], pixels: PixelFormat) -> NDArray[Any]:
    """``raw`` without what other bits may hold, such as an overlay; sign extended."""
    unused = pixels.bits_allocated - pixels.bits_stored
    if unused <= 0:
        return raw
    above = pixels.bits_allocated - 1 - pixels.high_bit
    if not pixels.signed and pixels.high_bit == pixels.bits_stored - 1:
        low_bits = raw.dtype.type((1 << pixels.bits_stored) - 1)
        return np.asarray(np.bitwise_and(raw, low_bits))
    return np.asarray((raw << above) >> unused)


def _padding_mask(
    frame: Frame, raw: NDArray[Any], stored: NDArray[Any]
) -> tuple[NDArray[np.bool_] | None, bool]:
    """Where the slice is padding; and whether a declared value was not believed."""
    padding = _declared_padding(frame)
    if padding is None:
        return None, False
    mask = (stored >= padding.low) & (stored <= padding.high)
    if raw is not stored:
        mask |= (raw >= padding.low) & (raw <= padding.high)
    if not mask.any():
        return None, False
    slope, intercept = frame.rescale or (1.0, 0.0)
    ends = (padding.low * slope + intercept, padding.high * slope + intercept)
    if max(ends) > _TISSUE_HU[0] and min(ends) < _TISSUE_HU[1]:
        # A value that tissue may have is padding only where it surrounds the field.
        corners = mask[[0, 0, -1, -1], [0, -1, 0, -1]]
        if not corners.any():
            return None, True
    return mask, False


def _declared_padding(frame: Frame) -> _Padding | None:
    signed = _format(frame).signed
    value = frame.file.tags.integer("PixelPaddingValue", signed=signed)
    if value is None:
        return None
    limit = frame.file.tags.integer("PixelPaddingRangeLimit", signed=signed)
    other = value if limit is None else limit
    return _Padding(min(value, other), max(value, other))


def _rescale_integers(stored: NDArray[Any], slope: int, intercept: int, out: NDArray[Any]) -> None:
    low, high = int(stored.min()), int(stored.max())
    ends = (low * slope + intercept, high * slope + intercept)
    if out.dtype == np.int16 and not (min(ends) >= _INT16.min and max(ends) <= _INT16.max):
        raise _Int16OverflowError
    if slope == 1 and _INT16.min <= min(low, intercept) and max(high, intercept) <= _INT16.max:
        # Both fit the target, and so does their sum: no wider copy is needed.
        if stored.dtype == np.uint16 and out.dtype == np.int16:
            stored = stored.view(np.int16)
        np.add(stored.astype(out.dtype, copy=False), out.dtype.type(intercept), out=out)
    else:
        np.add(stored.astype(np.int64) * slope, intercept, out=out, casting="unsafe")
