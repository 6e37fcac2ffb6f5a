"""How large an image a compressed frame claims to be, before a codec makes room for it.

Codecs believe the frame's own header: a few bytes can claim gigabytes, whatever DICOM's Rows and
Columns say.
"""

from __future__ import annotations

import struct

_J2K_START = b"\xff\x4f\xff\x51"
"""Start of codestream and its size segment (ISO/IEC 15444-1, A.5.1)."""
_LONGEST_PREFIX = 4096
"""Boxes that a JP2 file has before its codestream."""
_NO_LENGTH = frozenset({0xD8, 0x01, *range(0xD0, 0xD8)})
_FRAME_MARKERS = frozenset({0xF7, *range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Start of frame of JPEG-LS (ISO/IEC 14495-1) and JPEG (ISO/IEC 10918-1, table B.1)."""


def codestream_size(code: bytes) -> tuple[int, int] | None:
    """(rows, columns) that a compressed frame claims; None where it is of no known form.

    Args:
        code: A frame of JPEG 2000, High-Throughput JPEG 2000, JPEG-LS or JPEG.
    """
    try:
        start = code.find(_J2K_START, 0, _LONGEST_PREFIX)
        if start >= 0:
            right, bottom, left, top = struct.unpack_from(">4I", code, start + 8)
            return bottom - top, right - left
        return _jpeg_size(code)
    except struct.error:
        return None


def _jpeg_size(code: bytes) -> tuple[int, int] | None:
    """Size in the first start-of-frame segment."""
    if code[:2] != b"\xff\xd8":
        return None
    at = 2
    while True:
        mark, kind = struct.unpack_from("BB", code, at)
        if mark != 0xFF:
            return None
        if kind == 0xFF:  # fill byte
            at += 1
        elif kind in _FRAME_MARKERS:
            rows, columns = struct.unpack_from(">HH", code, at + 5)
            return rows, columns
        elif kind in _NO_LENGTH:
            at += 2
        else:
            at += 2 + int(struct.unpack_from(">H", code, at + 2)[0])
