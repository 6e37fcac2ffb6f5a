"""From a crop to the model's answer: probabilities, the set that covers the truth, and doubt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError
from osteoscope.core.model_spec import ModelSpec
from osteoscope.evaluation.calibrators import Temperature, adjust_logits, probabilities
from osteoscope.evaluation.conformal import prediction_sets
from osteoscope.features.windows import apply_windows
from osteoscope.inference.guard import GuardVerdict, check_crop
from osteoscope.inference.session import EMBEDDING, LOGITS, T_SCORE, DeployedModel


@dataclass(frozen=True, eq=False)
class Classification:
    """A model's answer about one crop.

    Args:
        classes: Names of the classes, in the order of the arrays.
        probabilities: (k,) that add up to 1.
        prediction_set: (k,) bool, the classes of the conformal set; None where the model has none.
        t_score: The T-score that the model gives; None where it gives none.
        embedding: (f,) what the network saw.
        guard: Whether the crop is of a kind that the model knows.
    """

    classes: tuple[str, ...]
    probabilities: NDArray[np.float64]
    prediction_set: NDArray[np.bool_] | None
    t_score: float | None
    embedding: NDArray[np.float32]
    guard: GuardVerdict

    @property
    def category(self) -> str:
        """The most probable class."""
        return self.classes[int(np.argmax(self.probabilities))]


def classify_crop(model: DeployedModel, crop_hu: NDArray[np.int16]) -> Classification:
    """Ask a model about one crop.

    The answer is given whatever the guard says; whoever shows it withholds it where
    ``guard.known`` is False.

    Args:
        model: From :func:`osteoscope.inference.session.open_model`.
        crop_hu: (z, y, x) HU of the shape that ``model.spec.crop`` states, cut as it says.

    Raises:
        InputError: A crop of another shape.
        ModelError: The model gave something that cannot be used.
    """
    spec = model.spec
    if crop_hu.shape != spec.crop.shape:
        raise InputError(
            f"The model {spec.name} takes crops of {spec.crop.shape} voxels, not {crop_hu.shape}."
        )
    raw = model.run(apply_windows(crop_hu[np.newaxis], spec.windows))
    shares = class_probabilities(spec, raw[LOGITS])
    covering = None
    if spec.conformal is not None:
        fitted = spec.conformal
        covering = prediction_sets(shares, fitted.thresholds, fitted.method)[0]
    return Classification(
        classes=spec.classes,
        probabilities=shares[0],
        prediction_set=covering,
        t_score=float(raw[T_SCORE][0]) if T_SCORE in raw else None,
        embedding=raw[EMBEDDING][0],
        guard=check_crop(spec.guard, crop_hu, raw[EMBEDDING][0], spec.crop),
    )


def class_scores(spec: ModelSpec, logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Logits as the model's probabilities are made from: adjusted, then over the temperature.

    Args:
        spec: The model's.
        logits: (n, k) as the network gives them.

    Returns:
        (n, k) log-probabilities up to a constant a row.
    """
    adjusted = adjust_logits(logits, spec.prior, spec.adjust.tau, spec.adjust.reading)
    return Temperature(spec.temperature).apply(adjusted)


def class_probabilities(spec: ModelSpec, logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """(n, k) probabilities: the softmax of :func:`class_scores`."""
    return probabilities(class_scores(spec, logits))
