"""Screen a cohort table or a folder tree: a table of all, failures listed, resumable."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from osteoscope.apps.cli import exit_codes, progress
from osteoscope.apps.cli.screen_options import Shown
from osteoscope.core.errors import InputError

if TYPE_CHECKING:
    from osteoscope.studies.screen.config import ScreenConfig

_NOT_A_SCAN = (
    ".csv",
    ".tsv",
    ".xlsx",
    ".parquet",
    ".json",
    ".toml",
    ".txt",
    ".md",
    ".pdf",
    ".html",
)


def is_cohort(sources: Sequence[Path], forced: bool | None) -> bool:
    """Whether the sources are one table or one tree of scans, rather than scans.

    A table is a cohort. A folder is one scan where DICOM files lie in it directly or where it
    holds a single scan; else it is a cohort.

    Args:
        sources: What was given on the command line.
        forced: ``--cohort`` or ``--one-scan``; None recognises.

    Raises:
        InputError: A table stands beside other sources, or ``--cohort`` does.
    """
    from osteoscope.io.cohort_table import TABLE_SUFFIXES

    tables = [path for path in sources if path.suffix.lower() in TABLE_SUFFIXES]
    if len(sources) > 1 and (tables or forced):
        raise InputError("Give one table or folder tree at a time, or several scans.")
    if tables:
        return True
    if forced is not None:
        return forced
    return len(sources) == 1 and sources[0].is_dir() and _is_tree(sources[0])


def run(
    source: Path,
    out: Path,
    config: ScreenConfig,
    mapper: Callable[..., Any],
    shown: Shown,
) -> None:
    """Screen every scan of ``source`` into a folder of its own below ``out``.

    Raises:
        typer.Exit: Some scans failed; the table says which.
    """
    from osteoscope.studies.screen.cohort import cohort_items, screen_cohort

    total = len(cohort_items(source))
    with progress.items("Screening", total, shown.quiet) as advance:

        def on_item(name: str, state: str) -> None:
            if advance is not None:
                advance(f"{name}: {state}")

        outcome = screen_cohort(source, out, config, mapper=mapper, on_item=on_item)
    counts = {"done": outcome.n_done, "failed": outcome.n_failed, "skipped": outcome.n_skipped}
    if shown.as_json:
        print(json.dumps({"table": str(outcome.table_path), **counts}))
    else:
        words = ", ".join(f"{number} {state}" for state, number in counts.items())
        print(f"{words}. Table: {outcome.table_path}")
    if outcome.n_failed:
        raise typer.Exit(exit_codes.SOME_FAILED)


def _is_tree(folder: Path) -> bool:
    from osteoscope.io.discover import IMAGE_SUFFIXES, discover_scans

    known = (*IMAGE_SUFFIXES, *_NOT_A_SCAN, ".zip")
    for entry in folder.iterdir():
        loose = entry.is_file() and not entry.name.startswith(".")
        if loose and not entry.name.lower().endswith(known):
            return False
    return len(discover_scans(folder)) > 1
