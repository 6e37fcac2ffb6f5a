"""An exported model in 8 bits, and what that costs on the test subjects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError
from osteoscope.core.predictions import Predictions
from osteoscope.core.split import Split
from osteoscope.evaluation.compare import compare
from osteoscope.features.windows import apply_windows
from osteoscope.inference.classify import class_probabilities
from osteoscope.inference.session import LOGITS, DeployedModel, open_model
from osteoscope.io.crop_store import CropStore
from osteoscope.learning.quantise import quantise_onnx
from osteoscope.studies.tscore.fold import FoldRows

_CALIBRATION_CROPS = 64
"""Of training subjects; some dozens do."""


@dataclass(frozen=True)
class QuantisationLoss:
    """What 8 bits cost, on test subjects that nothing was chosen on.

    Args:
        path: The 8-bit model.
        size_bytes: Of it.
        auc: Macro AUC of the 32-bit model.
        auc_int8: Of the 8-bit model.
        low: Lower end of the 95 % interval of the difference, 8-bit less 32-bit.
        high: Upper end.
        n: Test rows.
    """

    path: Path
    size_bytes: int
    auc: float
    auc_int8: float
    low: float
    high: float
    n: int

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "model": str(self.path),
            "size_bytes": self.size_bytes,
            "auc": self.auc,
            "auc_int8": self.auc_int8,
            "difference": [self.auc_int8 - self.auc, self.low, self.high],
            "n": self.n,
        }

    def in_words(self) -> str:
        """One sentence."""
        difference = self.auc_int8 - self.auc
        return (
            f"{self.path}: {self.size_bytes / 2**20:.1f} MiB; macro AUC {self.auc_int8:.3f} "
            f"against {self.auc:.3f}, {difference:+.4f} ({self.low:+.4f} to {self.high:+.4f}) on "
            f"{self.n} test subjects' crops."
        )


def quantise_run(run: Path, store: Path, model: Path, fold: int) -> QuantisationLoss:
    """Write ``NAME.int8.onnx`` beside a model and compare both on the fold's test rows.

    Args:
        run: The run that the model was exported from.
        store: Its store.
        model: The exported model.
        fold: Whose training rows calibrate and whose test rows judge.

    Raises:
        InputError: The fold has no test subjects.
        ModelError: The model cannot be quantised.
    """
    crops = CropStore.open(store, verify=False)
    split = Split.from_json((run / "split.json").read_text(encoding="utf-8"))
    rows = FoldRows.of(crops, split.folds[fold])
    if not len(rows.test):
        raise InputError("The split has no test subjects to measure on what 8 bits cost.")
    whole = open_model(model)
    chosen = rows.train[:: max(1, len(rows.train) // _CALIBRATION_CROPS)][:_CALIBRATION_CROPS]
    out = model.with_suffix(".int8.onnx")
    written = quantise_onnx(model, out, apply_windows(crops.crops[chosen], whole.spec.windows))
    found = compare(
        _predictions(open_model(out), crops, rows.test), _predictions(whole, crops, rows.test)
    ).differences["macro_auc"]
    return QuantisationLoss(
        path=out,
        size_bytes=written.size_bytes,
        auc=found.b,
        auc_int8=found.a,
        low=found.low,
        high=found.high,
        n=len(rows.test),
    )


def _predictions(model: DeployedModel, store: CropStore, rows: NDArray[np.int64]) -> Predictions:
    logits = np.concatenate(
        [model.run(apply_windows(store.crops[[row]], model.spec.windows))[LOGITS] for row in rows]
    )
    return Predictions(
        subject_id=store.column("subject_id")[rows],
        truth=store.column("class_index")[rows],
        probabilities=class_probabilities(model.spec, logits),
        classes=model.spec.classes,
        simulated=store.simulated,
    )
