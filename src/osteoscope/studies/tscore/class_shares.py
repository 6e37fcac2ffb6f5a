"""The class shares that logits and probabilities refer to: what was learned, what was adjusted.

A classifier's probabilities hold among people of certain class shares. Cross-entropy learns those
of its training rows, a loss or a sampling for long tails learns others, and a post-hoc adjustment
changes them again. Bayes' rule moves probabilities from one set of shares to another: the logits
change by the logarithm of the shares' ratio.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Shares = tuple[float, ...]


def learned_shares(loss: str, tau: float, sampling: str, prior: Sequence[float]) -> Shares:
    """(k,) class shares that a network's logits refer to after training.

    Exact for a network that learns its loss's optimum; ``focal`` is taken as cross-entropy, though
    it learns probabilities that are too even.

    Args:
        loss: Name of the class loss.
        tau: tau1 of ``logit_adjusted``.
        sampling: ``shuffle`` or ``class-balanced``.
        prior: (k,) class shares of the training rows.
    """
    even = np.full(len(prior), 1.0 / len(prior))
    shown = even if sampling == "class-balanced" else np.asarray(prior, dtype=np.float64)
    if loss == "logit_adjusted":
        return _shares(shown * np.asarray(prior) ** -tau)
    if loss in ("inverse_frequency", "effective_number"):
        return _shares(shown / np.asarray(prior))
    return _shares(shown)


def adjusted_shares(
    learned: Sequence[float], prior: Sequence[float], tau: float, reading: str
) -> Shares | None:
    """(k,) class shares after a post-hoc adjustment; None where the reading is no change of them.

    Args:
        learned: (k,) before it.
        prior: (k,) class shares of the training rows.
        tau: Strength of the adjustment.
        reading: ``subtract``, ``add`` or ``two_temperature``.
    """
    if reading == "two_temperature":
        return None
    sign = -1.0 if reading == "subtract" else 1.0
    return _shares(np.asarray(learned) * np.asarray(prior) ** (sign * tau))


def moved_logits(
    logits: NDArray[np.float64], before: Sequence[float], after: Sequence[float]
) -> NDArray[np.float64]:
    """(n, k) logits that refer to other class shares."""
    return np.asarray(logits + np.log(np.asarray(after) / np.asarray(before)))


def _shares(values: NDArray[np.float64]) -> Shares:
    return tuple((values / values.sum()).tolist())
