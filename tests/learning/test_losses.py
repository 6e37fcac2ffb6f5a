"""Each loss against a few lines of NumPy, and what holds for all of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_softmax, softmax

from osteoscope.core.errors import InputError
from osteoscope.learning.heads import HEADS, CornHead, create_head
from osteoscope.learning.losses.class_loss import CLASS_LOSSES, class_loss
from osteoscope.learning.losses.class_losses import weighted_binary_cross_entropy
from osteoscope.learning.losses.class_weights import (
    effective_number_weights,
    inverse_frequency_weights,
)
from osteoscope.learning.losses.ordinal import corn_loss
from osteoscope.learning.losses.regression import t_score_loss
from osteoscope.learning.losses.training_loss import LossConfig, training_loss

COUNTS = (181, 110, 20)
"""The paper's training part: normal, osteopenia, osteoporosis."""
ROWS = 40


def _batch(seed=0, rows=ROWS, k=3):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 2, (rows, k)), rng.integers(0, k, rows)


def _tensors(logits, target):
    return torch.tensor(logits, dtype=torch.float64), torch.tensor(target)


def _reference(name, logits, target, counts):
    """Mean loss, from the formulas as printed."""
    n, rows = np.array(counts, dtype=float), np.arange(len(target))
    p = softmax(logits, axis=1)
    own = p[rows, target]
    if name == "cross_entropy":
        return np.mean(-np.log(own))
    if name == "logit_adjusted":
        adjusted = log_softmax(logits + 0.7 * np.log(n / n.sum()), axis=1)
        return np.mean(-adjusted[rows, target])
    if name == "inverse_frequency":
        weight = (n.sum() / (len(n) * n))[target]
        y = np.eye(len(n))[target]
        terms = y * np.log(p) + (1 - y) * np.log(1 - p)
        return np.mean(-weight * terms.mean(axis=1))
    if name == "focal":
        return np.mean(-((1 - own) ** 1.5) * np.log(own))
    effective = (1 - 0.99**n) / (1 - 0.99)
    weight = len(n) * (1 / effective) / np.sum(1 / effective)
    return np.mean(-weight[target] * np.log(own))


@pytest.mark.parametrize("name", CLASS_LOSSES)
@pytest.mark.parametrize("counts", [COUNTS, (5, 5, 5), (1, 2, 300)])
def test_each_class_loss_equals_its_formula(name, counts):
    logits, target = _batch(3)
    loss = class_loss(name, counts, tau=0.7, gamma=1.5, beta=0.99)
    got = float(loss(*_tensors(logits, target)))
    assert got == pytest.approx(_reference(name, logits, target, counts), rel=1e-10)


@pytest.mark.parametrize("name", CLASS_LOSSES)
def test_gradients_are_those_of_finite_differences(name):
    logits, target = _tensors(*_batch(1, rows=5))
    logits.requires_grad_()
    loss = class_loss(name, COUNTS)
    assert torch.autograd.gradcheck(lambda z: loss(z, target), (logits,))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(sorted(CLASS_LOSSES)),
    seed=st.integers(0, 1000),
    shift=st.floats(-50, 50),
    even=st.integers(1, 500),
)
def test_what_holds_for_every_class_loss(name, seed, shift, even):
    logits, target = _tensors(*_batch(seed))
    loss = class_loss(name, COUNTS)
    value = float(loss(logits, target))
    assert value >= 0
    assert float(loss(logits + shift, target)) == pytest.approx(value, rel=1e-6, abs=1e-9)
    order = torch.randperm(ROWS, generator=torch.Generator().manual_seed(seed))
    assert float(loss(logits[order], target[order])) == pytest.approx(value, rel=1e-9)
    if name not in {"focal", "inverse_frequency"}:
        plain = class_loss("cross_entropy", COUNTS)(logits, target)
        balanced = class_loss(name, (even,) * 3)(logits, target)
        assert float(balanced) == pytest.approx(float(plain), rel=1e-9)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000))
