"""Two models on the same subjects: every metric's difference, with interval and p."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError
from osteoscope.core.predictions import Predictions, listed
from osteoscope.evaluation.delong import AucDifference, delong
from osteoscope.evaluation.evaluate import (
    FEW_DRAWS,
    MIN_DRAWS,
    NO_VALUE,
    positive_class,
    shown_classes,
)
from osteoscope.evaluation.metrics import Metric, metrics
from osteoscope.evaluation.resampling import bootstrap_p, draw_counts, percentile_interval

_NEITHER_BETTER = ("t_score_bias", "t_score_loa_low", "t_score_loa_high")
"""Of these neither more nor less is better, so a difference of them says nothing."""


@dataclass(frozen=True)
class Difference:
    """One metric of both models; nan where it does not exist, and ``note`` says why.

    Args:
        name: The metric's name.
        a: Of the first model.
        b: Of the second.
        low: Lower end of the 95 % interval of ``a - b``.
        high: Upper end.
        p: Two-sided, of the paired bootstrap.
        note: What is peculiar about it; empty where nothing is.
    """

    name: str
    a: float
    b: float
    low: float
    high: float
    p: float
    note: str = ""

    @property
    def value(self) -> float:
        """``a - b``."""
        return self.a - self.b


@dataclass(frozen=True, eq=False)
class Comparison:
    """The first model less the second, on the subjects of both.

    Args:
        differences: By metric.
        delong: AUC differences by class; empty where a subject has several rows.
        mcnemar_p: Exact two-sided p of equal accuracy; nan where a subject has several rows.
        only_a_right: Rows that only the first classifies rightly.
        only_b_right: Rows that only the second does.
        n: Rows of both.
        n_subjects: Subjects of both.
        left_out_a: Rows of the first alone, left out.
        left_out_b: Rows of the second alone.
    """

    differences: Mapping[str, Difference]
    delong: Mapping[str, AucDifference]
    mcnemar_p: float
    only_a_right: int
    only_b_right: int
    n: int
    n_subjects: int
    left_out_a: int
    left_out_b: int


def compare(
    a: Predictions,
    b: Predictions,
    *,
    draws: int = 10_000,
    seed: int = 0,
    positive: str | None = None,
) -> Comparison:
    """Paired comparison: both models are resampled with the same subjects in each draw.

    No p is adjusted for the number of metrics; name the one that counts beforehand.

    Args:
        a: Of both the ``test`` part counts, as in :func:`osteoscope.evaluation.evaluate.evaluate`.
        b: Of the same classes, truths and at least some of the same subjects.
        draws: Of the bootstrap, at least 100.
        seed: The same seed gives the same intervals.
        positive: Of two classes, the one with numbers of its own; the last if not given.

    Raises:
        InputError: The tables have different classes or truths, or no subject in common.
    """
    if draws < MIN_DRAWS:
        raise InputError(f"A 95 % interval needs {MIN_DRAWS} draws or more, not {draws}.")
    all_a, all_b = a.reported(), b.reported()
    a, b = paired(all_a, all_b)
    shown = shown_classes(a, positive_class(a, positive))
    ones = np.ones((len(a), 1))
    plain_a, plain_b = metrics(a, ones, shown), metrics(b, ones, shown)
    kept = [m for m in plain_a if m in plain_b and m.kind not in _NEITHER_BETTER]
    drawn: dict[Metric, list[NDArray[np.float64]]] = {m: [] for m in kept}
    for weights in draw_counts(a.subject_id, a.truth, draws=draws, seed=seed):
        of_a, of_b = metrics(a, weights, shown), metrics(b, weights, shown)
        for m in kept:
            drawn[m].append(of_a[m] - of_b[m])
    differences = [
        _difference(
            m.name(a.classes), float(plain_a[m][0]), float(plain_b[m][0]), np.concatenate(drawn[m])
        )
        for m in kept
    ]
    right_a = a.probabilities.argmax(axis=1) == a.truth
    right_b = b.probabilities.argmax(axis=1) == b.truth
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    independent = a.n_subjects == len(a)
    return Comparison(
        differences={d.name: d for d in differences},
        delong=_delong_by_class(a, b, shown) if independent else {},
        mcnemar_p=mcnemar_p(only_a, only_b) if independent else math.nan,
        only_a_right=only_a,
        only_b_right=only_b,
        n=len(a),
        n_subjects=a.n_subjects,
        left_out_a=len(all_a) - len(a),
        left_out_b=len(all_b) - len(b),
    )


def paired(a: Predictions, b: Predictions) -> tuple[Predictions, Predictions]:
    """The rows that both have, in the order of the first.

    Rows belong together by subject, by ``level`` where both have that column, and by their order
    within these where there are several.

    Raises:
        InputError: Different classes, no row in common, or truths that differ.
    """
    if a.classes != b.classes:
        raise InputError(
            f"Models of different classes cannot be compared: {', '.join(a.classes)} against "
            f"{', '.join(b.classes)}."
        )
    with_level = "level" in a.groups and "level" in b.groups
    place_b = {key: row for row, key in enumerate(_keys(b, with_level))}
    rows = [(i, place_b[key]) for i, key in enumerate(_keys(a, with_level)) if key in place_b]
    if not rows:
        raise InputError("The two tables have no subject in common; give two of the same subjects.")
    both = np.array(rows)
    left, right = a.select(both[:, 0]), b.select(both[:, 1])
    differ = np.flatnonzero(left.truth != right.truth)
    if differ.size:
        places = listed([f"row {both[i, 0]} and row {both[i, 1]}" for i in differ])
        raise InputError(f"The two tables state different truths, counting from 0 in {places}")
    known = np.isfinite(left.t_score_predicted) & np.isfinite(right.t_score_predicted)
    return _t_scores_where(left, known), _t_scores_where(right, known)


def mcnemar_p(only_a: int, only_b: int) -> float:
    """Exact two-sided p that both models are right equally often (McNemar, 1947; binomial).

    Args:
        only_a: Rows that only the first classifies rightly.
        only_b: Rows that only the second does.

    >>> round(mcnemar_p(1, 9), 6)
    0.021484
    """
    n = only_a + only_b
    # Whole numbers, so that the sum is exact however many rows there are.
    ways = sum(math.comb(n, few) for few in range(min(only_a, only_b) + 1))
    return min(1.0, 2 * ways / (1 << n))


def _keys(predictions: Predictions, with_level: bool) -> list[tuple[str, str, int]]:
    seen: dict[tuple[str, str], int] = {}
    keys = []
    for row, subject in enumerate(predictions.subject_id):
        level = str(predictions.groups["level"][row]) if with_level else ""
        name = (str(subject), level)
        seen[name] = seen.get(name, -1) + 1
        keys.append((*name, seen[name]))
    return keys


def _t_scores_where(predictions: Predictions, known: NDArray[np.bool_]) -> Predictions:
    kept = np.where(known, predictions.t_score_predicted, np.nan)
    return dataclasses.replace(predictions, t_score_predicted=kept)


def _difference(name: str, a: float, b: float, drawn: NDArray[np.float64]) -> Difference:
    if not math.isfinite(a - b):
        return Difference(name, a, b, math.nan, math.nan, math.nan, NO_VALUE)
    low, high = (float(end) for end in percentile_interval(drawn))
    if not math.isfinite(low):
        return Difference(name, a, b, math.nan, math.nan, math.nan, FEW_DRAWS)
    return Difference(name, a, b, low, high, bootstrap_p(drawn))


def _delong_by_class(
    a: Predictions, b: Predictions, shown: tuple[int, ...]
) -> dict[str, AucDifference]:
    enough = [c for c in shown if min((a.truth == c).sum(), (a.truth != c).sum()) >= 2]
    return {
        a.classes[c]: delong(a.probabilities[:, c], b.probabilities[:, c], a.truth == c)
        for c in enough
    }
