"""A finished run's predictions with another answer: tau, temperature and sets anew, no training."""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from osteoscope.core.errors import InputError
from osteoscope.core.predictions import Predictions
from osteoscope.io.crop_store import CropStore
from osteoscope.studies.tscore.answer import AnswerConfig
from osteoscope.studies.tscore.fold import FoldOutcome
from osteoscope.studies.tscore.fold_answer import fold_answer, fold_predictions, joined


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
        parts.append(fold_predictions(crops, outcome, fold_answer(crops, outcome, config), number))
    return joined(parts)


def read_fold(folder: Path) -> FoldOutcome:
    """What a fold's network said, as :mod:`osteoscope.studies.tscore.train` wrote it.

    Raises:
        InputError: A file is missing or damaged.
    """
    summary = read_json(folder / "fold.json")
    try:
        # Opened here: NumPy leaves a damaged file open that it opened itself.
        with (
            (folder / "logits.npz").open("rb") as stream,
            np.load(stream, allow_pickle=False) as arrays,
        ):
            found = {name: arrays[name] for name in arrays.files}
        return FoldOutcome(
            rows=found["rows"],
            validation=found["validation"],
            logits=found["logits"],
            t_score_predicted=found["t_score_predicted"],
            prior=tuple(summary["prior"]),
            learned_shares=tuple(summary["learned_shares"]),
            residual_sd=summary["residual_sd"],
            best_epoch=summary["best_epoch"],
            history=tuple(summary["history"]),
            weights=summary["weights"],
        )
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error):
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
