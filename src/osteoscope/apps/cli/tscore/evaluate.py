"""``osteoscope tscore evaluate``: a run beside its baselines and beside other runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from osteoscope.apps.cli import progress
from osteoscope.apps.cli.metric_sentences import metric_numbers, metric_sentences


def evaluate(
    run: Annotated[Path, typer.Argument(help="Run folder from osteoscope tscore train.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for the results; default: the run's.")
    ] = None,
    against: Annotated[
        list[Path] | None, typer.Option("--against", help="Another run of the same subjects.")
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option("--group", help="Subgroups by: sex, site, level.")
    ] = None,
    draws: Annotated[int, typer.Option(min=100, help="Draws of the bootstrap.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the metrics as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Evaluate a run on its test subjects, beside the baselines that need no network.

    Needs no torch. For a table of anybody's predictions: osteoscope evaluate.
    """
    from osteoscope.evaluation.complete import EvaluationConfig
    from osteoscope.studies.tscore.evaluate import evaluate_run

    config = EvaluationConfig(groups=tuple(group or ()), draws=draws, seed=seed)
    with progress.stages(quiet) as tell:
        complete = evaluate_run(run, config, out=out, against=tuple(against or ()), on_stage=tell)
    if as_json:
        print(json.dumps({"metrics": metric_numbers(complete)}))
    else:
        print("\n".join(metric_sentences(complete)))
        print(f"Report: {(out or run) / 'report.html'}")
