"""Scores of the probabilities themselves, lower being better: Brier and log loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteoscope.evaluation.confusion import ratio

_LEAST = float(np.finfo(np.float64).eps)
"""A probability of 0 for what happened would make the log loss infinite; it is cut off here."""


def brier_score(
    probabilities: NDArray[np.float64], truth: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean squared distance between the probabilities and what happened.

    ``mean over rows of sum over classes of (p - [truth])^2``, in [0, 2] (Brier, Mon Weather Rev
    1950;78:1); of two classes half of it is taken, in [0, 1], as is usual for them.

    Args:
        probabilities: (n, k).
        truth: (n,) class index.
        weights: (n, b) weight of each row in each draw.

    Returns:
        (b,).
    """
    happened = truth[:, None] == np.arange(probabilities.shape[1])
    squares = ((probabilities - happened) ** 2).sum(axis=1)
    if probabilities.shape[1] == 2:
        squares = squares / 2
    return ratio(squares @ weights, weights.sum(axis=0))


def log_loss(
    probabilities: NDArray[np.float64], truth: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean of ``-log p`` of the true class, in nats; a p below 2.2e-16 counts as that.

    Args:
        probabilities: (n, k).
        truth: (n,) class index.
        weights: (n, b) weight of each row in each draw.

    Returns:
        (b,), 0 or more.
    """
    true = np.clip(probabilities[np.arange(len(truth)), truth], _LEAST, 1.0)
    return ratio(-np.log(true) @ weights, weights.sum(axis=0))
