"""Screen many scans: each into a folder of its own, and one table of all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import osteoscope
from osteoscope.core.config_file import config_as_dict
from osteoscope.core.errors import InputError
from osteoscope.io.cohort_table import TABLE_SUFFIXES, CohortScan, read_cohort_table
from osteoscope.io.discover import discover_scans
from osteoscope.io.file_state import state_key
from osteoscope.studies.screen.config import ScreenConfig
from osteoscope.studies.screen.model import model_state
from osteoscope.studies.screen.output_folder import check_can_be_made
from osteoscope.studies.screen.pipeline import screen_scan
from osteoscope.studies.screen.table import failed_row, result_row, write_table

_RECORD = "item.json"
"""What a resumed run reads to know that a scan is done: the item's key and its row."""


class ItemOutcome(Protocol):
    """What became of one scan: a row of the table, or one sentence."""

    @property
    def value(self) -> dict[str, Any] | None: ...

    @property
    def error(self) -> str | None: ...


Mapper = Callable[..., Sequence[ItemOutcome]]
"""``mapper(function, items, on_done=callback)``: see :func:`osteoscope.apps.mapping.map_items`."""

OnItem = Callable[[str, str], None]
"""Called with a scan's name and what became of it: ``done``, ``withheld``, ``failed: …``."""


@dataclass(frozen=True)
class CohortOutcome:
    """What a cohort's screen left behind."""

    table_path: Path
    n_done: int
    n_failed: int
    n_skipped: int


@dataclass(frozen=True)
class _Item:
    scan: CohortScan
    key: str


def cohort_items(source: Path) -> tuple[CohortScan, ...]:
    """The scans of a cohort table or of a folder tree.

    Raises:
        InputError: The table has bad rows, or the folder holds no scan.
    """
    if source.is_dir():
        return discover_scans(source)
    if source.suffix.lower() in TABLE_SUFFIXES:
        return read_cohort_table(source)
    raise InputError(f"A cohort is a folder or a table ({', '.join(TABLE_SUFFIXES)}).")


def screen_cohort(
    source: Path,
    out: Path,
    config: ScreenConfig,
    *,
    mapper: Mapper,
    on_item: OnItem | None = None,
) -> CohortOutcome:
    """Screen every scan of ``source`` into ``out/<subject_id>``; one that fails stops nothing.

    Started again with the same options, scans that are done are skipped, changed ones and
    failures are tried again. ``out/screen.csv`` has one row a scan, ``out/cohort.html`` shows it.

    Args:
        source: A cohort table or a folder tree.
        out: Folder of the results.
        config: The options, the same for all.
        mapper: Applies a function to items, here or elsewhere.
        on_item: Told about each scan as it is done.

    Raises:
        InputError: The table has bad rows, the folder holds no scan, or ``out`` cannot be made.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"The output {out.name!r} is a file; choose a folder.")
    check_can_be_made(out)
    items = [_Item(scan, _item_key(scan, config)) for scan in cohort_items(source)]
    rows = {item.scan.subject_id: _recorded(out, item) for item in items}
    todo = [item for item in items if rows[item.scan.subject_id] is None]
    failures = 0

    def record(index: int, outcome: ItemOutcome) -> None:
        nonlocal failures
        name = todo[index].scan.subject_id
        if outcome.value is not None:
            rows[name] = outcome.value
        else:
            failures += 1
            rows[name] = failed_row(name, outcome.error or "unknown")
        if on_item is not None:
            row = rows[name] or {}
            on_item(name, f"failed: {row['error']}" if row["error"] else str(row["status"]))

    def finished() -> list[dict[str, Any]]:
        return [row for item in items if (row := rows[item.scan.subject_id]) is not None]

    try:
        mapper(partial(_screen_item, out=out, config=config), todo, on_done=record)
    except BaseException:
        # A stopped run leaves the table of what is done; its items' own records let it resume.
        if finished():
            write_table(out, finished())
        raise
    out.mkdir(parents=True, exist_ok=True)
    table = write_table(out, finished())
    return CohortOutcome(
        table_path=table,
        n_done=len(todo) - failures,
        n_failed=failures,
        n_skipped=len(items) - len(todo),
    )


def _screen_item(item: _Item, *, out: Path, config: ScreenConfig) -> dict[str, Any]:
    outcome = screen_scan(
        item.scan.image,
        out / item.scan.subject_id,
        config,
        segmentation=item.scan.segmentation,
        subregions=item.scan.subregions,
        record=partial(_write_record, item),
    )
    return result_row(item.scan.subject_id, outcome.result)


def _write_record(item: _Item, folder: Path, result: Mapping[str, Any]) -> None:
    row = result_row(item.scan.subject_id, result)
    record = {"key": item.key, "row": row}
    (folder / _RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")


def _recorded(out: Path, item: _Item) -> dict[str, Any] | None:
    """The row of a scan that is done with the same inputs, options and version; else None."""
    path = out / item.scan.subject_id / _RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    row = record.get("row")
    return row if record.get("key") == item.key and isinstance(row, dict) else None


def _item_key(scan: CohortScan, config: ScreenConfig) -> str:
    """Changes with the options, the version, the model and any file's size or time of change."""
    options = json.dumps(config_as_dict(config), sort_keys=True)
    paths = [value for value in asdict(scan).values() if isinstance(value, Path)]
    return state_key([options, osteoscope.__version__, model_state(config)], paths)