def test_what_switches_a_loss_off_leaves_plain_cross_entropy(seed):
    batch = _tensors(*_batch(seed))
    plain = float(class_loss("cross_entropy", COUNTS)(*batch))
    assert float(class_loss("logit_adjusted", COUNTS, tau=0.0)(*batch)) == pytest.approx(plain)
    assert float(class_loss("focal", COUNTS, gamma=0.0)(*batch)) == pytest.approx(plain)
    assert float(class_loss("effective_number", COUNTS, beta=0.0)(*batch)) == pytest.approx(plain)


def test_equation_1_of_two_classes_is_weighted_binary_cross_entropy():
    logits, target = _batch(5, k=2)
    weights = inverse_frequency_weights((30, 10))
    p = expit(logits[:, 1] - logits[:, 0])
    expected = -weights[target] * (target * np.log(p) + (1 - target) * np.log(1 - p))
    z, y = _tensors(logits, target)
    got = weighted_binary_cross_entropy(z, y, torch.tensor(weights))
    assert got.numpy() == pytest.approx(expected)


def test_inverse_frequency_weights_average_to_one_over_the_rows():
    weights = inverse_frequency_weights(COUNTS)
    assert np.sum(weights * COUNTS) / np.sum(COUNTS) == pytest.approx(1)
    assert weights[2] / weights[0] == pytest.approx(181 / 20)


def test_effective_numbers_go_from_no_weights_to_inverse_frequency():
    # Cui et al. (2019), section 3: n = 1 has the effective number 1.
    assert effective_number_weights((1, 1), 0.9) == pytest.approx([1, 1])
    assert effective_number_weights(COUNTS, 0.0) == pytest.approx([1, 1, 1])
    nearly = effective_number_weights(COUNTS, 1 - 1e-10)
    inverse = inverse_frequency_weights(COUNTS)
    assert nearly / nearly[0] == pytest.approx(inverse / inverse[0], rel=1e-6)


@pytest.mark.parametrize("name", ["logit_adjusted", "inverse_frequency", "effective_number"])
def test_a_class_without_a_row_cannot_be_weighed(name):
    with pytest.raises(InputError, match=r"Every class needs a training row.*\[5, 3, 0\]"):
        class_loss(name, (5, 3, 0))
    assert class_loss("cross_entropy", (5, 3, 0)) is not None


@pytest.mark.parametrize("name", CLASS_LOSSES)
def test_sure_and_wrong_stays_finite(name):
    logits = torch.tensor([[400.0, -400.0, 0.0], [0.0, 90.0, 0.0]], requires_grad=True)
    loss = class_loss(name, COUNTS)(logits, torch.tensor([1, 1]))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", CLASS_LOSSES)
def test_rows_of_unknown_class_do_not_count(name):
    logits, target = _tensors(*_batch(2, rows=6))
    loss = class_loss(name, COUNTS)
    known = float(loss(logits[:4], target[:4]))
    target[4:] = -1
    logits.requires_grad_()
    value = loss(logits, target)
    value.backward()
    assert value.item() == pytest.approx(known)
    assert torch.equal(logits.grad[4:], torch.zeros(2, 3, dtype=torch.float64))
    assert loss(logits, torch.full_like(target, -1)).item() == 0.0


def _corn_reference(raw, target):
    """Task by task, on the rows that reached it."""
    total, pairs = 0.0, 0
    for k in range(raw.shape[1]):
        reached = target >= k
        p = expit(raw[reached, k])
        beyond = target[reached] > k
        total -= np.sum(np.where(beyond, np.log(p), np.log(1 - p)))
        pairs += reached.sum()
    return total / pairs


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), ranks=st.integers(2, 5))
def test_corn_equals_its_tasks_summed(seed, ranks):
    rng = np.random.default_rng(seed)
    raw, target = rng.normal(0, 2, (20, ranks - 1)), rng.integers(0, ranks, 20)
    assert float(corn_loss(*_tensors(raw, target))) == pytest.approx(_corn_reference(raw, target))


