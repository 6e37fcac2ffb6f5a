"""The one evaluation, used by training, the command line and every table alike."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError
from osteoscope.core.predictions import Predictions
from osteoscope.evaluation.calibration import (
    calibration_curve,
    calibration_error_interval,
    calibration_gaps,
    expected_calibration_error,
)
from osteoscope.evaluation.confusion import confusion
from osteoscope.evaluation.decision_curve import THRESHOLDS, DecisionCurve, net_benefit
from osteoscope.evaluation.draws import draw, stated_and_happened
from osteoscope.evaluation.estimates import Estimate, Evaluation
from osteoscope.evaluation.metrics import ALL, SHARES, Metric, metrics
from osteoscope.evaluation.proportion import wilson_interval
from osteoscope.evaluation.ranking import roc_points
from osteoscope.evaluation.resampling import percentile_interval
from osteoscope.evaluation.roc import RocCurve

MIN_DRAWS = 100

NO_VALUE = "not defined for these rows: a class has none"
FEW_DRAWS = "too few draws have a value"
NO_SPREAD = "every draw gave the same value, so resampling cannot bound it"
WILSON = "Wilson's interval, since every draw gave the same value"
SPREAD = 1e-12
"""Ends nearer to each other are the same value, rounded differently."""


def evaluate(
    predictions: Predictions, *, draws: int = 10_000, seed: int = 0, positive: str | None = None
) -> Evaluation:
    """Every metric with its 95 % interval of a stratified bootstrap of whole subjects.

    Intervals are percentile intervals, but for the calibration errors
    (:func:`osteoscope.evaluation.calibration.calibration_error_interval`) and for shares on which
    all draws agree, such as 13 of 13, which get Wilson's. Rows of several folds are pooled.

    Args:
        predictions: Rows of the ``test`` part are evaluated; without any, those of
            ``validation``, which selection has seen.
        draws: Of the bootstrap, at least 100.
        seed: The same seed gives the same intervals.
        positive: The class that decisions are about; the last if not given.

    Returns:
        Estimates by name (:func:`osteoscope.evaluation.metrics.metrics`; also ``ece`` of the
        most probable class, ``ece_<class>``, and ``ece_by_chance``, the ``ece`` that a perfectly
        calibrated model would show on so many rows), and the curves.

    Raises:
        InputError: Too few draws, or no such class.
    """
    if draws < MIN_DRAWS:
        raise InputError(f"A 95 % interval needs {MIN_DRAWS} draws or more, not {draws}.")
    rows = predictions.reported()
    chosen = positive_class(rows, positive)
    shown = shown_classes(rows, chosen)
    drawn = draw(rows, shown, chosen, draws=draws, seed=seed)
    ones = np.ones((len(rows), 1))
    estimates = [
        _estimate(rows, metric, float(value[0]), drawn.metrics[metric])
        for metric, value in metrics(rows, ones, shown).items()
    ]
    for c, gaps in drawn.gaps.items():
        estimates += _calibration_errors(rows, c, gaps)
    counts = confusion(rows.truth, rows.probabilities.argmax(axis=1), len(rows.classes), ones)
    happened = {c: rows.truth == c for c in shown}
    both = [c for c in shown if happened[c].any() and not happened[c].all()]
    return Evaluation(
        estimates={estimate.name: estimate for estimate in estimates},
        classes=rows.classes,
        positive=chosen,
        counts=counts[..., 0].astype(np.int64),
        roc=tuple(_roc(rows, c, drawn.sensitivities[c]) for c in both),
        calibration=tuple(
            calibration_curve(
                rows.classes[c], rows.probabilities[:, c], happened[c], rows.subject_id
            )
            for c in shown
        ),
        decision=_decision(rows, chosen, drawn.net_benefit) if chosen in both else None,
        n=len(rows),
        n_subjects=rows.n_subjects,
        part=str(rows.part[0]),
        draws=draws,
        seed=seed,
        simulated=rows.simulated,
    )


def positive_class(predictions: Predictions, positive: str | None) -> int:
    """Index of the class that decisions are about: the last, unless another is named.

    Raises:
        InputError: There is no such class.
    """
    if positive is None:
        return len(predictions.classes) - 1
    if positive not in predictions.classes:
        raise InputError(
            f"There is no class {positive!r}; the classes are {', '.join(predictions.classes)}."
        )
    return predictions.classes.index(positive)


def shown_classes(predictions: Predictions, positive: int) -> tuple[int, ...]:
    """Classes with numbers of their own: of two, one says all, the other being its mirror."""
    k = len(predictions.classes)
    return (positive,) if k == 2 else tuple(range(k))


def _estimate(
    rows: Predictions, metric: Metric, value: float, drawn: NDArray[np.float64]
) -> Estimate:
    name, behind = metric.name(rows.classes), metric.rows(rows)
    n = int(behind.sum())
    if not math.isfinite(value):
        return Estimate(name, math.nan, math.nan, math.nan, n, NO_VALUE)
    low, high = (float(end) for end in percentile_interval(drawn))
    if not math.isfinite(low):
        return Estimate(name, value, math.nan, math.nan, n, FEW_DRAWS)
    if high - low > SPREAD:
        return Estimate(name, value, low, high, n)
    if metric.kind in SHARES:
        ends = wilson_interval(value, len(np.unique(rows.subject_id[behind])))
        return Estimate(name, value, float(ends[0]), float(ends[1]), n, WILSON)
    return Estimate(name, value, math.nan, math.nan, n, NO_SPREAD)


def _calibration_errors(rows: Predictions, c: int, drawn: NDArray[np.float64]) -> list[Estimate]:
    gaps = calibration_gaps(*stated_and_happened(rows, c), np.ones((len(rows), 1)))[:, 0]
    value = float(expected_calibration_error(gaps))
    low, high, chance = calibration_error_interval(gaps, drawn)
    found = [Estimate(Metric("ece", c).name(rows.classes), value, low, high, len(rows))]
    if c == ALL:
        ends = percentile_interval(expected_calibration_error(drawn - gaps[:, None]))
        found.append(Estimate("ece_by_chance", chance, float(ends[0]), float(ends[1]), len(rows)))
    return found


def _roc(rows: Predictions, c: int, sensitivities: NDArray[np.float64]) -> RocCurve:
    false_rate, true_rate = roc_points(rows.probabilities[:, c], rows.truth == c)
    low, high = percentile_interval(sensitivities.T)
    return RocCurve(rows.classes[c], false_rate, true_rate, low, high)


def _decision(rows: Predictions, c: int, drawn: NDArray[np.float64]) -> DecisionCurve:
    thresholds, positive = np.array(THRESHOLDS), rows.truth == c
    ones = np.ones((len(rows), 1))
    low, high = percentile_interval(drawn.T)
    return DecisionCurve(
        name=rows.classes[c],
        threshold=thresholds,
        net_benefit=net_benefit(rows.probabilities[:, c], positive, thresholds, ones)[:, 0],
        low=low,
        high=high,
        treat_all=net_benefit(np.ones(len(rows)), positive, thresholds, ones)[:, 0],
    )
