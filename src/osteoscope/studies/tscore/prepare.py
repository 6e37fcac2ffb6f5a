"""From a cohort's scans and segmentations to the store that training reads."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

import osteoscope
from osteoscope.core.config_file import config_as_dict
from osteoscope.core.errors import InputError
from osteoscope.core.provenance import file_digest
from osteoscope.io.cohort_table import LabelledScan, read_labelled_cohort
from osteoscope.io.crop_store import CropStore, CropStoreWriter
from osteoscope.io.csv_table import write_csv
from osteoscope.io.file_state import state_key
from osteoscope.studies.tscore.prepare_config import PrepareConfig
from osteoscope.studies.tscore.prepare_scan import PreparedScan, Row, labelled_row, prepare_scan

FAILURES_NAME = "failures.csv"
KEYS_NAME = "prepared.csv"
"""What a second run compares to know that a scan need not be read again. It stands beside the table
and not in it: places and times of files are no part of what a store holds."""
_KEY_COLUMN = "source_key"

Key = tuple[str, str]


class ItemOutcome(Protocol):
    """What became of one scan: its crops, or one sentence."""

    @property
    def value(self) -> PreparedScan | None: ...

    @property
    def error(self) -> str | None: ...


Mapper = Callable[..., Sequence[ItemOutcome]]
"""``mapper(function, items, on_done=callback)``: see :func:`osteoscope.apps.mapping.map_items`."""

OnItem = Callable[[str, str], None]
"""Called with a subject and what became of its scan: ``done`` or ``failed: …``."""


@dataclass(frozen=True)
class PrepareOutcome:
    """What was left behind: the store, its rows, and how many scans were done, failed, skipped."""

    folder: Path
    n_rows: int
    n_done: int
    n_failed: int
    n_skipped: int


def prepare_cohort(
    table: Path,
    out: Path,
    config: PrepareConfig,
    *,
    mapper: Mapper,
    on_item: OnItem | None = None,
) -> PrepareOutcome:
    """Crop every scan of a cohort table into a store; a scan that fails stops nothing.

    Started again, scans that are in the store (or in one that was not finished) with the same
    files and options are not read again, their labels are taken from the table anew, and failures
    are tried again. ``failures.csv`` in the store names what is missing and why.

    Args:
        table: Cohort table with ``segmentation``; see ``read_labelled_cohort``.
        out: The store's folder.
        config: What is cropped and how.
        mapper: Applies a function to items, here or elsewhere.
        on_item: Told about each scan as it is done.

    Raises:
        InputError: The table has bad rows, ``out`` holds something else or a store of other crops,
            or not one scan could be prepared.
    """
    scans = {scan.scan.subject_id: scan for scan in read_labelled_cohort(table)}
    keys = {name: _source_key(scan, config) for name, scan in scans.items()}
    older = _older_store(out, config)
    work = _Work(scans, keys, config)
    if older is not None and work.is_whole(older):
        return PrepareOutcome(out, len(older), 0, 0, len(scans))
    capacity = len(scans) * len(config.levels)
    sources = {"cohort table": file_digest(table)}
    writer = CropStoreWriter(out, config.crop, capacity, sources=sources)
    if older is not None:
        work.take_over(older, writer)
    todo = [scan for name, scan in scans.items() if not work.is_done(name, writer.written)]
    failures: dict[Key, str] = {}

    def record(index: int, outcome: ItemOutcome) -> None:
        name = todo[index].scan.subject_id
        if outcome.value is None:
            missing = {"": outcome.error or "unknown"}
        else:
            missing = dict(outcome.value.failures)
            for row, crop in zip(outcome.value.rows, outcome.value.crops, strict=True):
                writer.add(crop, row | {_KEY_COLUMN: keys[name]})
            outcome.value.crops.clear()
        failures.update({(name, level): reason for level, reason in missing.items()})
        if on_item is not None:
            on_item(name, f"failed: {' '.join(missing.values())}" if missing else "done")

    mapper(partial(prepare_scan, config=config), todo, on_done=record)
    present = work.present(writer.written)
    if not present:
        writer.discard()
        first = next(iter(failures.values()), "none was read")
        raise InputError(f"None of the {len(scans)} scans could be prepared; the first: {first}")

    def beside(folder: Path) -> None:
        rows = [{"subject_id": n, "level": v, "reason": why} for (n, v), why in failures.items()]
        if rows:
            write_csv(folder / FAILURES_NAME, rows)
        there = dict.fromkeys(name for name, _ in present)
        write_csv(folder / KEYS_NAME, [{"subject_id": n, _KEY_COLUMN: keys[n]} for n in there])

    writer.finish(present, restate=work.restated, record=beside)
    failed = len({name for name, _ in failures})
    return PrepareOutcome(out, len(present), len(todo) - failed, failed, len(scans) - len(todo))


class _Work:
    """Which rows of a store belong to the cohort as it is now."""

    def __init__(
        self, scans: Mapping[str, LabelledScan], keys: Mapping[str, str], config: PrepareConfig
    ) -> None:
        self._scans, self._keys, self._levels = scans, keys, config.levels

    def is_current(self, row: Mapping[str, Any]) -> bool:
        """Whether a row was made of the same files by the same options."""
        return bool(row.get(_KEY_COLUMN) == self._keys.get(row["subject_id"], ""))

    def is_done(self, name: str, written: Mapping[Key, Row]) -> bool:
        """Whether every level of a subject is there and current."""
        rows = [written.get((name, level)) for level in self._levels]
        return all(row is not None and self.is_current(row) for row in rows)

    def present(self, written: Mapping[Key, Row]) -> list[Key]:
        """What the store is to hold, in the table's order."""
        keys = [(name, level) for name in self._scans for level in self._levels]
        return [key for key in keys if key in written and self.is_current(written[key])]

    def restated(self, row: Row) -> Row:
        """A row with the labels that the cohort table gives now, as the store's table has it."""
        plain = {name: value for name, value in row.items() if name != _KEY_COLUMN}
        return labelled_row(plain, self._scans[row["subject_id"]])

    def is_whole(self, store: CropStore) -> bool:
        """Whether a store is what would be made again."""
        rows = {_key(row): row for row in _rows(store)}
        wanted = [(name, level) for name in self._scans for level in self._levels]
        return list(rows) == wanted and all(
            self.is_current(row)
            and _same(row, self.restated(row) | {_KEY_COLUMN: row[_KEY_COLUMN]})
            for row in rows.values()
        )

    def take_over(self, store: CropStore, writer: CropStoreWriter) -> None:
        """Copy an older store's rows that are still good and are not there yet."""
        for number, row in enumerate(_rows(store)):
            there = writer.written.get(_key(row))
            if self.is_current(row) and (there is None or not self.is_current(there)):
                writer.add(np.array(store.crops[number]), row)


