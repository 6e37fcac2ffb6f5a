"""Evaluate predictions and write what was found: for machines, for spreadsheets, for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from osteoscope.core.errors import InputError
from osteoscope.core.predictions import Predictions
from osteoscope.evaluation.complete import (
    CompleteEvaluation,
    EvaluationConfig,
    evaluate_completely,
)
from osteoscope.io.csv_table import write_csv
from osteoscope.reporting.evaluation_json import difference_rows, evaluation_json, metric_rows
from osteoscope.reporting.evaluation_page import evaluation_html
from osteoscope.reporting.templating import write_whole


def evaluate_predictions(
    predictions: Predictions,
    out: Path,
    config: EvaluationConfig | None = None,
    *,
    against: Mapping[str, Predictions] | None = None,
    sources: Mapping[str, str] | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> CompleteEvaluation:
    """Evaluate and write ``metrics.json``, ``metrics.csv`` and ``report.html`` into a folder.

    Where there are rivals, ``comparisons.csv`` too. Nothing is written before all is computed.

    Args:
        predictions: The ``test`` part is evaluated, the ``validation`` part fits conformal sets.
        out: Folder; made if missing.
        config: How; the defaults if not given.
        against: Other models' predictions of the same subjects, by a name to call them by.
        sources: Digest of each table that went in, by what it is; written as given.
        on_stage: Called with the name of each stage before it begins.

    Returns:
        What was found.

    Raises:
        InputError: A class or column does not exist, a rival is about other subjects, or the
            folder cannot be written to.
    """
    complete = evaluate_completely(predictions, config, against=against, on_stage=on_stage)
    if on_stage is not None:
        on_stage("writing")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"The folder {out.name} cannot be made ({error.strerror}); choose another with --out."
        ) from None
    content = json.dumps(evaluation_json(complete, sources or {}), indent=1, allow_nan=False)
    write_whole(out / "metrics.json", content + "\n")
    write_csv(out / "metrics.csv", metric_rows(complete))
    if complete.comparisons:
        write_csv(out / "comparisons.csv", difference_rows(complete))
    write_whole(out / "report.html", evaluation_html(complete, sources or {}))
    return complete
