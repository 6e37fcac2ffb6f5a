"""Each metric against scikit-learn, against hand counts, and against rows that stand twice."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from osteoscope.core.predictions import Predictions
from osteoscope.evaluation import agreement, confusion, ranking
from osteoscope.evaluation.metrics import metrics, plain_metrics
from tests.evaluation.made_predictions import CLASSES, made_predictions, ones


def rounded(predictions: Predictions, digits: int) -> Predictions:
    """Few digits make ties, in scores and between classes."""
    p = np.round(predictions.probabilities, digits)
    p[:, -1] = 1 - p[:, :-1].sum(axis=1)
    return Predictions(
        predictions.subject_id, predictions.truth, np.clip(p, 0, 1), predictions.classes
    )


@pytest.mark.parametrize("digits", [15, 1])
@pytest.mark.parametrize("seed", range(5))
def test_every_metric_equals_scikit_learn(seed: int, digits: int) -> None:
    made = rounded(made_predictions(90, seed), digits)
    y, p = made.truth, made.probabilities
    predicted = p.argmax(axis=1)
    happened = y[:, None] == np.arange(3)
    expected = {
        "accuracy": oracle.accuracy_score(y, predicted),
        "macro_sensitivity": oracle.recall_score(y, predicted, average="macro"),
        "weighted_f1": oracle.f1_score(y, predicted, average="weighted"),
        "macro_auc": oracle.roc_auc_score(y, p, multi_class="ovr", average="macro"),
        "quadratic_kappa": oracle.cohen_kappa_score(y, predicted, weights="quadratic"),
        "brier": oracle.brier_score_loss(y, p, labels=[0, 1, 2]),
        "log_loss": oracle.log_loss(y, p, labels=[0, 1, 2]),
    }
    for c, name in enumerate(CLASSES):
        expected[f"auc_{name}"] = oracle.roc_auc_score(happened[:, c], p[:, c])
        expected[f"auprc_{name}"] = oracle.average_precision_score(happened[:, c], p[:, c])
        expected[f"sensitivity_{name}"] = oracle.recall_score(
            happened[:, c], predicted == c, zero_division=np.nan
        )
        expected[f"specificity_{name}"] = oracle.recall_score(
            ~happened[:, c], predicted != c, zero_division=np.nan
        )
        false, true, _ = oracle.roc_curve(happened[:, c], p[:, c], drop_intermediate=False)
        for percent in (90, 95):
            reached = true[false <= 1 - percent / 100 + 1e-9].max()
            expected[f"sensitivity_at_specificity_{percent}_{name}"] = reached
    expected["macro_specificity"] = np.mean([expected[f"specificity_{name}"] for name in CLASSES])
    found = plain_metrics(made)
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-12), name


def test_two_classes_equal_scikit_learn() -> None:
    made = made_predictions(60, classes=("no", "yes"))
    y, p = made.truth, made.probabilities
    found = plain_metrics(made)
    assert found["macro_auc"] == pytest.approx(oracle.roc_auc_score(y, p[:, 1]))
    assert found["brier"] == pytest.approx(oracle.brier_score_loss(y, p[:, 1]))
    assert found["quadratic_kappa"] == pytest.approx(oracle.cohen_kappa_score(y, p.argmax(axis=1)))


def test_the_papers_accuracy_is_its_macro_sensitivity_on_even_classes() -> None:
    """51 of 78 right, 26 of each class: the paper's best row, 65.38 %; specificity 82.69 %."""
    counts = np.array([[20, 4, 2], [5, 15, 6], [3, 7, 16]], dtype=np.float64)[..., None]
    assert confusion.accuracy(counts)[0] * 100 == pytest.approx(65.38, abs=0.005)
    assert confusion.macro_sensitivity(counts)[0] * 100 == pytest.approx(65.38, abs=0.005)
    assert confusion.macro_specificity(counts)[0] * 100 == pytest.approx(82.69, abs=0.005)


def test_limits_of_agreement_of_the_published_example() -> None:
    """Bland & Altman, Lancet 1986, table: peak flow by two meters: -2.1, SD 38.8, -79.7 to 75.5
    l/min with 2 SD; here 1.96."""
    large = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
    mini = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
    found = agreement.bland_altman(np.subtract(large, mini).astype(float), ones(17))
    assert found["bias"][0] == pytest.approx(-2.1, abs=0.05)
    assert found["sd"][0] == pytest.approx(38.8, abs=0.05)
    assert found["bias"][0] - 2 * found["sd"][0] == pytest.approx(-79.7, abs=0.1)
    assert found["bias"][0] + 2 * found["sd"][0] == pytest.approx(75.5, abs=0.1)
    assert found["loa_high"][0] == pytest.approx(found["bias"][0] + 1.96 * found["sd"][0], abs=0.01)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3))
def test_a_weight_equals_a_row_that_stands_as_often(seed: int, digits: int) -> None:
    made = made_predictions(40, seed)
    made = Predictions(
        made.subject_id,
        made.truth,
        rounded(made, digits).probabilities,
        made.classes,
        t_score=made.t_score,
        t_score_predicted=made.t_score_predicted,
    )
    counts = np.random.default_rng(seed).integers(0, 4, size=40)
    weighted = metrics(made, counts[:, None].astype(float))
    repeated = metrics(made.select(np.repeat(np.arange(40), counts)), ones(counts.sum()))
    for metric, value in weighted.items():
        np.testing.assert_allclose(value, repeated[metric], rtol=1e-9, err_msg=metric.kind)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_the_order_of_rows_does_not_matter(seed: int) -> None:
    made = made_predictions(50, seed)
    order = np.random.default_rng(seed).permutation(50)
    one, other = plain_metrics(made), plain_metrics(made.select(order))
    for name in one:
        assert one[name] == pytest.approx(other[name], nan_ok=True)


scores = arrays(np.float64, 30, elements=st.floats(-5, 5).map(lambda x: round(x, 1)))


@settings(max_examples=50, deadline=None)
@given(scores, arrays(np.bool_, 30))
def test_ranking_knows_only_the_order(values: NDArray[np.float64], y: NDArray[np.bool_]) -> None:
    one = ranking.rank_positives(values, y, ones(30))
    other = ranking.rank_positives(np.exp(values), y, ones(30))
    mirrored = ranking.rank_positives(-values, y, ones(30))
    for measure in (ranking.auc, ranking.average_precision):
        np.testing.assert_array_equal(measure(one), measure(other))
    both_kinds = bool(y.any() and not y.all())
    np.testing.assert_allclose(
        ranking.auc(one) + ranking.auc(mirrored), 1.0 if both_kinds else np.nan
    )


def test_the_roc_curve_encloses_the_auc() -> None:
    made = made_predictions(80)
    y, p = made.truth == 2, made.probabilities[:, 2]
    false, true = ranking.roc_points(p, y)
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(true, false) == pytest.approx(oracle.roc_auc_score(y, p))


def test_what_cannot_be_computed_is_nan() -> None:
    made = made_predictions(60)
    found = plain_metrics(made.select(made.truth != 2))
    absent = {name for name, value in found.items() if np.isnan(value)}
    assert absent >= {"macro_auc", "auc_osteoporosis", "macro_sensitivity"}
    assert "accuracy" not in absent
    assert "macro_specificity" not in absent