def _older_store(out: Path, config: PrepareConfig) -> CropStore | None:
    """The store that is there; None where there is none or it is damaged."""
    try:
        store = CropStore.open(out)
    except InputError:
        return None
    if store.spec != config.crop:
        raise InputError(
            f"The folder {out.name!r} holds a store of other crops; choose another folder, or "
            "delete it."
        )
    return store


def _rows(store: CropStore) -> list[Row]:
    """The rows of a store, each with the key of its scan where that was written down."""
    try:
        with (store.folder / KEYS_NAME).open(newline="", encoding="utf-8") as stream:
            keys = {row["subject_id"]: row[_KEY_COLUMN] for row in csv.DictReader(stream)}
    except (OSError, ValueError, KeyError, csv.Error):
        keys = {}
    rows = map(store.row, range(len(store)))
    return [row | {_KEY_COLUMN: keys.get(row["subject_id"])} for row in rows]


def _source_key(item: LabelledScan, config: PrepareConfig) -> str:
    """Changes with the options, the version and any file's size or time of change."""
    options = json.dumps(config_as_dict(config), sort_keys=True)
    calibration = Path(str(config.calibration))
    scan = item.scan
    files = (scan.image, scan.segmentation, scan.subregions)
    return state_key(
        (options, osteoscope.__version__),
        (*files, calibration if calibration.is_file() else None),
    )


def _key(row: Mapping[str, Any]) -> Key:
    return row["subject_id"], row["level"]


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two rows say the same; None, nan and an unknown class are one."""
    return {k: _known(k, v) for k, v in one.items()} == {k: _known(k, v) for k, v in other.items()}


def _known(column: str, value: Any) -> Any:
    if value is None or value != value or (column == "class_index" and value < 0):
        return None
    return value
