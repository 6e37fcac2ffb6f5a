"""Heads against SciPy's distributions and the chain rule written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit

from osteoscope.core.errors import InputError
from osteoscope.learning.heads import (
    HEADS,
    SMALLEST_GAP,
    CornHead,
    CumulativeHead,
    JointHead,
    ThreeClassHead,
    TScoreHead,
    create_head,
)

EXACT = ("corn", "cumulative", "t-score")
RNG = np.random.default_rng(7)


def _raw(outputs, spread=3.0, rows=50):
    values = np.random.default_rng(outputs).normal(0, spread, (rows, outputs))
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("name", HEADS)
def test_a_head_gives_three_logits_from_its_outputs(name):
    head = create_head(name)
    raw = _raw(head.outputs)
    assert head.name == name
    assert head.class_logits(raw).shape == (50, 3)
    t_score = head.t_score(raw)
    assert (t_score is None) == (name not in {"t-score", "joint"})
    assert t_score is None or t_score.shape == (50,)


def test_an_unknown_head_lists_the_known_ones():
    with pytest.raises(InputError, match="known: three-class, corn, cumulative, t-score, joint"):
        create_head("coral")


def test_corn_multiplies_conditional_probabilities():
    raw = _raw(2)
    beyond = expit(raw.numpy())
    first, second = beyond[:, 0], beyond[:, 0] * beyond[:, 1]
    expected = np.stack([1 - first, first - second, second], axis=1)
    assert CornHead().class_logits(raw).exp().numpy() == pytest.approx(expected, abs=1e-12)


def test_cumulative_differs_two_logistic_probabilities():
    raw = _raw(2)
    a, gap = raw.numpy()[:, 0], np.log1p(np.exp(raw.numpy()[:, 1])) + SMALLEST_GAP
    upper, lower = expit(a), expit(a - gap)
    expected = np.stack([1 - upper, upper - lower, lower], axis=1)
    assert CumulativeHead().class_logits(raw).exp().numpy() == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("sd", [0.3, 0.8, 2.0])
def test_the_t_score_head_is_a_logistic_distribution_cut_twice(sd):
    raw = _raw(1, spread=2.0)
    about = stats.logistic(loc=raw.numpy()[:, 0], scale=sd * np.sqrt(3) / np.pi)
    assert about.std() == pytest.approx(sd)
    low, high = about.cdf(-2.5), about.cdf(-1.0)
    expected = np.stack([1 - high, high - low, low], axis=1)
    head = TScoreHead(residual_sd=sd)
    assert head.class_logits(raw).exp().numpy() == pytest.approx(expected, abs=1e-8)
    assert head.t_score(raw).numpy() == pytest.approx(raw.numpy()[:, 0])


def test_a_t_score_far_from_the_cut_offs_is_its_own_class():
    raw = torch.tensor([[0.5], [-1.75], [-4.0]])
    assert TScoreHead(0.2).class_logits(raw).argmax(1).tolist() == [0, 1, 2]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(EXACT),
    values=st.lists(st.floats(-300, 300, width=32), min_size=2, max_size=2),
)
def test_probabilities_add_up_to_one_and_no_class_is_impossible(name, values):
    head = create_head(name)
    logs = head.class_logits(torch.tensor([values[: head.outputs]], dtype=torch.float32))
    assert torch.isfinite(logs).all()
    assert float(logs.exp().sum()) == pytest.approx(1.0, abs=1e-5)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(["cumulative", "t-score"]),
    start=st.floats(-5, 5),
    step=st.floats(0.01, 5),
    gap=st.floats(-3, 3),
)
def test_more_severe_is_more_severe_at_both_thresholds(name, start, step, gap):
    head = create_head(name)
    sign = -1.0 if name == "t-score" else 1.0
    raw = torch.tensor([[sign * start, gap], [sign * (start + step), gap]], dtype=torch.float64)
    shares = head.class_logits(raw[:, : head.outputs]).exp()
    beyond = torch.stack([shares[:, 1] + shares[:, 2], shares[:, 2]], dim=1)
    assert (beyond[1] >= beyond[0]).all()


@pytest.mark.parametrize("name", HEADS)
def test_gradients_are_those_of_finite_differences(name):
    head = create_head(name)
    raw = _raw(head.outputs, rows=4).requires_grad_()
    assert torch.autograd.gradcheck(head.class_logits, (raw,))


@pytest.mark.parametrize("name", HEADS)
def test_half_precision_is_raised_before_logarithms(name):
    head = create_head(name)
    logs = head.class_logits(torch.full((2, head.outputs), 40.0, dtype=torch.bfloat16))
    assert logs.dtype == torch.float32
    assert torch.isfinite(logs).all()


def test_joint_takes_its_parts_apart():
    raw = _raw(4)
    assert torch.equal(JointHead().class_logits(raw), raw[:, :3])
    assert torch.equal(JointHead().t_score(raw), raw[:, 3])
    assert torch.equal(ThreeClassHead().class_logits(raw[:, :3]), raw[:, :3])


def test_the_fitted_spread_is_the_root_mean_square_of_known_residuals():
    truth = np.array([-1.0, -2.0, np.nan, 0.0])
    fitted = TScoreHead().fitted(np.array([-1.3, -1.6, 9.0, 0.0]), truth)
    assert fitted.residual_sd == pytest.approx(np.sqrt((0.3**2 + 0.4**2) / 3))


def test_the_fitted_spread_calibrates_the_classes():
    truth = RNG.logistic(-1.5, 0.5, 40_000)
    predicted = truth * 0 - 1.5
    head = TScoreHead().fitted(predicted, truth)
    shares = head.class_logits(torch.tensor(predicted[:1, None])).exp().numpy()[0]
    met = [np.mean(truth >= -1), np.mean((truth < -1) & (truth > -2.5)), np.mean(truth <= -2.5)]
    assert shares == pytest.approx(met, abs=0.01)


@pytest.mark.parametrize("truth", [[np.nan, np.nan, -1.0], [-1.0, -1.0, -1.0]])
def test_a_spread_needs_residuals(truth):
    with pytest.raises(InputError):
        TScoreHead().fitted(np.full(3, -1.0), np.array(truth))


@pytest.mark.parametrize("sd", [0.0, -1.0, np.inf])
def test_a_spread_is_above_zero(sd):
    with pytest.raises(InputError, match="above 0"):
        TScoreHead(residual_sd=sd)
