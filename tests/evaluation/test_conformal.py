"""Conformal sets: the promise kept in simulation, and what they are made of."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from osteoscope.core.errors import InputError
from osteoscope.evaluation.conformal import (
    EVERY_CLASS,
    conformal_report,
    fit_conformal,
    prediction_sets,
)
from tests.evaluation.made_predictions import made_predictions


def overconfident(n: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.int_]]:
    """Probabilities that are too sure, as networks give; the promise does not need calibration."""
    truth = rng.choice(3, n, p=[0.53, 0.35, 0.12])
    logits = rng.normal(size=(n, 3))
    logits[np.arange(n), truth] += 1.0
    p = np.exp(2.5 * logits)
    return p / p.sum(axis=1, keepdims=True), truth


@pytest.mark.parametrize("class_conditional", [False, True])
@pytest.mark.parametrize("method", ["lac", "aps"])
@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_the_promise_is_kept_and_not_by_far_exceeded(
    method: str, coverage: float, class_conditional: bool
) -> None:
    """Coverage is at least that promised, and at most 1 / (n + 1) more, on average over fits;
    sets of aps are larger, since each is made to hold its most probable class."""
    rng = np.random.default_rng(1)
    held: list[NDArray[np.bool_]] = []
    classes = []
    for _ in range(300):
        p, truth = overconfident(160, rng)
        thresholds = fit_conformal(p[:120], truth[:120], coverage, method, class_conditional)
        sets = prediction_sets(p[120:], thresholds, method)
        held.append(sets[np.arange(40), truth[120:]])
        classes.append(truth[120:])
    inside, truth = np.concatenate(held), np.concatenate(classes)
    slack = 0.01
    assert inside.mean() >= coverage - slack
    if method == "lac" and not class_conditional:
        assert inside.mean() <= coverage + 1 / 121 + slack
    if class_conditional:
        for c in range(3):
            assert inside[truth == c].mean() >= coverage - 2 * slack


def test_the_threshold_is_the_quantile_of_its_rank() -> None:
    """Nine scores at 0.90: rank 9, the largest; eight: none is enough."""
    p = np.array([[x, 1 - x] for x in (0.9, 0.8, 0.7, 0.95, 0.6, 0.55, 0.85, 0.65, 0.2)])
    truth = np.zeros(9, dtype=int)
    assert fit_conformal(p, truth, 0.9) == pytest.approx((0.8,))
    assert fit_conformal(p[:8], truth[:8], 0.9) == (EVERY_CLASS,)
    assert prediction_sets(p, (EVERY_CLASS,)).all()
    assert prediction_sets(p, (EVERY_CLASS,), "aps").all()
    # Rank ceil(10 * 0.5) = 5 of 0.05 0.1 0.15 0.2 0.3 ...
    assert fit_conformal(p, truth, 0.5) == pytest.approx((0.3,))


def test_sets_of_each_method() -> None:
    p = np.array([[0.5, 0.3, 0.2], [0.34, 0.33, 0.33], [0.9, 0.06, 0.04]])
    assert prediction_sets(p, (0.6,)).tolist() == [
        [True, False, False],
        [False, False, False],
        [True, False, False],
    ]
    # Cumulative: 0.5 0.8 1.0; 0.34 0.67 1.0; 0.9 0.96 1.0, and always the most probable.
    assert prediction_sets(p, (0.8,), "aps").tolist() == [
        [True, True, False],
        [True, True, False],
        [True, False, False],
    ]
    assert prediction_sets(p, (0.6, 0.75, 0.0)).tolist()[0] == [True, True, False]


def test_a_higher_promise_never_makes_sets_smaller() -> None:
    p, truth = overconfident(300, np.random.default_rng(0))
    for method in ("lac", "aps"):
        sets = [
            prediction_sets(p, fit_conformal(p, truth, c, method), method) for c in (0.5, 0.8, 0.95)
        ]
        assert (sets[0] <= sets[1]).all()
        assert (sets[1] <= sets[2]).all()


def test_the_report_fits_on_validation_and_tests_on_test_by_fold() -> None:
    made = made_predictions(200)
    part = np.where(np.arange(200) % 2 == 0, "validation", "test")
    fold = np.arange(200) // 100
    report = conformal_report(dataclasses.replace(made, part=part, fold=fold), 0.9)
    assert report is not None
    held = []
    for f in (0, 1):
        fit, test = (fold == f) & (part == "validation"), (fold == f) & (part == "test")
        thresholds = fit_conformal(made.probabilities[fit], made.truth[fit], 0.9)
        sets = prediction_sets(made.probabilities[test], thresholds)
        held.append(sets[np.arange(50), made.truth[test]])
    assert report.coverage.value == np.mean(held)
    assert report.coverage.n == 100
    assert set(report.by_class) == set(made.classes)
    assert 1 <= report.mean_size <= 3


def test_without_validation_there_is_no_report() -> None:
    made = made_predictions(40)
    assert conformal_report(made) is None
    part = np.where(np.arange(40) < 20, "validation", "test")
    split = dataclasses.replace(made, part=part, fold=np.arange(40) // 30)
    assert conformal_report(split) is None


def test_wrong_use_is_said() -> None:
    p = np.full((4, 2), 0.5)
    with pytest.raises(InputError, match="between 0 and 1"):
        fit_conformal(p, np.zeros(4, int), 1.0)
    with pytest.raises(InputError, match="lac, aps"):
        fit_conformal(p, np.zeros(4, int), 0.9, "raps")
    with pytest.raises(InputError, match="1 or 2 conformal thresholds, not 3"):
        prediction_sets(p, (0.1, 0.2, 0.3))
