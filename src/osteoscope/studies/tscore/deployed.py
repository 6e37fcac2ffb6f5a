"""What an exported file says about itself, measured on the file: answer, guard and metrics."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.model_spec import Adjustment, Conformal, ModelSpec
from osteoscope.core.predictions import Predictions
from osteoscope.core.who import WHO_CLASSES
from osteoscope.evaluation.conformal import prediction_sets
from osteoscope.evaluation.evaluate import evaluate
from osteoscope.evaluation.proportion import wilson_interval
from osteoscope.features.windows import apply_windows
from osteoscope.inference.guard import GuardSample, fit_guard, statistics_rows
from osteoscope.inference.session import EMBEDDING, LOGITS, T_SCORE, DeployedModel
from osteoscope.io.crop_store import CropStore
from osteoscope.studies.tscore.answer import Answer
from osteoscope.studies.tscore.fold import FoldOutcome, FoldRows
from osteoscope.studies.tscore.fold_answer import fold_answer, fold_predictions
from osteoscope.studies.tscore.train_config import TrainConfig

MIN_GUARD = 20
"""Crops on either side below which no guard can be fitted."""


@dataclass(frozen=True, eq=False)
class FileAnswers:
    """What a file gives for the rows of a store.

    Args:
        logits: (n, k).
        embeddings: (n, f).
        t_scores: (n,); NaN where the file gives none.
    """

    logits: NDArray[np.float64]
    embeddings: NDArray[np.float64]
    t_scores: NDArray[np.float64]


def ask(model: DeployedModel, store: CropStore, rows: NDArray[np.int64]) -> FileAnswers:
    """Run a file on rows of a store, one crop at a time as a screen does."""
    found = [model.run(apply_windows(store.crops[[row]], model.spec.windows)) for row in rows]
    missing = np.array([np.nan])
    return FileAnswers(
        np.concatenate([f[LOGITS] for f in found]).astype(np.float64),
        np.concatenate([f[EMBEDDING] for f in found]).astype(np.float64),
        np.concatenate([f.get(T_SCORE, missing) for f in found]).astype(np.float64),
    )


def measured_spec(
    model: DeployedModel,
    store: CropStore,
    rows: FoldRows,
    config: TrainConfig,
    trained: FoldOutcome,
    *,
    pass_rate: float,
) -> ModelSpec:
    """The file's description with temperature, sets, guard and metrics of the file itself.

    Rounding weights to 16 or 8 bits changes all of them.

    Args:
        model: The file as it was written.
        store: The store that it was trained on.
        rows: Of the fold that it was trained in.
        config: Of the training.
        trained: What the fold's network said; for its class shares.
        pass_rate: Share of its own kind that the guard lets pass.
    """
    others = np.concatenate([rows.validation, rows.test])
    answers = ask(model, store, others)
    outcome = replace(
        trained,
        rows=others,
        validation=np.arange(len(others)) < len(rows.validation),
        logits=answers.logits,
        t_score_predicted=answers.t_scores,
    )
    answer = fold_answer(store, outcome, config.answer)
    spec = replace(
        model.spec,
        adjust=Adjustment(answer.reading, answer.tau),
        temperature=answer.temperature,
        conformal=Conformal(answer.coverage, answer.sets, answer.thresholds),
        refers_to=answer.refers_to,
        metrics=_metrics(store, outcome, answer) if len(rows.test) else {},
        test_simulated=bool(store.column("simulated")[rows.test].any()) if len(rows.test) else None,
    )
    # The guard's limits count patients: the first crop of each, as for the sets.
    subjects = store.column("subject_id")[rows.validation]
    first = np.sort(np.unique(subjects, return_index=True)[1])
    if min(len(rows.train), len(first)) < MIN_GUARD:
        return spec
    reference = _sample(store, rows.train, ask(model, store, rows.train).embeddings)
    known = _sample(store, rows.validation[first], answers.embeddings[first])
    return replace(spec, guard=fit_guard(reference, known, quantile=pass_rate))


def training_words(store: CropStore, rows: FoldRows, config: TrainConfig) -> tuple[str, bool]:
    """A sentence or two for reports, and whether only simulated subjects chose and trained."""
    simulated = store.column("simulated")[np.concatenate([rows.train, rows.validation])]
    train = rows.train
    counts = np.bincount(store.column("class_index")[train], minlength=len(WHO_CLASSES))
    numbers = ", ".join(f"{n} {name}" for name, n in zip(WHO_CLASSES, counts, strict=True))
    subjects = len(np.unique(store.column("subject_id")[train]))
    who = "subjects"
    if simulated.all():
        who = "simulated subjects only"
    elif simulated.any():
        who = f"subjects, {int(simulated.sum())} of {len(simulated)} crops simulated"
    return (
        f"{config.model.name}, trained on {subjects} {who} ({numbers}) with the loss "
        f"{config.loss.name}; {len(rows.validation)} other crops chose epoch, temperature and "
        "sets.",
        bool(simulated.all()),
    )


def _sample(
    store: CropStore, rows: NDArray[np.int64], embeddings: NDArray[np.float64]
) -> GuardSample:
    return GuardSample(statistics_rows([store.crops[row] for row in rows], store.spec), embeddings)


def _metrics(
    store: CropStore, outcome: FoldOutcome, answer: Answer
) -> dict[str, tuple[float, float, float, int]]:
    """Estimates on the test rows, with the coverage and the mean size of the sets."""
    predictions = fold_predictions(store, outcome, answer, 0)
    test = predictions.select(predictions.part == "test")
    found = {
        name: (e.value, e.low, e.high, e.n)
        for name, e in evaluate(test).items()
        if all(math.isfinite(v) for v in (e.value, e.low, e.high))
    }
    return found | _set_metrics(test, answer)


def _set_metrics(test: Predictions, answer: Answer) -> dict[str, tuple[float, float, float, int]]:
    inside = prediction_sets(test.probabilities, answer.thresholds, answer.sets)
    held = float(inside[np.arange(len(test)), test.truth].mean())
    low, high = wilson_interval(held, test.n_subjects)
    sizes = inside.sum(axis=1)
    half = 1.96 * float(sizes.std()) / math.sqrt(len(sizes))
    size = float(sizes.mean())
    return {
        "coverage": (held, float(low), float(high), len(test)),
        "mean_set_size": (size, size - half, size + half, len(test)),
    }
