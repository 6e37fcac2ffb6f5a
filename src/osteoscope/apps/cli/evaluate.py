"""``osteoscope evaluate``: how good anybody's predictions are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from osteoscope.apps.cli import progress
from osteoscope.apps.cli.metric_sentences import metric_numbers, metric_sentences


def evaluate(
    predictions: Annotated[
        Path,
        typer.Argument(
            metavar="PREDICTIONS",
            help="CSV, XLSX or Parquet with subject_id, truth and a column p_<class> a class.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")],
    against: Annotated[
        list[Path] | None,
        typer.Option(
            "--against",
            help="Another model's table of the same subjects, to compare with; may be repeated.",
        ),
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option("--group", help="A column to form subgroups by; may be repeated."),
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option("--positive", help="The class that decisions are about [default: the last]."),
    ] = None,
    draws: Annotated[int, typer.Option(min=100, help="Draws of the bootstrap.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same numbers.")] = 0,
    coverage: Annotated[
        float, typer.Option(help="That conformal sets are asked for, between 0 and 1.")
    ] = 0.9,
    as_json: Annotated[bool, typer.Option("--json", help="Only JSON on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Evaluate a table of predictions: every metric with its interval, curves, comparisons.

    Writes metrics.json, metrics.csv and report.html, and comparisons.csv where --against is
    given. Rows whose column part is "test" are evaluated, rows of "validation" fit the conformal
    sets; without that column all rows are test rows.
    """
    from osteoscope.core.provenance import file_digest
    from osteoscope.evaluation.complete import EvaluationConfig
    from osteoscope.io.predictions_table import read_predictions
    from osteoscope.reporting.evaluation_files import evaluate_predictions

    config = EvaluationConfig(tuple(group or ()), positive, draws, seed, coverage)
    with progress.stages(quiet) as on_stage:
        rows = read_predictions(predictions)
        rivals = _named(against or [])
        complete = evaluate_predictions(
            rows,
            out,
            config,
            against={name: read_predictions(path) for name, path in rivals.items()},
            sources={
                name: file_digest(path)
                for name, path in {predictions.name: predictions, **rivals}.items()
            },
            on_stage=on_stage,
        )
    if as_json:
        print(json.dumps({"out": str(out), "metrics": metric_numbers(complete)}))
        return
    for sentence in metric_sentences(complete):
        print(sentence)
    print(f"Report: {out / 'report.html'}")


def _named(paths: list[Path]) -> dict[str, Path]:
    """Each path under its file's name, or as it was given where two would be alike."""
    names = [path.stem for path in paths]
    return {path.stem if names.count(path.stem) == 1 else str(path): path for path in paths}
