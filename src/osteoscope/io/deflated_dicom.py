"""Deflated DICOM from strangers: how far it inflates is counted before a library inflates it."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

from osteoscope.core.errors import InputError
from osteoscope.io.archive import ArchiveLimits

_SYNTAX = b"1.2.840.10008.1.2.1.99"
_HEAD = 4096
_CHUNK = 1024**2
_GROUP_LENGTH_AT = 140
"""Preamble, mark and the first element's tag, type and length come before."""


def refuse_deflate_bomb(file: BinaryIO, limits: ArchiveLimits | None = None) -> None:
    """Check a DICOM file that says it is deflated; any other is passed over.

    Bytes are counted as they come out and not kept.

    Args:
        file: At its first byte, where it is left.
        limits: ``ratio`` and ``ratio_from_bytes`` of an archive's member.

    Raises:
        InputError: It inflates further than a scan does.
    """
    head = file.read(_HEAD)
    file.seek(0)
    if _SYNTAX not in head or head[128:132] != b"DICM":
        return
    limits = limits or ArchiveLimits()
    file.seek(_GROUP_LENGTH_AT + 4 + int(struct.unpack_from("<L", head, _GROUP_LENGTH_AT)[0]))
    inflate = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    taken = given = 0
    try:
        while not inflate.eof and (chunk := inflate.unconsumed_tail or file.read(_CHUNK)):
            given += len(inflate.decompress(chunk, _CHUNK))
            taken += len(chunk) - len(inflate.unconsumed_tail)
            if given > limits.ratio_from_bytes and given > limits.ratio * taken:
                raise InputError(
                    f"A deflated DICOM file inflates to over {limits.ratio:.0f} times its size (a "
                    "zip bomb); it is not read."
                )
    except zlib.error:
        pass  # damaged, which the reader finds and says
    file.seek(0)
