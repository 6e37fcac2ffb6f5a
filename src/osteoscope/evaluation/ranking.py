"""What depends on the order of the scores alone: ROC, AUC, average precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscope.evaluation.confusion import ratio

_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class RankedPositives:
    """The positive rows in rising order of score, each with the negatives around it, by draw.

    Args:
        weight: (m, b) weight of each of the m positives in each of b draws.
        below: (m, b) weight of the negatives that score lower.
        tied: (m, b) weight of the negatives that score the same.
        first_tied: (m,) position of the first positive with the same score.
        negatives: (b,) weight of all negatives.
    """

    weight: NDArray[np.float64]
    below: NDArray[np.float64]
    tied: NDArray[np.float64]
    first_tied: NDArray[np.intp]
    negatives: NDArray[np.float64]


def rank_positives(
    scores: NDArray[np.float64], positive: NDArray[np.bool_], weights: NDArray[np.float64]
) -> RankedPositives:
    """Sort once; every draw then needs running sums of its weights only.

    Args:
        scores: (n,) higher means more likely positive; finite.
        positive: (n,) truth.
        weights: (n, b) weight of each row in each draw, not negative.
    """
    order = np.argsort(scores, kind="stable")
    rising, is_positive = scores[order], positive[order]
    of_positives, of_negatives = rising[is_positive], rising[~is_positive]
    running = np.zeros((len(of_negatives) + 1, weights.shape[1]))
    np.cumsum(weights[order[~is_positive]], axis=0, out=running[1:])
    low = np.searchsorted(of_negatives, of_positives, side="left")
    high = np.searchsorted(of_negatives, of_positives, side="right")
    below = running[low]
    return RankedPositives(
        weight=weights[order[is_positive]],
        below=below,
        tied=running[high] - below if (high > low).any() else np.zeros((1, weights.shape[1])),
        first_tied=np.searchsorted(of_positives, of_positives, side="left"),
        negatives=running[-1],
    )


def auc(ranked: RankedPositives) -> NDArray[np.float64]:
    """Area under the ROC curve: a positive's chance to outscore a negative, ties one half.

    Equal to the Mann-Whitney statistic over its largest value (Hanley & McNeil, Radiology
    1982;143:29). (b,), nan where a draw lacks positives or negatives.
    """
    wins = np.einsum("ij,ij->j", ranked.weight, ranked.below + ranked.tied / 2)
    return ratio(wins, ranked.weight.sum(axis=0) * ranked.negatives)


def average_precision(ranked: RankedPositives) -> NDArray[np.float64]:
    """Area under the precision-recall curve as the step sum: recall gained times precision there.

    No interpolation between points, which would be optimistic (Davis & Goadrich, ICML 2006).
    (b,), nan where a draw lacks positives. By chance alone it is the share of positives.
    """
    weight = ranked.weight
    total = weight.sum(axis=0)
    # Called positive at a score are all that score as much or more.
    running = np.zeros((len(weight) + 1, weight.shape[1]))
    np.cumsum(weight, axis=0, out=running[1:])
    true_positives = total - running[:-1][ranked.first_tied]
    called = true_positives + ranked.negatives - ranked.below
    return ratio(np.einsum("ij,ij->j", weight, np.nan_to_num(ratio(true_positives, called))), total)


def sensitivity_at(ranked: RankedPositives, specificity: float) -> NDArray[np.float64]:
    """The highest sensitivity of any threshold whose specificity is at least this.

    The threshold is found in the same rows, in each draw anew, so the value is somewhat
    optimistic; it is a point of the empirical ROC curve, not between two. (b,).

    Args:
        ranked: From :func:`rank_positives`.
        specificity: In [0, 1].
    """
    # Specificity rises with the threshold, so the rows that pass are those called positive.
    passes = ranked.below >= (specificity - _ROUNDING) * ranked.negatives
    found = np.einsum("ij,ij->j", ranked.weight, passes)
    sensitivity = ratio(found, ranked.weight.sum(axis=0))
    return np.where(ranked.negatives > 0, sensitivity, np.nan)


def roc_points(
    scores: NDArray[np.float64], positive: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The corners of the empirical ROC curve, from (0, 0) to (1, 1).

    Args:
        scores: (n,).
        positive: (n,), with both kinds among them.

    Returns:
        False positive rates and true positive rates, one point a distinct score and the start.
    """
    thresholds = np.unique(scores)[::-1]
    hits = np.sort(scores[positive])
    alarms = np.sort(scores[~positive])
    true_rate = 1 - np.searchsorted(hits, thresholds, side="left") / len(hits)
    false_rate = 1 - np.searchsorted(alarms, thresholds, side="left") / len(alarms)
    return np.concatenate([[0.0], false_rate]), np.concatenate([[0.0], true_rate])
