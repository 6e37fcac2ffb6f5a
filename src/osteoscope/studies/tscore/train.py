"""A whole training: every fold of a split, into a run folder that is whole or resumes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from osteoscope.core.config_file import config_as_toml
from osteoscope.core.predictions import Predictions
from osteoscope.core.split import Split
from osteoscope.io.crop_store import CropStore
from osteoscope.io.predictions_table import write_predictions
from osteoscope.learning.devices import is_first_process
from osteoscope.learning.progress import FitProgress
from osteoscope.studies.tscore.answer import Answer
from osteoscope.studies.tscore.baselines import BASELINES
from osteoscope.studies.tscore.fold import FoldOutcome, FoldRows, train_fold
from osteoscope.studies.tscore.fold_answer import (
    baseline_answer,
    baseline_outcome,
    fold_answer,
    fold_predictions,
    joined,
)
from osteoscope.studies.tscore.run_folder import check_out, finish_run, run_record, working_folder
from osteoscope.studies.tscore.run_names import BASELINES_FOLDER, PREDICTIONS_NAME, RUN_NAME
from osteoscope.studies.tscore.train_config import TrainConfig

OnFold = Callable[[int, int, FitProgress], None]
"""(fold from 0, number of folds, where its fit stands)."""


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training left behind.

    Args:
        folder: The run folder.
        predictions: Validation and test rows of every fold.
        answers: How each fold's logits became probabilities.
    """

    folder: Path
    predictions: Predictions
    answers: tuple[Answer, ...]


def train_run(
    store: CropStore,
    split: Split,
    config: TrainConfig,
    out: Path,
    *,
    replace: bool = False,
    on_progress: OnFold | None = None,
) -> Trained:
    """Train on every fold and write the run folder.

    The work stands in a hidden folder beside ``out`` until it is done; a run that was killed goes
    on there, at the step that its last checkpoint holds. Each fold's epoch, tau, temperature and
    sets are chosen on its validation subjects; its test subjects are predicted afterwards. The
    inner folds of a nested split are for choosing among settings and are not trained on here.

    Args:
        store: Crops and their table.
        split: Who learns, chooses and tests, made from this store.
        config: The training.
        out: Run folder to make.
        replace: Put the run in the place of a finished one, in one step.
        on_progress: Told where the fit stands.

    Raises:
        OsteoscopeError: Split, store, network or settings do not fit; ``out`` holds something; an
            unfinished run of other settings lies beside it.
    """
    started = time.perf_counter()
    first = is_first_process(config.fit)
    check_out(out, replace=replace)
    rows = [FoldRows.of(store, fold) for fold in split.folds]
    work = working_folder(out, config, store.digest, split, write=first)
    outcomes = []
    for number, part in enumerate(rows):

        def tell(progress: FitProgress, number: int = number) -> None:
            if on_progress is not None:
                on_progress(number, len(rows), progress)

        outcomes.append(train_fold(store, part, config, work / f"fold_{number}", on_progress=tell))
    answers = [fold_answer(store, outcome, config.answer) for outcome in outcomes]
    predictions = joined(
        [
            fold_predictions(store, outcome, answer, number)
            for number, (outcome, answer) in enumerate(zip(outcomes, answers, strict=True))
        ]
    )
    if first:
        write_predictions(work / PREDICTIONS_NAME, predictions)
        for number, (outcome, answer) in enumerate(zip(outcomes, answers, strict=True)):
            _write_fold(work / f"fold_{number}", outcome, answer)
        _write_baselines(work / BASELINES_FOLDER, store, rows, config, answers)
        (work / "config.toml").write_text(config_as_toml(config), encoding="utf-8")
        (work / "split.json").write_text(split.to_json(), encoding="utf-8")
        record = run_record(store, split, config, time.perf_counter() - started)
        (work / RUN_NAME).write_text(json.dumps(record, indent=1), encoding="utf-8")
        finish_run(work, out)
    return Trained(out, predictions, tuple(answers))


def _write_fold(folder: Path, outcome: FoldOutcome, answer: Answer) -> None:
    """``fold.json`` and ``logits.npz`` of a fold, from which any other answer can be made."""
    summary = {
        "best_epoch": outcome.best_epoch,
        "weights": outcome.weights,
        "prior": list(outcome.prior),
        "learned_shares": list(outcome.learned_shares),
        "residual_sd": outcome.residual_sd,
        "answer": asdict(answer),
        "history": list(outcome.history),
    }
    (folder / "fold.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")
    np.savez(
        folder / "logits.npz",
        rows=outcome.rows,
        validation=outcome.validation,
        logits=outcome.logits,
        t_score_predicted=outcome.t_score_predicted,
    )


def _write_baselines(
    folder: Path,
    store: CropStore,
    rows: list[FoldRows],
    config: TrainConfig,
    answers: list[Answer],
) -> None:
    """Predictions of each baseline that this store has the variables for, in every fold."""
    folder.mkdir(exist_ok=True)
    chosen = baseline_answer(config.answer)
    for name in BASELINES:
        parts = []
        for number, (part, network) in enumerate(zip(rows, answers, strict=True)):
            outcome = baseline_outcome(name, store, part, network)
            if outcome is None:
                break
            answer = fold_answer(store, outcome, chosen)
            parts.append(fold_predictions(store, outcome, answer, number))
        if len(parts) == len(rows):
            slug = name.lower().replace(",", "").replace(" ", "-")
            write_predictions(folder / f"{slug}.parquet", joined(parts))
