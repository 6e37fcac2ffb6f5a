"""Whether two scores of the same subjects have different AUCs, by DeLong's method."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError
from osteoscope.core.measurement import Z95


@dataclass(frozen=True)
class AucDifference:
    """Two correlated AUCs.

    Args:
        auc_a: Of the first score.
        auc_b: Of the second.
        low: Lower end of the 95 % interval of ``auc_a - auc_b``.
        high: Upper end.
        z: The difference in its standard errors; 0 where both are 0.
        p: Two-sided, of no difference.
    """

    auc_a: float
    auc_b: float
    low: float
    high: float
    z: float
    p: float

    @property
    def difference(self) -> float:
        """``auc_a - auc_b``."""
        return self.auc_a - self.auc_b


def delong(
    scores_a: NDArray[np.float64], scores_b: NDArray[np.float64], positive: NDArray[np.bool_]
) -> AucDifference:
    """Compare the AUCs of two scores of the same, independent subjects.

    DeLong, DeLong & Clarke-Pearson, Biometrics 1988;44:837, by midranks (Sun & Xu, IEEE Signal
    Process Lett 2014;21:1389): the same numbers in O(n log n). It does not accept several rows of
    a subject, nor nested models fitted to these very subjects.

    Args:
        scores_a: (n,) higher means more likely positive.
        scores_b: (n,) likewise.
        positive: (n,) truth; at least two of each kind.

    Raises:
        InputError: Fewer than two positives or negatives.
    """
    m, n = int(positive.sum()), int((~positive).sum())
    if min(m, n) < 2:
        raise InputError(f"DeLong's test needs two positives and two negatives, not {m} and {n}.")
    both = np.stack([scores_a, scores_b])
    # Of each positive, the share of negatives that it outscores; of each negative, the share of
    # positives that outscore it.
    wins = np.empty((2, m))
    losses = np.empty((2, n))
    for row, scores in enumerate(both):
        ranks = midranks(scores)
        wins[row] = (ranks[positive] - midranks(scores[positive])) / n
        losses[row] = 1 - (ranks[~positive] - midranks(scores[~positive])) / m
    auc_a, auc_b = (float(mean) for mean in wins.mean(axis=1))
    covariance = np.cov(wins) / m + np.cov(losses) / n
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    error = math.sqrt(max(variance, 0.0))
    difference = auc_a - auc_b
    # Equal rankings differ by rounding alone; two perfect ones have no error at all.
    z = 0.0 if abs(difference) < 1e-12 else difference / error if error > 0 else math.inf
    return AucDifference(
        auc_a=auc_a,
        auc_b=auc_b,
        low=difference - Z95 * error,
        high=difference + Z95 * error,
        z=z,
        p=math.erfc(abs(z) / math.sqrt(2)),
    )


def midranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1; equal values share the mean of theirs.

    >>> midranks(np.array([2.0, 1.0, 2.0, 5.0])).tolist()
    [2.5, 1.0, 2.5, 4.0]
    """
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count - 1) / 2)[place])
