"""A store of crops: prepared once, then read as one memory-mapped array beside its table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.crop_spec import CropSpec
from osteoscope.core.errors import InputError
from osteoscope.core.provenance import file_digest
from osteoscope.io.crop_store_writer import (
    CROPS_NAME,
    FORMAT,
    FORMAT_VERSION,
    MAX_ROWS,
    STORE_NAME,
    TABLE_NAME,
    CropStoreWriter,
)
from osteoscope.io.crop_table import COLUMNS, parse_crop_table

__all__ = ["CropStore", "CropStoreWriter"]

_LARGEST_STORE_JSON = 1 << 20
_LARGEST_TABLE = (1 << 16, 1 << 14)
"""Bytes of a table: a header, and what one row may take."""
_KEYS = {
    "format", "version", "crop", "rows", "columns", "simulated", "crops_sha256", "table_sha256",
    "sources", "created_with",
}  # fmt: skip
_AGAIN = "prepare it again"


@dataclass(frozen=True, eq=False)
class CropStore:
    """Crops and what is known of each.

    Args:
        folder: Where it lies.
        spec: How the crops were cut.
        crops: (n, z, y, x) int16 HU, a read-only memory map.
        table: Column by name, (n,) each; see :data:`osteoscope.io.crop_table.COLUMNS`, further
            columns may follow.
        simulated: Whether any of its crops is of a simulated patient.
        sources: Digests of what it was made from, by name.
        digest: SHA-256 over everything but the programs' versions: one content, one digest.
    """

    folder: Path
    spec: CropSpec
    crops: NDArray[np.int16]
    table: Mapping[str, NDArray[Any]]
    simulated: bool
    sources: Mapping[str, str]
    digest: str

    @classmethod
    def open(cls, folder: Path, verify: bool = True) -> CropStore:
        """Open a store.

        Args:
            folder: A folder with ``store.json``, ``crops.npy`` and ``table.csv``.
            verify: Read every byte of the crops once and hold it against its digest. False trusts
                the file's length, and opens a store of any size at once.

        Raises:
            InputError: The folder holds no store, or one that is unfinished, damaged, cut short
                or of an unknown version.
        """
        folder = Path(folder)
        stored = _read_description(folder)
        crops = _map_crops(folder / CROPS_NAME, stored)
        table = _read_table(folder / TABLE_NAME, stored)
        if verify and file_digest(folder / CROPS_NAME) != stored["crops_sha256"]:
            raise InputError(f"The store's {CROPS_NAME} differs from its digest; {_AGAIN}.")
        content = {k: v for k, v in stored.items() if k != "created_with"}
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return cls(
            folder=folder,
            spec=CropSpec.from_dict(stored["crop"]),
            crops=crops,
            table=table,
            simulated=stored["simulated"],
            sources=MappingProxyType(stored["sources"]),
            digest=f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}",
        )

    def __len__(self) -> int:
        return len(self.crops)

    def column(self, name: str) -> NDArray[Any]:
        """(n,) values of one column.

        Raises:
            InputError: There is no such column; the message lists the known ones.
        """
        if name not in self.table:
            raise InputError(f"The store has no column {name!r}; known: {', '.join(self.table)}.")
        return self.table[name]

    def row(self, number: int) -> dict[str, Any]:
        """What is known of one crop, by column, as Python's own types."""
        return {name: column[number].item() for name, column in self.table.items()}


def _read_description(folder: Path) -> dict[str, Any]:
    """``store.json``, its keys and kinds checked."""
    path = folder / STORE_NAME
    if not path.is_file():
        raise InputError(
            f"The folder {folder.name!r} holds no {STORE_NAME}: it is no store, or one that was "
            "not finished; run osteoscope tscore prepare."
        )
    try:
        if path.stat().st_size > _LARGEST_STORE_JSON:
            raise InputError(f"The store's {STORE_NAME} is too large to be one; {_AGAIN}.")
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise InputError(f"The store's {STORE_NAME} cannot be read; {_AGAIN}.") from None
    if not isinstance(stored, dict) or stored.get("format") != FORMAT:
        raise InputError(f"The {STORE_NAME} in {folder.name!r} describes no store of crops.")
    if stored.get("version") != FORMAT_VERSION:
        raise InputError(
            f"The store is of version {stored.get('version')!r:.20}, and this osteoscope reads "
            f"version {FORMAT_VERSION}; prepare it again, or update osteoscope."
        )
    if set(stored) != _KEYS or not _fits(stored):
        raise InputError(f"The store's {STORE_NAME} lacks an entry or holds a wrong one; {_AGAIN}.")
    CropSpec.from_dict(stored["crop"])
    return stored


def _fits(stored: Mapping[str, Any]) -> bool:
    columns, rows = stored["columns"], stored["rows"]
    return (
        isinstance(rows, int)
        and not isinstance(rows, bool)
        and 1 <= rows <= MAX_ROWS
        and isinstance(stored["simulated"], bool)
        and isinstance(columns, dict)
        and list(columns.items())[: len(COLUMNS)] == list(COLUMNS.items())
        and all(kind in ("int", "float", "str", "bool") for kind in columns.values())
        and isinstance(stored["sources"], dict)
        and all(isinstance(v, str) for v in stored["sources"].values())
        and all(isinstance(stored[k], str) for k in ("crops_sha256", "table_sha256"))
    )


def _map_crops(path: Path, stored: Mapping[str, Any]) -> NDArray[np.int16]:
    shape = (stored["rows"], *stored["crop"]["shape"])
    try:
        crops = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        raise InputError(f"The store's {CROPS_NAME} is missing or cut short; {_AGAIN}.") from None
    if (
        not isinstance(crops, np.memmap)
        or crops.shape != shape
        or crops.dtype != np.dtype("<i2")
        or not crops.flags.c_contiguous
        or crops.offset + crops.nbytes != path.stat().st_size
    ):
        raise InputError(
            f"The store's {CROPS_NAME} does not hold the {stored['rows']} crops that its "
            f"{STORE_NAME} describes; {_AGAIN}."
        )
    return crops


def _read_table(path: Path, stored: Mapping[str, Any]) -> Mapping[str, NDArray[Any]]:
    try:
        if path.stat().st_size > _LARGEST_TABLE[0] + _LARGEST_TABLE[1] * stored["rows"]:
            raise InputError(f"The store's {TABLE_NAME} is too large to be its table; {_AGAIN}.")
        content = path.read_bytes()
    except OSError:
        raise InputError(f"The store's {TABLE_NAME} is missing or unreadable; {_AGAIN}.") from None
    if f"sha256:{hashlib.sha256(content).hexdigest()}" != stored["table_sha256"]:
        raise InputError(
            f"The store's {TABLE_NAME} differs from its digest: it was changed by hand or damaged; "
            f"change the cohort table instead and {_AGAIN}."
        )
    table = parse_crop_table(content, stored["columns"])
    if len(table["row"]) != stored["rows"]:
        raise InputError(f"The store's {TABLE_NAME} has another number of rows; {_AGAIN}.")
    return table
