"""``osteoscope tscore prepare``: a cohort's scans become a store of crops."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osteoscope.apps.cli import exit_codes, progress
from osteoscope.core.errors import InputError

if TYPE_CHECKING:
    from osteoscope.studies.tscore.prepare_config import PrepareConfig

_CROP, _MANY = "Crops", "Many scans"


def prepare(
    cohort: Annotated[
        Path,
        typer.Argument(
            metavar="COHORT.csv",
            help="CSV, XLSX or Parquet: subject_id, image, segmentation; t_score or class; "
            "age_years, sex, site.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the store to make.")],
    level: Annotated[
        list[str] | None,
        typer.Option(help="Vertebra; give it more than once for several.", show_default="L1"),
    ] = None,
    shape: Annotated[
        str | None,
        typer.Option(
            help="Voxels z,y,x, or one number.", show_default="64,96,96", rich_help_panel=_CROP
        ),
    ] = None,
    spacing: Annotated[
        str | None,
        typer.Option(
            help="Spacing z,y,x in mm, or one number.", show_default="1", rich_help_panel=_CROP
        ),
    ] = None,
    surroundings: Annotated[
        bool | None,
        typer.Option(
            "--surroundings/--masked",
            help="Keep what lies around the vertebra, or mask it.",
            show_default="masked",
            rich_help_panel=_CROP,
        ),
    ] = None,
    axes: Annotated[
        str | None,
        typer.Option(
            help="Along the axes of the scanner or of the vertebra.",
            show_default="scanner",
            rich_help_panel=_CROP,
        ),
    ] = None,
    scheme: Annotated[
        str | None,
        typer.Option(help="Label scheme of the segmentations; recognised where it can be."),
    ] = None,
    calibration: Annotated[
        str | None,
        typer.Option(help="HU to mg/cm3, for virtual DXA: a table's file, or: internal."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file of these options; the command line wins.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Scans at a time on this machine.", rich_help_panel=_MANY)
    ] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Dask cluster: an address, a scheduler file, slurm, pbs, lsf or sge.",
            rich_help_panel=_MANY,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Only JSON on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Crop a vertebra from every scan of a cohort, measure it, and store both for training.

    Started again, it goes on where it was. Exit code 0: done. 1: some scans failed, failures.csv
    in the store says which and why. 2: wrong use, or nothing could be prepared.
    """
    from osteoscope.apps.mapping import map_items
    from osteoscope.io.cohort_table import read_labelled_cohort
    from osteoscope.studies.tscore.prepare import FAILURES_NAME, prepare_cohort

    typed = {
        "levels": None if level is None else tuple(level),
        "shape": None if shape is None else _three(shape, int, "--shape"),
        "spacing_mm": None if spacing is None else _three(spacing, float, "--spacing"),
        "surroundings": surroundings,
        "axes": axes,
        "scheme": scheme,
        "calibration": calibration,
    }
    settings = _settings(config, typed)
    total = len(read_labelled_cohort(cohort))
    mapper = partial(map_items, workers=workers, scheduler=scheduler)
    with progress.items("Preparing", total, quiet) as advance:

        def on_item(name: str, state: str) -> None:
            if advance is not None:
                advance(f"{name}: {state}")

        outcome = prepare_cohort(cohort, out, settings, mapper=mapper, on_item=on_item)
    counts = {"done": outcome.n_done, "failed": outcome.n_failed, "skipped": outcome.n_skipped}
    failures = out / FAILURES_NAME if outcome.n_failed else None
    if as_json:
        told = {"store": str(out), "rows": outcome.n_rows, **counts}
        print(json.dumps(told | {"failures": None if failures is None else str(failures)}))
    else:
        words = ", ".join(f"{number} {state}" for state, number in counts.items())
        listed = "" if failures is None else f" Failures: {failures}."
        print(f"{words}. Store: {out}, {outcome.n_rows} crops.{listed}")
    if outcome.n_failed:
        raise typer.Exit(exit_codes.SOME_FAILED)


def _settings(file: Path | None, typed: Mapping[str, object]) -> PrepareConfig:
    """Defaults, then the file, then what was typed."""
    from osteoscope.core.config_file import config_from_toml
    from osteoscope.studies.tscore.prepare_config import PrepareConfig

    base = PrepareConfig() if file is None else config_from_toml(PrepareConfig, file)
    given = {name: value for name, value in typed.items() if value is not None}
    return dataclasses.replace(base, **given)  # type: ignore[arg-type]


def _three(text: str, kind: type[int] | type[float], option: str) -> tuple[float, ...]:
    """Three numbers with commas between them, or one for all three."""
    try:
        numbers = tuple(kind(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 3):
        raise InputError(f"{option} takes one number or three as in 64,96,96, not {text!r:.40}.")
    return numbers * 3 if len(numbers) == 1 else numbers
