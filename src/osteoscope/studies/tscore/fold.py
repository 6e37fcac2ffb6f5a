"""One fold of a split: a network fitted to its training subjects, asked about all others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError
from osteoscope.core.predictions import Predictions
from osteoscope.core.split import Fold
from osteoscope.core.who import WHO_CLASSES
from osteoscope.evaluation.calibrators import probabilities
from osteoscope.evaluation.metrics import plain_metrics
from osteoscope.io.crop_store import CropStore
from osteoscope.learning.augment import Augmentation
from osteoscope.learning.classification import Classification, logits_of_t_scores
from osteoscope.learning.fit import fit
from osteoscope.learning.heads import Head, TScoreHead, create_head
from osteoscope.learning.losses.class_weights import class_prior
from osteoscope.learning.losses.training_loss import training_loss
from osteoscope.learning.network import new_network
from osteoscope.learning.predict import predict
from osteoscope.learning.progress import FitResult, OnProgress
from osteoscope.learning.sampling import order
from osteoscope.learning.store_batches import StoreBatches
from osteoscope.studies.tscore.class_shares import learned_shares
from osteoscope.studies.tscore.train_config import TrainConfig

CLASSES = len(WHO_CLASSES)


@dataclass(frozen=True, eq=False)
class FoldRows:
    """Rows of a store by part, those of known class only.

    Args:
        train: (a,) rows that are learned from.
        validation: (b,) rows that choose.
        test: (c,) rows that nothing which chooses has seen; may be empty.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]

    @classmethod
    def of(cls, store: CropStore, fold: Fold) -> FoldRows:
        """The rows of a fold's subjects.

        Raises:
            InputError: A subject of the fold is not in the store, or the training or validation
                part has no row of known class.
        """
        subjects = store.column("subject_id")
        known = store.column("class_index") >= 0
        strangers = {*fold.train, *fold.validation, *fold.test} - set(subjects.tolist())
        if strangers:
            raise InputError(
                f"The split names {len(strangers)} subject(s) that the store lacks; make the "
                "split from this store (osteoscope tscore split)."
            )
        parts = [
            np.flatnonzero(known & np.isin(subjects, list(part)))
            for part in (fold.train, fold.validation, fold.test)
        ]
        if not len(parts[0]) or not len(parts[1]):
            raise InputError("A fold needs training and validation subjects of known class.")
        return cls(*parts)


@dataclass(frozen=True, eq=False)
class FoldOutcome:
    """What a fitted network says about the subjects that it was not fitted to.

    Args:
        rows: (n,) rows of the store: validation, then test.
        validation: (n,) whether a row is of the validation part.
        logits: (n, k) class logits.
        t_score_predicted: (n,); NaN where the head has none.
        prior: (k,) class shares of the training rows.
        learned_shares: (k,) class shares that the logits refer to.
        residual_sd: Of the head ``t-score``, fitted on validation; else None.
        best_epoch: Counted from 0.
        history: Every epoch, JSON-ready.
        weights: File of the chosen weights, relative to the run's folder.
    """

    rows: NDArray[np.int64]
    validation: NDArray[np.bool_]
    logits: NDArray[np.float64]
    t_score_predicted: NDArray[np.float64]
    prior: tuple[float, ...]
    learned_shares: tuple[float, ...]
    residual_sd: float | None
    best_epoch: int
    history: tuple[dict[str, Any], ...]
    weights: str


def train_fold(
    store: CropStore,
    rows: FoldRows,
    config: TrainConfig,
    folder: Path,
    *,
    on_progress: OnProgress | None = None,
) -> FoldOutcome:
    """Fit a network to the training rows; epoch chosen on the validation rows.

    Args:
        store: Crops and their table.
        rows: Which are for what.
        config: The training.
        folder: For checkpoint and weights; an interrupted fit in it is continued.
        on_progress: See :func:`osteoscope.learning.fit.fit`.

    Raises:
        OsteoscopeError: The network, its weights or the fit; see their modules.
    """
    head = create_head(config.model.head)
    counts = class_counts(store, rows.train)
    if counts.min() == 0:
        missing = ", ".join(name for name, n in zip(WHO_CLASSES, counts, strict=True) if n == 0)
        raise InputError(f"The training part has no subject of class {missing}.")
    model = new_network(
        config.model,
        in_channels=len(config.data.windows),
        outputs=head.outputs,
        image_shape=store.spec.shape,
        seed=config.fit.seed,
    )
    objective = classification(config, head, counts, store.spec.spacing_mm)
    train = batches_of(store, rows.train, config)
    validation = batches_of(store, rows.validation)
    result = fit(
        model,
        objective,
        train,
        validation,
        config.fit,
        optimiser=config.optimiser,
        folder=folder,
        on_progress=on_progress,
    )
    others = np.concatenate([rows.validation, rows.test])
    is_validation = np.arange(len(others)) < len(rows.validation)
    found = predict(model, objective, batches_of(store, others), config.fit)
    prior = tuple(class_prior(counts.tolist()).tolist())
    return _outcome(head, found, (others, is_validation), prior, config, result)


