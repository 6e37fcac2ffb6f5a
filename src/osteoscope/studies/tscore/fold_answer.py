"""A fold's answer, and the predictions that follow from it: network and baselines alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.predictions import Predictions
from osteoscope.core.who import WHO_CLASSES
from osteoscope.io.crop_store import CropStore
from osteoscope.studies.tscore.answer import Answer, AnswerConfig, ValidationRows, choose_answer
from osteoscope.studies.tscore.baselines import fit_baseline
from osteoscope.studies.tscore.class_shares import moved_logits
from osteoscope.studies.tscore.fold import FoldOutcome, FoldRows

GROUP_COLUMNS = ("level", "sex", "site")


def fold_answer(store: CropStore, outcome: FoldOutcome, config: AnswerConfig) -> Answer:
    """The answer that a fold's validation rows choose.

    Raises:
        InputError: The fold has no validation rows.
    """
    chosen = outcome.rows[outcome.validation]
    rows = ValidationRows(
        outcome.logits[outcome.validation],
        store.column("class_index")[chosen].astype(np.int64),
        store.column("subject_id")[chosen],
    )
    return choose_answer(config, rows, outcome.prior, outcome.learned_shares)


def fold_predictions(
    store: CropStore, outcome: FoldOutcome, answer: Answer, fold: int
) -> Predictions:
    """Probabilities of a fold's validation and test rows."""
    rows = outcome.rows
    return Predictions(
        subject_id=store.column("subject_id")[rows],
        truth=store.column("class_index")[rows],
        probabilities=answer.probabilities(outcome.logits),
        classes=WHO_CLASSES,
        fold=np.full(len(rows), fold),
        part=np.where(outcome.validation, "validation", "test"),
        t_score=store.column("t_score")[rows],
        t_score_predicted=outcome.t_score_predicted,
        groups={name: store.column(name)[rows] for name in GROUP_COLUMNS},
        simulated=bool(store.column("simulated")[rows].any()),
    )


def baseline_outcome(
    name: str, store: CropStore, rows: FoldRows, network: Answer
) -> FoldOutcome | None:
    """A baseline fitted to a fold's training rows, its logits referring to the network's shares.

    So the same evidence gets the same probabilities whichever recipe the network was trained by,
    and no difference between them is one of class shares. Where the network's shares are not known
    the baseline's are even.

    Args:
        name: Of :data:`osteoscope.studies.tscore.baselines.BASELINES`.
        store: With the variables.
        rows: Of the fold.
        network: The network's answer.

    Returns:
        None where the baseline cannot be fitted or judged on these rows.
    """
    classes = store.column("class_index").astype(np.int64)
    table = {key: column[rows.train] for key, column in store.table.items()}
    fitted = fit_baseline(name, table, classes[rows.train], len(WHO_CLASSES))
    if fitted is None:
        return None
    others = np.concatenate([rows.validation, rows.test])
    validation = np.arange(len(others)) < len(rows.validation)
    logits = fitted.logits({key: column[others] for key, column in store.table.items()})
    known = np.isfinite(logits).all(axis=1)
    others, validation, logits = others[known], validation[known], logits[known]
    if not validation.any() or (len(rows.test) and validation.all()):
        return None
    even = (1.0 / len(WHO_CLASSES),) * len(WHO_CLASSES)
    shares = network.refers_to or even
    return FoldOutcome(
        rows=others,
        validation=validation,
        logits=moved_logits(logits, fitted.shares, shares),
        t_score_predicted=np.full(len(others), np.nan),
        prior=network.prior,
        learned_shares=shares,
        residual_sd=None,
        best_epoch=0,
        history=(),
        weights="",
    )


def baseline_answer(config: AnswerConfig) -> AnswerConfig:
    """The network's configuration without an adjustment: a baseline's shares are moved instead."""
    return replace(config, reading="subtract", tau=0.0)


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
