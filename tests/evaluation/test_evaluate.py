"""The evaluation as a whole: which rows, which numbers, and what is withheld."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from osteoscope.core.errors import InputError
from osteoscope.core.predictions import Predictions
from osteoscope.evaluation import evaluate
from osteoscope.evaluation.metrics import plain_metrics
from tests.evaluation.made_predictions import made_predictions


def test_every_metric_lies_in_its_interval_and_values_are_the_plain_ones() -> None:
    made = made_predictions(150)
    found = evaluate(made, draws=500)
    plain = plain_metrics(made)
    assert set(plain) <= set(found)
    for name, estimate in found.items():
        if name in plain:
            assert estimate.value == pytest.approx(plain[name])
        assert estimate.low <= estimate.value <= estimate.high, name
        assert estimate.note == ""
    assert found["accuracy"].n == 150
    assert found["sensitivity_osteoporosis"].n == (made.truth == 2).sum()
    assert found["specificity_osteoporosis"].n == (made.truth != 2).sum()
    assert found.counts.sum() == 150
    assert np.trace(found.counts) / 150 == pytest.approx(plain["accuracy"])
    assert [curve.name for curve in found.roc] == list(made.classes)


def test_only_the_test_part_is_reported() -> None:
    made = made_predictions(90)
    part = np.where(np.arange(90) % 3 == 0, "test", "validation")
    mixed = dataclasses.replace(made, part=part)
    test_only = made.select(part == "test")
    assert evaluate(mixed, draws=100)["accuracy"] == evaluate(test_only, draws=100)["accuracy"]
    assert evaluate(mixed, draws=100).part == "test"
    assert evaluate(mixed.select(part == "validation"), draws=100).part == "validation"


def test_the_same_seed_gives_the_same_numbers() -> None:
    made = made_predictions(60)
    one, same, other = (evaluate(made, draws=200, seed=s) for s in (1, 1, 2))
    assert dict(one) == dict(same)
    assert one["brier"].low != other["brier"].low


def test_a_perfect_classifier_gets_wilson_where_draws_agree_and_no_interval_elsewhere() -> None:
    truth = np.repeat([0, 1, 2], 13)
    p = np.eye(3)[truth] * 0.7 + 0.1
    found = evaluate(Predictions(np.arange(39).astype(str), truth, p, ("a", "b", "c")), draws=100)
    sensitivity = found["sensitivity_c"]
    # 13 of 13: Wilson's lower end is 13 / (13 + 1.96^2).
    assert sensitivity.low == pytest.approx(13 / (13 + 1.959964**2), abs=1e-6)
    assert (sensitivity.value, sensitivity.high) == (1.0, 1.0)
    assert "Wilson" in sensitivity.note
    assert found["macro_auc"].value == 1.0
    assert math.isnan(found["macro_auc"].low)
    assert found["macro_auc"].note
    assert found["macro_auc"].to_json()["low"] is None


def test_a_class_without_rows_leaves_the_rest() -> None:
    made = made_predictions(90)
    found = evaluate(made.select(made.truth != 2), draws=100)
    assert math.isnan(found["macro_auc"].value)
    assert found["macro_auc"].note
    assert found["accuracy"].low < found["accuracy"].value
    assert found.decision is None
    assert [curve.name for curve in found.roc] == ["normal", "osteopenia"]


def test_two_classes_show_the_positive_one_alone() -> None:
    made = made_predictions(80, classes=("no", "yes"))
    found = evaluate(made, draws=100)
    assert "auc_yes" in found
    assert "auc_no" not in found
    other = evaluate(made, draws=100, positive="no")
    assert other["sensitivity_no"].value == found["specificity_yes"].value


def test_rows_of_one_subject_widen_the_interval() -> None:
    """Each row three times says nothing new: the interval stays as wide as of the single rows."""
    made = made_predictions(90)
    tripled = made.select(np.repeat(np.arange(90), 3))
    single, triple = (evaluate(p, draws=1500)["macro_auc"] for p in (made, tripled))
    assert triple.value == pytest.approx(single.value)
    assert triple.high - triple.low == pytest.approx(single.high - single.low, rel=0.1)


def test_t_scores_may_be_known_of_some() -> None:
    made = made_predictions(60)
    half = np.where(np.arange(60) < 30, made.t_score_predicted, np.nan)
    found = evaluate(dataclasses.replace(made, t_score_predicted=half), draws=100)
    expected = np.abs(half - made.t_score)[:30].mean()
    assert found["t_score_mae"].value == pytest.approx(expected)
    assert found["t_score_mae"].n == 30
    none = dataclasses.replace(made, t_score=np.full(60, np.nan))
    assert "t_score_mae" not in evaluate(none, draws=100)


def test_wrong_use_is_said() -> None:
    made = made_predictions(30)
    with pytest.raises(InputError, match="100 draws or more, not 10"):
        evaluate(made, draws=10)
    with pytest.raises(InputError, match="normal, osteopenia, osteoporosis"):
        evaluate(made, positive="fracture")
