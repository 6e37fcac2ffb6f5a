"""MetaImage headers that ITK may be given: its parser overruns its buffers on some others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from osteoscope.core.errors import InputError

_LONGEST_HEADER = 64 * 1024
_LONGEST_NAME, _LONGEST_VALUE = 100, 1000
_FIELD = re.compile(r"^\s*(\w+)\s*[=:]\s*(.*?)\s*$", re.ASCII)
_ONE_AN_AXIS = frozenset(
    {
        "dimsize", "offset", "position", "origin", "elementspacing", "elementsize",
        "centerofrotation", "offsetimage",
    }
)  # fmt: skip
_MATRICES = frozenset({"transformmatrix", "rotation", "orientation"})


def check_metaimage_header(path: Path) -> None:
    """Refuse a header whose fields do not fit its number of dimensions.

    ITK's parser allots room for the number of dimensions that the header claims in one place and
    for ten in another, so that a damaged number corrupts the process's memory.

    Args:
        path: ``*.mha`` or ``*.mhd``.

    Raises:
        InputError: The header is not text, claims other than 1 to 4 dimensions, or a field holds
            more or fewer numbers than these need.
    """
    with path.open("rb") as file:
        head = file.read(_LONGEST_HEADER)
    n_dims = 0
    for name, value in _fields(head):
        if name == "ndims":
            if n_dims or not re.fullmatch(r"[1-4]", value):
                raise _damaged()
            n_dims = int(value)
        elif name in _ONE_AN_AXIS or name in _MATRICES:
            count = n_dims if name in _ONE_AN_AXIS else n_dims**2
            if n_dims == 0 or len(value.split()) != count:
                raise _damaged()
    if n_dims == 0:
        raise _damaged()


def _fields(head: bytes) -> Iterator[tuple[str, str]]:
    """(name in lower case, value) of every field up to the one that ends the header."""
    while head:
        line, _, head = head.partition(b"\n")
        if not line.strip():
            continue
        match = _FIELD.match(line.decode("ascii")) if line.isascii() else None
        if match is None or len(match[1]) > _LONGEST_NAME or len(match[2]) > _LONGEST_VALUE:
            raise _damaged()
        yield match[1].lower(), match[2]
        if match[1].lower() == "elementdatafile":
            return
    raise _damaged()


def _damaged() -> InputError:
    return InputError(
        "The MetaImage header is truncated or damaged: its fields do not fit its number of "
        "dimensions; copy or export the file again."
    )
