"""Two models on the same subjects."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import scipy.stats

from osteoscope.core.errors import InputError
from osteoscope.core.predictions import Predictions
from osteoscope.evaluation import compare
from osteoscope.evaluation.compare import mcnemar_p, paired
from osteoscope.evaluation.metrics import plain_metrics
from tests.evaluation.made_predictions import made_predictions


def another(made: Predictions, seed: int, strength: float) -> Predictions:
    """Another model on the same subjects."""
    logits = np.random.default_rng(seed).normal(size=made.probabilities.shape)
    logits[np.arange(len(made)), made.truth] += strength
    p = np.exp(logits)
    return dataclasses.replace(made, probabilities=p / p.sum(axis=1, keepdims=True))


def test_a_model_does_not_differ_from_itself() -> None:
    made = made_predictions(80)
    found = compare(made, made, draws=200)
    for difference in found.differences.values():
        assert (difference.value, difference.low, difference.high, difference.p) == (0, 0, 0, 1)
    assert found.mcnemar_p == 1
    assert {d.p for d in found.delong.values()} == {1.0}


def test_a_better_model_is_found_better_and_the_order_turns_the_sign() -> None:
    weak = made_predictions(150, strength=0.3)
    strong = another(weak, 9, 2.5)
    there, back = compare(strong, weak, draws=400), compare(weak, strong, draws=400)
    a, b = plain_metrics(strong), plain_metrics(weak)
    for name in ("macro_auc", "accuracy", "auc_osteoporosis"):
        difference = there.differences[name]
        assert difference.value == pytest.approx(a[name] - b[name])
        assert 0 < difference.low < difference.value < difference.high
        assert difference.p < 0.05
        assert back.differences[name].low == pytest.approx(-difference.high)
    assert there.delong["osteoporosis"].p < 0.05
    assert there.mcnemar_p < 0.05
    assert there.only_a_right - there.only_b_right == pytest.approx(
        150 * there.differences["accuracy"].value
    )


def test_bootstrap_and_delong_agree() -> None:
    made = made_predictions(200)
    other = another(made, 4, 1.3)
    found = compare(other, made, draws=3000)
    by_draws, by_ranks = found.differences["auc_normal"], found.delong["normal"]
    assert by_draws.value == pytest.approx(by_ranks.difference)
    width = by_ranks.high - by_ranks.low
    assert by_draws.high - by_draws.low == pytest.approx(width, rel=0.1)
    assert by_draws.p == pytest.approx(by_ranks.p, abs=0.03)


def test_p_of_equal_models_is_even() -> None:
    """Of 60 pairs of equally good models about 1 in 20 differs at 5 %, not 1 in 4."""
    low = 0
    for seed in range(60):
        made = made_predictions(60, seed)
        found = compare(another(made, 1000 + seed, 1.0), made, draws=200)
        low += found.differences["macro_auc"].p < 0.05
    assert low <= 9


def test_rows_are_paired_by_subject_whatever_their_order() -> None:
    made = made_predictions(60)
    other = another(made, 2, 0.5)
    mixed = other.select(np.random.default_rng(0).permutation(60)[:50])
    a, b = paired(made, mixed)
    assert (a.subject_id == b.subject_id).all()
    assert len(a) == 50
    found = compare(made, mixed, draws=100)
    assert (found.n, found.left_out_a, found.left_out_b) == (50, 10, 0)


def test_rows_of_a_subject_are_paired_by_level() -> None:
    made = made_predictions(40)
    two = made.select(np.repeat(np.arange(40), 2))
    level = np.tile(["L1", "L2"], 40)
    a = dataclasses.replace(two, groups={"level": level})
    b = a.select(np.arange(80)[::-1])
    left, right = paired(a, b)
    assert (left.groups["level"] == right.groups["level"]).all()
    assert (left.subject_id == right.subject_id).all()
    found = compare(a, b, draws=100)
    assert found.delong == {}
    assert math.isnan(found.mcnemar_p)
    assert found.n_subjects == 40


def test_mcnemar_equals_scipy() -> None:
    for b, c in ((3, 9), (0, 6), (20, 20), (1, 0)):
        assert mcnemar_p(b, c) == pytest.approx(scipy.stats.binomtest(b, b + c).pvalue)


def test_tables_that_do_not_belong_together_are_refused() -> None:
    made = made_predictions(30)
    renamed = dataclasses.replace(made, subject_id=np.array([f"x{i}" for i in range(30)]))
    with pytest.raises(InputError, match="no subject in common"):
        compare(made, renamed)
    truth = np.where(np.arange(30) == 20, 0, made.truth)
    with pytest.raises(InputError, match=r"different truths.*row 20 and row 20"):
        compare(made, dataclasses.replace(made, truth=truth))
    with pytest.raises(InputError, match="different classes"):
        compare(made, dataclasses.replace(made, classes=("a", "b", "c")))
