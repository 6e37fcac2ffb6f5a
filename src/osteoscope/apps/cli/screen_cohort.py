"""Screen a cohort table or a folder tree: a table of all, failures listed, resumable."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from osteoscope.apps.cli import exit_codes, progress
from osteoscope.apps.cli.screen_options import Shown

if TYPE_CHECKING:
    from osteoscope.studies.screen.config import ScreenConfig


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