def test_corn_is_its_heads_likelihood_but_for_the_divisor():
    raw, target = _batch(4, k=2)
    target = np.random.default_rng(4).integers(0, 3, ROWS)
    z, y = _tensors(raw, target)
    likelihood = class_loss("cross_entropy", COUNTS)(CornHead().class_logits(z), y)
    pairs = ROWS + np.sum(target >= 1)
    assert float(corn_loss(z, y)) * pairs == pytest.approx(float(likelihood) * ROWS)


def test_corn_leaves_unknown_rows_out():
    raw, target = torch.randn(5, 2, generator=torch.Generator().manual_seed(0)), torch.arange(5) % 3
    assert corn_loss(raw, torch.where(target == 1, -1, target)) == pytest.approx(
        float(corn_loss(raw[target != 1], target[target != 1]))
    )
    assert float(corn_loss(raw, torch.full((5,), -1))) == 0.0


@pytest.mark.parametrize(("name", "delta"), [("huber", 1.0), ("huber", 0.3), ("mse", 1.0)])
def test_regression_equals_its_formula(name, delta):
    rng = np.random.default_rng(1)
    predicted, truth = rng.normal(-1, 1.5, 30), rng.normal(-1, 1.5, 30)
    far = np.abs(predicted - truth)
    huber = np.where(far <= delta, far**2 / 2, delta * (far - delta / 2))
    expected = np.mean(huber if name == "huber" else far**2)
    got = t_score_loss(torch.tensor(predicted), torch.tensor(truth), name=name, delta=delta)
    assert float(got) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["huber", "mse"])
def test_a_missing_t_score_gives_no_gradient(name):
    predicted = torch.tensor([0.0, 5.0, -2.0], requires_grad=True)
    loss = t_score_loss(predicted, torch.tensor([-1.0, torch.nan, -2.5]), name=name)
    loss.backward()
    assert loss.item() == pytest.approx({"huber": (0.5 + 0.125) / 2, "mse": 1.25 / 2}[name])
    assert predicted.grad[1] == 0
    assert torch.isfinite(predicted.grad).all()
    nothing = t_score_loss(predicted, torch.full((3,), torch.nan), name=name)
    assert nothing.item() == 0.0


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("loss_name", CLASS_LOSSES)
def test_every_head_learns_by_every_loss(name, loss_name):
    head = create_head(name)
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(6, head.outputs, generator=generator, requires_grad=True)
    index = torch.tensor([0, 1, 2, 0, 1, -1])
    t_score = torch.tensor([0.0, -1.5, -3.0, torch.nan, torch.nan, torch.nan])
    loss = training_loss(LossConfig(name=loss_name), head, COUNTS)(raw, index, t_score)
    loss.backward()
    assert loss.item() > 0
    assert torch.isfinite(raw.grad).all()
    assert not raw.grad[5].any()
    assert raw.grad[:3].any(dim=1).all()


def test_the_joint_loss_is_the_weighted_sum_of_its_parts():
    raw = torch.randn(5, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    index, t_score = torch.tensor([0, 1, 2, 1, 0]), torch.tensor([0.1, -1.2, -2.8, -2.0, torch.nan])
    config = LossConfig(name="focal", t_score_weight=0.3, regression="mse")
    got = training_loss(config, create_head("joint"), COUNTS)(raw, index, t_score)
    p = softmax(raw[:, :3].numpy(), axis=1)[np.arange(5), index.numpy()]
    classes = np.mean(-((1 - p) ** 2) * np.log(p))
    squares = (raw[:4, 3].numpy() - t_score[:4].numpy()) ** 2
    assert float(got) == pytest.approx(classes + 0.3 * squares.mean(), rel=1e-6)


def test_the_paper_training_is_the_default():
    config = LossConfig()
    assert (config.name, config.tau) == ("logit_adjusted", 1.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "balce"},
        {"regression": "l1"},
        {"tau": -0.1},
        {"gamma": np.nan},
        {"beta": 1.0},
        {"huber_delta": 0.0},
        {"t_score_weight": -1.0},
    ],
)
def test_a_wrong_setting_is_refused(wrong):
    with pytest.raises(InputError):
        LossConfig(**wrong)
