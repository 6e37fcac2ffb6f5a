"""A finished run's predictions with another answer: tau, temperature and sets anew, no training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from osteoscope.core.errors import InputError
from osteoscope.core.predictions import Predictions
from osteoscope.io.crop_store import CropStore
from osteoscope.studies.tscore.answer import AnswerConfig, choose_answer
from osteoscope.studies.tscore.fold import FoldOutcome
from osteoscope.studies.tscore.train import joined, predictions_of


def answered_predictions(run: Path, store: Path, config: AnswerConfig) -> Predictions:
    """Predictions of a run's validation and test rows under an answer's configuration.

    Args:
        run: A finished run folder.
        store: The store that it was trained on.
        config: What to choose on validation rows.

    Raises:
        InputError: The run is damaged, or of another store.
    """
    crops = CropStore.open(store, verify=False)
    record = read_json(run / "run.json")
    if record.get("store_digest") != crops.digest:
        raise InputError(
            f"The run {run.name!r} was trained on another store; give the one that it was made of."
        )
    parts = []
    for number in range(int(record["folds"])):
        outcome = read_fold(run / f"fold_{number}")
        chosen = outcome.rows[outcome.validation]
        answer = choose_answer(
            config,
            outcome.logits[outcome.validation],
            crops.column("class_index")[chosen].astype(np.int64),
            crops.column("subject_id")[chosen],
            outcome.prior,
        )
        parts.append(predictions_of(crops, outcome, answer, number))
    return joined(parts)


def read_fold(folder: Path) -> FoldOutcome:
    """What a fold's network said, as :mod:`osteoscope.studies.tscore.train` wrote it.

    Raises:
        InputError: A file is missing or damaged.
    """
    summary = read_json(folder / "fold.json")
    try:
        with np.load(folder / "logits.npz", allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
        return FoldOutcome(
            rows=found["rows"],
            validation=found["validation"],
            logits=found["logits"],
            t_score_predicted=found["t_score_predicted"],
            prior=tuple(summary["prior"]),
            residual_sd=summary["residual_sd"],
            best_epoch=summary["best_epoch"],
            history=tuple(summary["history"]),
            weights=summary["weights"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"The run's {folder.name} is damaged; train it again.") from None


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a run.

    Raises:
        InputError: It is missing or damaged.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise InputError(
            f"The run's {path.name} is missing or damaged; is {path.parent.name!r} a finished run?"
        )
    return found
