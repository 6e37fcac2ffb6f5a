"""``osteoscope tscore tables``: the paper's tables and figures on a cohort of one's own."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from osteoscope.apps.cli import exit_codes, progress
from osteoscope.apps.cli.tscore.extra import need_train


def tables(
    stores: Annotated[
        list[Path],
        typer.Argument(
            help="Store; a second one of Table III's second segmenter, of the same patients."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for tables, figures and runs.")],
    table: Annotated[
        list[int] | None, typer.Option("--table", "-t", help="2 to 6, as often as needed.")
    ] = None,
    figure: Annotated[
        list[int] | None, typer.Option("--figure", "-f", help="4 or 6, as often as needed.")
    ] = None,
    cost: Annotated[
        bool, typer.Option("--cost", help="Parameters, MACs, time and memory of each backbone.")
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option(help="Rows by label, as file patterns: 'resnet18*'.")
    ] = None,
    cost_only: Annotated[
        list[str] | None,
        typer.Option(help="Networks of --cost by name, as file patterns: 'resnet1*'; default all."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="section.key=value, laid over every row: fit.epochs=20."),
    ] = None,
    split: Annotated[
        Path | None,
        typer.Option(
            "--split",
            help="From osteoscope tscore split, of subjects in every store; default: the paper's "
            "split (seed 0) of those who are.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Trainings at a time.")] = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="Dask scheduler or queueing system; see the how-to.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was written as JSON.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Train the rows of the paper's tables and set ours beside the published numbers.

    Written as Markdown, CSV and LaTeX. A training that is done is not repeated; one that was
    stopped goes on when the same command is given again.
    """
    need_train()
    from osteoscope.apps.mapping import map_items
    from osteoscope.studies.tscore.table_files import Wanted, write_tables

    wanted = Wanted(
        tuple(table or ()), tuple(figure or ()), cost, tuple(only or ()), tuple(cost_only or ())
    )
    mapper = partial(map_items, workers=workers, scheduler=scheduler)
    with progress.items("Tables", None, quiet) as advance:

        def on_done(name: str, error: str | None) -> None:
            if advance is not None:
                advance(name if error is None else f"{name}: failed: {error}")

        written = write_tables(
            wanted,
            stores,
            out,
            split=split,
            settings=tuple(settings or ()),
            mapper=mapper,
            on_done=on_done,
        )
    if as_json:
        print(json.dumps({"files": [str(p) for p in written.files], "failed": written.failed}))
    else:
        for path in written.files:
            print(path)
    if written.failed:
        raise typer.Exit(exit_codes.SOME_FAILED)
