"""An exported model in 8 bits, and what that costs on the test subjects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError
from osteoscope.core.predictions import Predictions
from osteoscope.evaluation.compare import compare
from osteoscope.features.windows import apply_windows
from osteoscope.inference.classify import class_probabilities
from osteoscope.inference.session import DeployedModel, open_model
from osteoscope.io.crop_store import CropStore
from osteoscope.learning.export import describe
from osteoscope.learning.quantise import quantise_onnx
from osteoscope.reporting.model_card import write_model_card
from osteoscope.studies.tscore.deployed import ask, measured_spec
from osteoscope.studies.tscore.export import ExportedRun, ExportOptions

_CALIBRATION_CROPS = 64
"""Of training subjects; some dozens do."""


@dataclass(frozen=True)
class QuantisationLoss:
    """What 8 bits cost, on test subjects that nothing was chosen on.

    Args:
        path: The 8-bit model.
        size_bytes: Of it.
        auc: Macro AUC of the model that it was made from.
        auc_int8: Of the 8-bit model.
        low: Lower end of the 95 % interval of the difference, 8-bit less the other.
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


def quantise_run(run: Path, store: Path, model: Path, options: ExportOptions) -> QuantisationLoss:
    """Write ``NAME.int8.onnx`` and its card beside a model, and compare both on the test rows.

    The 8-bit file has a name, temperature, sets, guard and metrics of its own.

    Args:
        run: The run that the model was exported from.
        store: Its store.
        model: The exported model.
        options: As it was exported.

    Raises:
        InputError: The fold has no test subjects.
        ModelError: The model cannot be quantised.
    """
    given = ExportedRun.of(run, store, options.fold)
    rows, crops = given.rows, given.store
    if not len(rows.test):
        raise InputError("The split has no test subjects to measure on what 8 bits cost.")
    whole = open_model(model)
    chosen = rows.train[:: max(1, len(rows.train) // _CALIBRATION_CROPS)][:_CALIBRATION_CROPS]
    out = model.with_suffix(".int8.onnx")
    written = quantise_onnx(model, out, apply_windows(crops.crops[chosen], whole.spec.windows))
    spec = measured_spec(
        open_model(out), crops, rows, given.config, given.outcome, pass_rate=options.pass_rate
    )
    spec = replace(spec, name=f"{spec.name}, int8")
    describe(out, spec)
    write_model_card(out.with_suffix(".md"), spec, given.record)
    both = [_predictions(open_model(path), crops, rows.test) for path in (out, model)]
    found = compare(*both).differences["macro_auc"]
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
    return Predictions(
        subject_id=store.column("subject_id")[rows],
        truth=store.column("class_index")[rows],
        probabilities=class_probabilities(model.spec, ask(model, store, rows).logits),
        classes=model.spec.classes,
        simulated=bool(np.any(store.column("simulated")[rows])),
    )
