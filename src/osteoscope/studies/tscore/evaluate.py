"""How good a run is, beside the baselines that need no network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from osteoscope.core.errors import InputError
from osteoscope.core.predictions import Predictions
from osteoscope.core.provenance import file_digest
from osteoscope.evaluation.complete import CompleteEvaluation, EvaluationConfig
from osteoscope.io.predictions_table import read_predictions
from osteoscope.reporting.evaluation_files import evaluate_predictions
from osteoscope.studies.tscore.run_names import BASELINES_FOLDER, PREDICTIONS_NAME, RUN_NAME


def evaluate_run(
    run: Path,
    config: EvaluationConfig | None = None,
    *,
    out: Path | None = None,
    against: tuple[Path, ...] = (),
    on_stage: Callable[[str], None] | None = None,
) -> CompleteEvaluation:
    """Write ``metrics.json``, ``metrics.csv``, ``comparisons.csv`` and ``report.html`` of a run.

    Compared are the run's own baselines, on the subjects that have their variables, and other
    runs. No torch is needed.

    Args:
        run: A finished run folder.
        config: How to evaluate; the defaults if not given.
        out: Folder for the results; the run's own if not given.
        against: Further runs of the same subjects.
        on_stage: Told the name of each stage.

    Raises:
        InputError: A folder is no finished run, or the subjects differ.
    """
    rivals: dict[str, Path] = {
        path.stem.replace("-", " "): path
        for path in sorted((run / BASELINES_FOLDER).glob("*.parquet"))
    }
    rivals |= {f"run {folder.name}": folder / PREDICTIONS_NAME for folder in against}
    for folder in (run, *against):
        _check_run(folder)
    return evaluate_predictions(
        run_predictions(run),
        out or run,
        config,
        against={name: read_predictions(path) for name, path in rivals.items()},
        sources={
            name: file_digest(path)
            for name, path in {"predictions": run / PREDICTIONS_NAME, **rivals}.items()
        },
        on_stage=on_stage,
    )


def run_predictions(run: Path) -> Predictions:
    """The predictions of a finished run.

    Raises:
        InputError: The folder is no finished run.
    """
    _check_run(run)
    return read_predictions(run / PREDICTIONS_NAME)


def _check_run(run: Path) -> None:
    if not (run / RUN_NAME).is_file() or not (run / PREDICTIONS_NAME).is_file():
        raise InputError(
            f"The folder {run.name!r} is no finished run; make one with osteoscope tscore train."
        )
