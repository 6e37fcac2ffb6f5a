"""Counts of true against predicted classes, and what follows from them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float64]
"""Shape (k, k, ...): true class, predicted class, then one entry a draw."""


def confusion(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], k: int, weights: NDArray[np.float64]
) -> Counts:
    """Weighted confusion counts.

    Args:
        truth: (n,) class index in [0, k).
        predicted: (n,) class index in [0, k).
        k: Number of classes.
        weights: (n, b) weight of each row in each draw, not negative.

    Returns:
        (k, k, b): first axis the true class, second the predicted one.
    """
    cell = truth * k + predicted
    counts = np.zeros((k * k, weights.shape[1]))
    for index in np.unique(cell):
        counts[index] = weights[cell == index].sum(axis=0)
    return counts.reshape(k, k, -1)


def accuracy(counts: Counts) -> NDArray[np.float64]:
    """Share of rows in their true class."""
    return ratio(np.trace(counts), counts.sum(axis=(0, 1)))


def sensitivity(counts: Counts) -> NDArray[np.float64]:
    """Of each class, the share that was recognised, (k, ...); nan for a class without rows."""
    return ratio(_diagonal(counts), counts.sum(axis=1))


def specificity(counts: Counts) -> NDArray[np.float64]:
    """Of the rows of all other classes, the share not called this class, (k, ...)."""
    others = counts.sum(axis=(0, 1)) - counts.sum(axis=1)
    false_positives = counts.sum(axis=0) - _diagonal(counts)
    return ratio(others - false_positives, others)


def macro_sensitivity(counts: Counts) -> NDArray[np.float64]:
    """Mean of the classes' sensitivities: the paper's "sensitivity"; nan where a class is empty."""
    return np.asarray(sensitivity(counts).mean(axis=0))


def macro_specificity(counts: Counts) -> NDArray[np.float64]:
    """Mean of the classes' specificities: the paper's "specificity"."""
    return np.asarray(specificity(counts).mean(axis=0))


def weighted_f1(counts: Counts) -> NDArray[np.float64]:
    """F1 of each class, weighted by how many rows truly have it: the paper's "F1 Score".

    F1 = 2 TP / (2 TP + FP + FN); a class that is neither true nor predicted adds nothing.
    """
    hits, true = _diagonal(counts), counts.sum(axis=1)
    predicted = counts.sum(axis=0)
    f1 = np.nan_to_num(ratio(2 * hits, true + predicted))
    return ratio((f1 * true).sum(axis=0), true.sum(axis=0))


def quadratic_kappa(counts: Counts) -> NDArray[np.float64]:
    """Cohen's kappa with quadratic weights, for ordered classes.

    ``1 - sum(w o) / sum(w e)`` with w the squared distance of the classes, o the observed counts
    and e those expected from the margins (Cohen, Psychol Bull 1968;70:213). It does not accept
    classes without an order; nan where only one class is true and predicted.
    """
    k = counts.shape[0]
    distance = (np.arange(k)[:, None] - np.arange(k)[None, :]) ** 2.0
    total = counts.sum(axis=(0, 1))
    observed = np.einsum("ij,ij...->...", distance, counts)
    expected = np.einsum("ij,i...,j...->...", distance, counts.sum(axis=1), counts.sum(axis=0))
    return 1 - ratio(observed * total, expected)


def ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """``part / whole``, nan where the whole is 0."""
    part, whole = np.broadcast_arrays(part, whole)
    out = np.full(part.shape, np.nan)
    np.divide(part, whole, out=out, where=whole > 0)
    return out


def _diagonal(counts: Counts) -> NDArray[np.float64]:
    return np.asarray(np.einsum("ii...->i...", counts))
