"""Net benefit by its definition."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from osteoscope.evaluation import evaluate
from osteoscope.evaluation.decision_curve import net_benefit
from tests.evaluation.made_predictions import made_predictions, ones


def test_net_benefit_by_counting() -> None:
    """At 0.2: 3 true and 2 false positives of 10, 0.3 - 0.2 * 0.25 = 0.25; 0.2 itself counts."""
    p = np.array([0.9, 0.5, 0.2, 0.1, 0.3, 0.2, 0.0, 0.1, 0.05, 0.19])
    y = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], dtype=bool)
    assert net_benefit(p, y, np.array([0.2]), ones(10))[0, 0] == pytest.approx(0.25)


def test_curve_starts_at_treating_all_and_ends_at_treating_none() -> None:
    made = made_predictions(200)
    made = dataclasses.replace(made, probabilities=0.9 * made.probabilities + 0.1 / 3)
    curve = evaluate(made, draws=200).decision
    assert curve is not None
    share = (made.truth == 2).mean()
    assert curve.name == "osteoporosis"
    assert curve.treat_all == pytest.approx(
        [share - (1 - share) * t / (1 - t) for t in curve.threshold]
    )
    smallest = made.probabilities[:, 2].min()
    same = curve.threshold < smallest
    assert same.any()
    np.testing.assert_allclose(curve.net_benefit[same], curve.treat_all[same])
    assert curve.net_benefit[curve.threshold > made.probabilities[:, 2].max()] == pytest.approx(0)
    assert (curve.low <= curve.net_benefit + 1e-12).all()
    assert (curve.net_benefit <= curve.high + 1e-12).all()


def test_another_class_can_be_the_one_that_is_acted_upon() -> None:
    made = made_predictions(100)
    curve = evaluate(made, draws=100, positive="normal").decision
    assert curve is not None
    expected = net_benefit(made.probabilities[:, 0], made.truth == 0, np.array([0.3]), ones(100))
    assert curve.net_benefit[29] == pytest.approx(expected[0, 0])