def classification(
    config: TrainConfig,
    head: Head,
    counts: NDArray[np.int64],
    spacing_mm: tuple[float, float, float],
) -> Classification:
    """The objective of a configuration.

    Args:
        config: The training.
        head: Its head.
        counts: (k,) training rows of each class.
        spacing_mm: Of the crops.
    """
    parts = [asdict(part) for part in (config.data, config.loss, config.augment)]
    state = json.dumps([*parts, config.model.head, counts.tolist(), spacing_mm], sort_keys=True)
    return Classification(
        head=head,
        loss_of=training_loss(config.loss, head, counts.tolist()),
        windows=config.data.windows,
        augmentation=Augmentation(
            config.augment, spacing_mm, config.data.windows, tuple(counts.tolist())
        ),
        scorer=validation_metrics,
        digest=hashlib.sha256(state.encode()).hexdigest(),
    )


def validation_metrics(outputs: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    """What the epoch is chosen by: ``auc`` is the macro one-vs-rest AUC.

    Args:
        outputs: ``class_logits`` (n, k), ``class_index`` (n,), ``t_score`` (n,) and, with some
            heads, ``t_score_predicted`` (n,).
    """
    truth = outputs["class_index"]
    predicted = outputs.get("t_score_predicted", np.full(len(truth), np.nan))
    rows = Predictions(
        subject_id=np.arange(len(truth)).astype(np.str_),
        truth=truth,
        probabilities=probabilities(outputs["class_logits"]),
        classes=WHO_CLASSES,
        t_score=outputs["t_score"],
        t_score_predicted=predicted,
    )
    found = plain_metrics(rows)
    return {"auc": found.pop("macro_auc"), **found}


def batches_of(
    store: CropStore, rows: NDArray[np.int64], config: TrainConfig | None = None
) -> StoreBatches:
    """Rows of a store as batches: in the order of training, or as they are."""
    classes = store.column("class_index")[rows].astype(np.int64)
    ordering = None
    if config is not None:
        kind = config.data.sampling

        def ordering(epoch: int, seed: int) -> NDArray[np.int64]:
            return order(classes, epoch, seed, kind)

    return StoreBatches(
        store_digest=store.digest,
        crops=store.crops,
        rows=rows,
        class_index=classes,
        t_score=store.column("t_score")[rows].astype(np.float32),
        ordering=ordering,
    )


def class_counts(store: CropStore, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """(k,) rows of each class."""
    return np.bincount(store.column("class_index")[rows], minlength=CLASSES).astype(np.int64)


def _outcome(
    head: Head,
    found: Mapping[str, NDArray[Any]],
    rows: tuple[NDArray[np.int64], NDArray[np.bool_]],
    prior: tuple[float, ...],
    config: TrainConfig,
    result: FitResult,
) -> FoldOutcome:
    others, validation = rows
    logits = found["class_logits"].astype(np.float64)
    predicted = found.get("t_score_predicted", np.full(len(others), np.nan)).astype(np.float64)
    residual_sd = None
    learned = learned_shares(config.loss.name, config.loss.tau, config.data.sampling, prior)
    if isinstance(head, TScoreHead):
        head = head.fitted(predicted[validation], found["t_score"][validation])
        residual_sd = head.residual_sd
        logits = logits_of_t_scores(head, predicted)
        # It learns T-scores: no class loss bears on it, the sampling does.
        learned = learned_shares("cross_entropy", 0.0, config.data.sampling, prior)
    return FoldOutcome(
        rows=others,
        validation=validation,
        logits=logits,
        t_score_predicted=predicted,
        prior=prior,
        learned_shares=learned,
        residual_sd=residual_sd,
        best_epoch=result.best_epoch,
        history=tuple(
            {**asdict(replace(record, metrics={})), "metrics": dict(record.metrics)}
            for record in result.history
        ),
        weights=result.weights.name,
    )
