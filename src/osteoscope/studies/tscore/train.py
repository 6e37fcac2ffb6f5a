"""A whole training: every fold of a split, into a run folder that is whole or resumes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.config_file import config_as_toml
from osteoscope.core.predictions import Predictions
from osteoscope.core.split import Split
from osteoscope.core.who import WHO_CLASSES
from osteoscope.io.crop_store import CropStore
from osteoscope.io.predictions_table import write_predictions
from osteoscope.learning.devices import is_first_process
from osteoscope.learning.progress import FitProgress
from osteoscope.studies.tscore.answer import Answer, choose_answer
from osteoscope.studies.tscore.baselines import BASELINES, fit_baseline
from osteoscope.studies.tscore.fold import FoldOutcome, FoldRows, train_fold
from osteoscope.studies.tscore.run_folder import finish_run, run_record, working_folder
from osteoscope.studies.tscore.run_names import BASELINES_FOLDER, PREDICTIONS_NAME, RUN_NAME
from osteoscope.studies.tscore.train_config import TrainConfig

OnFold = Callable[[int, int, FitProgress], None]
"""(fold from 0, number of folds, where its fit stands)."""
GROUP_COLUMNS = ("level", "sex", "site")


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
    on_progress: OnFold | None = None,
) -> Trained:
    """Train on every fold and write the run folder.

    The work stands in a hidden folder beside ``out`` until it is done; a run that was killed goes
    on there, at the step that its last checkpoint holds. Each fold's epoch, tau, temperature and
    sets are chosen on its validation subjects; its test subjects are predicted afterwards.

    Args:
        store: Crops and their table.
        split: Who learns, chooses and tests, made from this store.
        config: The training.
        out: Run folder to make; an older run in it is replaced in one step.
        on_progress: Told where the fit stands.

    Raises:
        OsteoscopeError: Split, store, network or settings do not fit; an unfinished run of other
            settings lies beside ``out``.
    """
    started = time.perf_counter()
    first = is_first_process(config.fit)
    work = working_folder(out, config, store.digest, split, write=first)
    outcomes: list[FoldOutcome] = []
    for number, fold in enumerate(split.folds):
        rows = FoldRows.of(store, fold)

        def tell(progress: FitProgress, number: int = number) -> None:
            if on_progress is not None:
                on_progress(number, len(split.folds), progress)

        outcomes.append(train_fold(store, rows, config, work / f"fold_{number}", on_progress=tell))
    answers = [_answer(store, config, outcome) for outcome in outcomes]
    predictions = joined(
        [
            predictions_of(store, outcome, answer, number)
            for number, (outcome, answer) in enumerate(zip(outcomes, answers, strict=True))
        ]
    )
    if first:
        write_predictions(work / PREDICTIONS_NAME, predictions)
        for number, (outcome, answer) in enumerate(zip(outcomes, answers, strict=True)):
            _write_fold(work / f"fold_{number}", outcome, answer)
        _write_baselines(work / BASELINES_FOLDER, store, split, config)
        (work / "config.toml").write_text(config_as_toml(config), encoding="utf-8")
        (work / "split.json").write_text(split.to_json(), encoding="utf-8")
        record = run_record(store, split, config, time.perf_counter() - started)
        (work / RUN_NAME).write_text(json.dumps(record, indent=1), encoding="utf-8")
        finish_run(work, out)
    return Trained(out, predictions, tuple(answers))


def predictions_of(
    store: CropStore, outcome: FoldOutcome, answer: Answer, fold: int
) -> Predictions:
    """Probabilities of a fold's validation and test rows."""
    return _predictions(
        store,
        outcome.rows,
        outcome.validation,
        answer.probabilities(outcome.logits),
        outcome.t_score_predicted,
        fold,
    )


def joined(parts: list[Predictions]) -> Predictions:
    """The rows of several folds, one after the other."""
    first = parts[0]

    def column(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts])

    return Predictions(
        subject_id=column("subject_id"),
        truth=column("truth"),
        probabilities=column("probabilities"),
        classes=first.classes,
        fold=column("fold"),
        part=column("part"),
        t_score=column("t_score"),
        t_score_predicted=column("t_score_predicted"),
        groups={
            name: np.concatenate([part.groups[name] for part in parts]) for name in first.groups
        },
        simulated=any(part.simulated for part in parts),
    )


def _answer(store: CropStore, config: TrainConfig, outcome: FoldOutcome) -> Answer:
    chosen = outcome.validation
    rows = outcome.rows[chosen]
    return choose_answer(
        config.answer,
        outcome.logits[chosen],
        store.column("class_index")[rows].astype(np.int64),
        store.column("subject_id")[rows],
        outcome.prior,
    )


def _predictions(
    store: CropStore,
    rows: NDArray[np.int64],
    validation: NDArray[np.bool_],
    probabilities: NDArray[np.float64],
    t_score_predicted: NDArray[np.float64],
    fold: int,
) -> Predictions:
    return Predictions(
        subject_id=store.column("subject_id")[rows],
        truth=store.column("class_index")[rows],
        probabilities=probabilities,
        classes=WHO_CLASSES,
        fold=np.full(len(rows), fold),
        part=np.where(validation, "validation", "test"),
        t_score=store.column("t_score")[rows],
        t_score_predicted=t_score_predicted,
        groups={name: store.column(name)[rows] for name in GROUP_COLUMNS},
        simulated=store.simulated,
    )


def _write_fold(folder: Path, outcome: FoldOutcome, answer: Answer) -> None:
    """``fold.json`` and ``logits.npz`` of a fold, from which any other answer can be made."""
    summary = {
        "best_epoch": outcome.best_epoch,
        "weights": outcome.weights,
        "prior": list(outcome.prior),
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


def _write_baselines(folder: Path, store: CropStore, split: Split, config: TrainConfig) -> None:
    """Predictions of each baseline that this store has the variables for."""
    folder.mkdir(exist_ok=True)
    for name in BASELINES:
        parts = []
        for number, fold in enumerate(split.folds):
            rows = FoldRows.of(store, fold)
            part = _baseline_part(name, store, rows, config, number)
            if part is None:
                break
            parts.append(part)
        if len(parts) == len(split.folds):
            slug = name.lower().replace(",", "").replace(" ", "-")
            write_predictions(folder / f"{slug}.parquet", joined(parts))


def _baseline_part(
    name: str, store: CropStore, rows: FoldRows, config: TrainConfig, fold: int
) -> Predictions | None:
    """A baseline fitted to a fold's training rows, its answer chosen as the network's is."""
    classes = store.column("class_index").astype(np.int64)
    fitted = fit_baseline(
        name, _columns(store.table, rows.train), classes[rows.train], len(WHO_CLASSES)
    )
    if fitted is None:
        return None
    others = np.concatenate([rows.validation, rows.test])
    validation = np.arange(len(others)) < len(rows.validation)
    logits = fitted.logits(_columns(store.table, others))
    known = np.isfinite(logits).all(axis=1)
    others, validation, logits = others[known], validation[known], logits[known]
    if not validation.any() or (len(rows.test) and validation.all()):
        return None
    even = tuple([1.0 / len(WHO_CLASSES)] * len(WHO_CLASSES))
    answer = choose_answer(
        config.answer,
        logits[validation],
        classes[others[validation]],
        store.column("subject_id")[others[validation]],
        even,
    )
    return _predictions(
        store,
        others,
        validation,
        answer.probabilities(logits),
        np.full(len(others), np.nan),
        fold,
    )


def _columns(table: Mapping[str, NDArray[Any]], rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    return {name: column[rows] for name, column in table.items()}
