"""Calibration curves and errors: hand counts, and whether the intervals cover."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from osteoscope.evaluation import evaluate
from osteoscope.evaluation.calibration import (
    calibration_curve,
    calibration_error_interval,
    calibration_gaps,
    expected_calibration_error,
)
from osteoscope.evaluation.resampling import draw_counts
from tests.evaluation.made_predictions import made_predictions, ones


def by_loop(p: NDArray[np.float64], y: NDArray[np.bool_]) -> float:
    """The error as it is written in papers: bins, shares, weights."""
    total = 0.0
    for b in range(10):
        inside = [i for i in range(len(p)) if b == min(int(p[i] * 10), 9)]
        if inside:
            gap = np.mean([y[i] for i in inside]) - np.mean([p[i] for i in inside])
            total += len(inside) / len(p) * abs(gap)
    return total


def test_error_equals_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    p = np.concatenate([rng.random(200), [0.0, 1.0, 0.3]])
    y = rng.random(203) < p
    found = expected_calibration_error(calibration_gaps(p, y, ones(203)))[0]
    assert found == pytest.approx(by_loop(p, y))


def test_a_weight_equals_a_row_that_stands_as_often() -> None:
    rng = np.random.default_rng(1)
    p, w = rng.random(50), rng.integers(0, 4, 50)
    y = rng.random(50) < p
    weighted = calibration_gaps(p, y, w[:, None].astype(float))
    repeated = calibration_gaps(np.repeat(p, w), np.repeat(y, w), ones(w.sum()))
    np.testing.assert_allclose(weighted, repeated)


@pytest.mark.parametrize(("slope", "true_error"), [(1.0, 0.0), (0.3, 0.147)])
def test_intervals_cover_the_error_of_models_calibrated_and_not(
    slope: float, true_error: float
) -> None:
    """A model says sigmoid(z), the truth is sigmoid(slope z): 0.147 by two million rows."""
    rng = np.random.default_rng(7)
    covered = percentile_covered = 0
    for trial in range(100):
        z = rng.normal(0, 1.5, 200)
        p, y = 1 / (1 + np.exp(-z)), rng.random(200) < 1 / (1 + np.exp(-slope * z))
        (weights,) = draw_counts(np.arange(200).astype(str), y.astype(int), draws=300, seed=trial)
        gaps = calibration_gaps(p, y, ones(200))[:, 0]
        drawn = calibration_gaps(p, y, weights)
        low, high, _ = calibration_error_interval(gaps, drawn)
        covered += low <= true_error + 0.002 <= high + 0.004
        percentile = np.quantile(expected_calibration_error(drawn), [0.025, 0.975])
        percentile_covered += percentile[0] <= true_error <= percentile[1]
    assert covered >= 88
    if slope == 1.0:
        assert percentile_covered == 0


def test_chance_alone_explains_the_error_of_a_calibrated_model() -> None:
    rng = np.random.default_rng(3)
    p = rng.random(300)
    y = rng.random(300) < p
    (weights,) = draw_counts(np.arange(300).astype(str), y.astype(int), draws=500, seed=0)
    gaps = calibration_gaps(p, y, ones(300))[:, 0]
    _, _, chance = calibration_error_interval(gaps, calibration_gaps(p, y, weights))
    simulated = [
        float(expected_calibration_error(calibration_gaps(p, rng.random(300) < p, ones(300)))[0])
        for _ in range(300)
    ]
    assert chance == pytest.approx(np.mean(simulated), rel=0.12)


def test_curve_has_every_row_once_and_counts_subjects() -> None:
    p = np.repeat(np.linspace(0.05, 0.95, 40), 2)
    y = np.tile([True, False], 40)
    names = np.repeat(np.arange(40), 2).astype(str)
    curve = calibration_curve("x", p, y, names)
    assert curve.n.sum() == 80
    assert (np.diff(curve.predicted) > 0).all()
    assert (curve.observed == 0.5).all()
    alone = calibration_curve("x", p, y, np.arange(80).astype(str))
    assert (curve.high - curve.low > alone.high - alone.low).all()


def test_equal_probabilities_share_a_bin() -> None:
    p = np.array([0.2] * 50 + [0.9] * 30)
    curve = calibration_curve("x", p, np.arange(80) < 60, np.arange(80).astype(str))
    assert curve.n.tolist() == [50, 30]
    assert curve.observed == pytest.approx([1.0, 1 / 3])


def test_evaluation_holds_the_errors_of_the_surest_and_of_each_class() -> None:
    made = made_predictions(150)
    found = evaluate(made, draws=200)
    p, y = made.probabilities, made.truth
    assert found["ece"].value == pytest.approx(by_loop(p.max(axis=1), p.argmax(axis=1) == y))
    assert found["ece_osteopenia"].value == pytest.approx(by_loop(p[:, 1], y == 1))
    assert found["ece"].low <= found["ece"].value <= found["ece"].high
    assert 0 < found["ece_by_chance"].value < 0.2
