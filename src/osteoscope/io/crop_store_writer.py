"""Write a store of crops: row by row beside its place, then whole in one step."""

from __future__ import annotations

import hashlib
import io
import json
import math
import shutil
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.crop_spec import CropSpec
from osteoscope.core.errors import InputError
from osteoscope.core.provenance import created_with, file_digest
from osteoscope.io.crop_table import Row, checked_row, column_kinds, write_crop_table
from osteoscope.io.folder_swap import put_in_place

FORMAT, FORMAT_VERSION = "osteoscope-crop-store", 1
STORE_NAME, CROPS_NAME, TABLE_NAME = "store.json", "crops.npy", "table.csv"
MAX_ROWS = 1_000_000

_BEGUN, _RAW, _LINES, _WHOLE = "begun.json", "crops.raw", "rows.jsonl", "whole"

Key = tuple[str, str]
"""A row's subject and level."""


class CropStoreWriter:
    """Rows go into ``.NAME.partial`` beside the store; :meth:`finish` makes ``NAME`` of them.

    A run that was stopped leaves the partial folder, and the next writer of the same folder and
    specification finds its rows there. An older store stays whole until the new one is. Until
    then both need room, and while it is finished the crops lie twice on the disk.

    Args:
        folder: The store to make; it may hold an older store or nothing.
        spec: How the crops are cut; each crop must have its shape.
        capacity: The most rows that it will have, 1 to 1,000,000.
        sources: Digests of what it is made from, by name, for the record.

    Raises:
        InputError: The folder holds something else or cannot be made, or an unfinished store of
            another specification lies beside it.
    """

    def __init__(
        self,
        folder: Path,
        spec: CropSpec,
        capacity: int,
        *,
        sources: Mapping[str, str] | None = None,
    ) -> None:
        if not 1 <= capacity <= MAX_ROWS:
            raise InputError(f"A store has 1 to {MAX_ROWS} rows, not {capacity}.")
        self._folder, self._spec, self._capacity = Path(folder), spec, capacity
        self._sources = dict(sources or {})
        self._partial = self._folder.with_name(f".{self._folder.name}.partial")
        self._row_bytes = 2 * math.prod(spec.shape)
        self._lines: list[tuple[Row, int]] = []
        self._slots: dict[Key, int] = {}
        _check_place(self._folder)
        self._begin()

    @property
    def written(self) -> Mapping[Key, Row]:
        """The rows that are there already, by subject and level."""
        return MappingProxyType({key: self._lines[slot][0] for key, slot in self._slots.items()})

    def add(self, crop: NDArray[np.int16], row: Mapping[str, Any]) -> None:
        """Append a crop with its row; one of the same subject and level is replaced.

        Args:
            crop: (z, y, x) int16 HU of the specification's shape.
            row: See :func:`osteoscope.io.crop_table.checked_row`.

        Raises:
            InputError: The crop or the row does not fit, or the store is full.
        """
        whole = checked_row(row)
        if crop.shape != self._spec.shape or crop.dtype != np.int16:
            raise InputError(
                f"A crop of this store is int16 of shape {self._spec.shape}, not {crop.dtype} of "
                f"{crop.shape}."
            )
        if whole["level"] not in self._spec.levels:
            raise InputError(f"The store holds {', '.join(self._spec.levels)}, not this level.")
        key = (whole["subject_id"], whole["level"])
        if key not in self._slots and len(self._slots) >= self._capacity:
            raise InputError(f"The store is full: it was made for {self._capacity} rows.")
        content = np.ascontiguousarray(crop, dtype="<i2").tobytes()
        with (self._partial / _RAW).open("r+b") as raw:
            raw.seek(len(self._lines) * self._row_bytes)
            raw.write(content)
        crc32 = zlib.crc32(content)
        line = {"row": _json_row(whole), "crc32": crc32}
        # The crop is there before its line is: a line without its crop never exists.
        with (self._partial / _LINES).open("a", encoding="utf-8", newline="\n") as lines:
            lines.write(json.dumps(line, allow_nan=False) + "\n")
        self._remember(whole, crc32)

    def finish(
        self,
        order: Sequence[Key] | None = None,
        *,
        restate: Callable[[Row], Mapping[str, Any]] | None = None,
        record: Callable[[Path], None] | None = None,
    ) -> Path:
        """Make the store of the rows.

        Args:
            order: Subject and level of each row of the store, in its order; rows that are not
                named are left out. None takes all in the order in which they were added.
            restate: What the store is to say instead of a row that was added, where labels may
                have changed since; subject and level stay.
            record: Called with the unfinished folder, to add files of one's own beside it.

        Returns:
            The store's folder.

        Raises:
            InputError: There is no row, one that is named was not added, a column mixes kinds, or
                what was written is damaged.
        """
        keys = list(self._slots) if order is None else list(order)
        absent = [key for key in keys if key not in self._slots]
        if not keys or absent or len(set(keys)) < len(keys):
            raise InputError(
                f"A store needs at least one row and each once; {len(absent)} of {len(keys)} rows "
                "were never added."
            )
        slots = [self._slots[key] for key in keys]
        rows = [self._lines[slot][0] for slot in slots]
        if restate is not None:
            rows = [checked_row(restate(row)) for row in rows]
        column_kinds(rows)  # what cannot be a table is said before the crops are copied
        whole = self._partial / _WHOLE
        shutil.rmtree(whole, ignore_errors=True)
        whole.mkdir()
        crops_digest = self._copy_crops(whole / CROPS_NAME, slots)
        columns = write_crop_table(whole / TABLE_NAME, rows)
        description = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "crop": self._spec.to_dict(),
            "rows": len(rows),
            "columns": columns,
            "simulated": any(row["simulated"] for row in rows),
            "crops_sha256": crops_digest,
            "table_sha256": file_digest(whole / TABLE_NAME),
            "sources": self._sources,
            "created_with": created_with(),
        }
        text = json.dumps(description, indent=1) + "\n"
        (whole / STORE_NAME).write_text(text, encoding="utf-8")
        if record is not None:
            record(whole)
        put_in_place(whole, self._folder)
        shutil.rmtree(self._partial, ignore_errors=True)
        return self._folder

    def discard(self) -> None:
        """Throw the rows away; an older store stays as it is."""
        shutil.rmtree(self._partial, ignore_errors=True)

    def _begin(self) -> None:
        begun = {"format": FORMAT, "version": FORMAT_VERSION, "crop": self._spec.to_dict()}
        path = self._partial / _BEGUN
        try:
            if path.exists():
                if json.loads(path.read_text(encoding="utf-8")) != begun:
                    raise InputError(
                        f"An unfinished store of other crops lies in {self._partial.name!r} beside "
                        f"{self._folder.name!r}; delete it, or choose another folder."
                    )
                self._resume()
                return
            shutil.rmtree(self._partial, ignore_errors=True)
            self._partial.mkdir(parents=True)
            (self._partial / _RAW).touch()
            (self._partial / _LINES).touch()
            path.write_text(json.dumps(begun), encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is damaged"
            raise InputError(
                f"The unfinished store {self._partial.name!r} cannot be written or read: {reason}; "
                "delete it or choose another folder."
            ) from None

    def _resume(self) -> None:
        """Find the rows of a stopped run; a line that was cut, or whose crop was, is left out."""
        path = self._partial / _LINES
        content = path.read_bytes()
        complete = content[: content.rfind(b"\n") + 1]
        if len(complete) < len(content):
            path.write_bytes(complete)
        with (self._partial / _RAW).open("rb") as raw:
            for line in complete.splitlines():
                self._take_up(line, raw.read(self._row_bytes))

    def _take_up(self, line: bytes, crop: bytes) -> None:
        """A stopped run's row; its place is taken even where the row is not to be used."""
        try:
            stored = json.loads(line)
            row, crc32 = checked_row(stored["row"]), int(stored["crc32"])
        except (ValueError, KeyError, TypeError, AttributeError, InputError):
            row, crc32 = {}, -1
        if zlib.crc32(crop) == crc32:
            self._remember(row, crc32)
        else:
            self._lines.append((row, crc32))

    def _remember(self, row: Row, crc32: int) -> None:
        self._slots[row["subject_id"], row["level"]] = len(self._lines)
        self._lines.append((row, crc32))

    def _copy_crops(self, path: Path, slots: Sequence[int]) -> str:
        """Write the crops in their order; the digest of the file on the way."""
        digest = hashlib.sha256()
        with path.open("wb") as out, (self._partial / _RAW).open("rb") as raw:
            header = _npy_header((len(slots), *self._spec.shape))
            digest.update(header)
            out.write(header)
            for slot in slots:
                content = self._checked_crop(raw, slot)
                digest.update(content)
                out.write(content)
        return f"sha256:{digest.hexdigest()}"

    def _checked_crop(self, raw: BinaryIO, slot: int) -> bytes:
        raw.seek(slot * self._row_bytes)
        content = raw.read(self._row_bytes)
        if zlib.crc32(content) != self._lines[slot][1]:
            raise InputError(
                f"A crop in the unfinished store {self._partial.name!r} is damaged, or another run "
                "writes there too; start again, alone."
            )
        return content


def _check_place(folder: Path) -> None:
    if folder.is_dir():
        if any(folder.iterdir()) and not (folder / STORE_NAME).is_file():
            raise InputError(
                f"The folder {folder.name!r} holds files but no store; choose a new folder."
            )
    elif folder.exists():
        raise InputError(f"The store {folder.name!r} is a file; choose a folder.")


def _json_row(row: Row) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}


def _npy_header(shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    description = {"descr": "<i2", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, description)
    return stream.getvalue()
