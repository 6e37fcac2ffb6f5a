"""Predictions for tests: of a stated strength, or of what a Hypothesis example says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.predictions import Predictions

CLASSES = ("normal", "osteopenia", "osteoporosis")


def made_predictions(
    n: int = 120, seed: int = 0, *, strength: float = 1.0, classes: tuple[str, ...] = CLASSES
) -> Predictions:
    """A classifier that is right more often the higher its strength, and T-scores, of n rows."""
    rng = np.random.default_rng(seed)
    k = len(classes)
    truth = np.arange(n) % k
    truth[k : n // 2] = 0  # uneven, every class present
    logits = rng.normal(size=(n, k))
    logits[np.arange(n), truth] += strength
    p = np.exp(logits)
    t_score = -1.0 - truth + rng.normal(0, 0.3, n)
    return Predictions(
        subject_id=np.array([f"s{i:04d}" for i in range(n)]),
        truth=truth,
        probabilities=p / p.sum(axis=1, keepdims=True),
        classes=classes,
        t_score=t_score,
        t_score_predicted=t_score + rng.normal(0.1, 0.5, n),
        groups={"sex": np.where(rng.random(n) < 0.5, "F", "M")},
    )


def ones(n: int) -> NDArray[np.float64]:
    """The weights of rows as they are."""
    return np.ones((n, 1))
