"""Every single number of an evaluation, for any weights of the rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.predictions import Predictions
from osteoscope.evaluation import confusion as by_confusion
from osteoscope.evaluation import ranking
from osteoscope.evaluation.agreement import bland_altman
from osteoscope.evaluation.probability_scores import brier_score, log_loss

SPECIFICITIES: tuple[float, ...] = (0.90, 0.95)
"""At which the sensitivity is reported."""
ALL = -1
"""In place of a class index: the metric is about all classes."""


class Metric(NamedTuple):
    """What is computed, and of which class.

    Args:
        kind: ``auc``, ``macro_auc``, ``t_score_mae``, ...
        of: Class index, or :data:`ALL`.
    """

    kind: str
    of: int = ALL

    def name(self, classes: tuple[str, ...]) -> str:
        """``auc_osteoporosis``, or ``macro_auc`` where it is about all classes."""
        return self.kind if self.of == ALL else f"{self.kind}_{classes[self.of]}"

    def rows(self, predictions: Predictions) -> NDArray[np.bool_]:
        """The rows that it rests on, (n,): of a sensitivity those that truly are of the class."""
        if self.kind.startswith("t_score"):
            return np.isfinite(predictions.t_score_predicted - predictions.t_score)
        if self.kind.startswith("sensitivity"):
            return np.asarray(predictions.truth == self.of)
        if self.kind == "specificity":
            return np.asarray(predictions.truth != self.of)
        return np.ones(len(predictions), dtype=np.bool_)


SHARES = ("accuracy", "sensitivity", "specificity")
"""Kinds that are a plain share of the rows they rest on."""


def metrics(
    predictions: Predictions, weights: NDArray[np.float64], classes: Iterable[int] | None = None
) -> dict[Metric, NDArray[np.float64]]:
    """All metrics that are one number, in every draw at once.

    A weight of 2 equals a row that stands twice, so a bootstrap is one call on its counts and the
    plain value is the call on ones. The predicted class is the most probable one, the first of
    equals. ``accuracy``, ``macro_sensitivity``, ``macro_specificity``, ``weighted_f1`` and
    ``macro_auc`` (one against the rest) are those of the paper's tables.

    Args:
        predictions: n rows of k classes.
        weights: (n, b), not negative.
        classes: Indices of the classes with metrics of their own; all, if not given.

    Returns:
        (b,) by metric; nan where a draw has no such value, as the AUC without positives.
        ``t_score_*`` only where two rows or more have a measured and a predicted T-score.
    """
    k = len(predictions.classes)
    predicted = predictions.probabilities.argmax(axis=1)
    counts = by_confusion.confusion(predictions.truth, predicted, k, weights)
    ranked = [
        ranking.rank_positives(predictions.probabilities[:, c], predictions.truth == c, weights)
        for c in range(k)
    ]
    aucs = [ranking.auc(of_class) for of_class in ranked]
    of_all = {
        "accuracy": by_confusion.accuracy(counts),
        "macro_sensitivity": by_confusion.macro_sensitivity(counts),
        "macro_specificity": by_confusion.macro_specificity(counts),
        "weighted_f1": by_confusion.weighted_f1(counts),
        "macro_auc": np.mean(aucs, axis=0),
        "quadratic_kappa": by_confusion.quadratic_kappa(counts),
        "brier": brier_score(predictions.probabilities, predictions.truth, weights),
        "log_loss": log_loss(predictions.probabilities, predictions.truth, weights),
    }
    values = {Metric(kind): value for kind, value in of_all.items()}
    sensitivity, specificity = by_confusion.sensitivity(counts), by_confusion.specificity(counts)
    for c in range(k) if classes is None else classes:
        values[Metric("auc", c)] = aucs[c]
        values[Metric("auprc", c)] = ranking.average_precision(ranked[c])
        values[Metric("sensitivity", c)] = sensitivity[c]
        values[Metric("specificity", c)] = specificity[c]
        for target in SPECIFICITIES:
            kind = f"sensitivity_at_specificity_{target * 100:.0f}"
            values[Metric(kind, c)] = ranking.sensitivity_at(ranked[c], target)
    difference = predictions.t_score_predicted - predictions.t_score
    if np.isfinite(difference).sum() >= 2:
        agreement = bland_altman(difference, weights)
        values |= {Metric(f"t_score_{name}"): value for name, value in agreement.items()}
    return values


def plain_metrics(predictions: Predictions) -> dict[str, float]:
    """The metrics of the rows as they are, by name; nan where one has no value."""
    values = metrics(predictions, np.ones((len(predictions), 1)))
    return {metric.name(predictions.classes): float(value[0]) for metric, value in values.items()}
