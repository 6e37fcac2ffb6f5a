"""Optimisers against their update rules written out, and the learning rate's curve."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from osteoscope.core.errors import InputError
from osteoscope.learning.optimisers import OPTIMISERS, OptimiserConfig, make_optimiser
from osteoscope.learning.schedules import learning_rate_at

START = (2.0, -1.5)
CURVATURE = torch.tensor([3.0, 0.5], dtype=torch.float64)


def _weights():
    return torch.nn.Parameter(torch.tensor(START, dtype=torch.float64))


def _value(weights):
    """A bowl with its lowest point at (1, 1)."""
    return (CURVATURE * (weights - 1.0) ** 2).sum()


def _gradient(weights):
    return 2 * CURVATURE.numpy() * (weights - 1.0)


def _descend(config, steps):
    weights = _weights()
    optimiser = make_optimiser(config, [weights])
    if config.has_modes:
        optimiser.train()

    def gradients():
        optimiser.zero_grad()
        value = _value(weights)
        value.backward()
        return value

    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate_of(step, steps)
        gradients()
        optimiser.step(gradients) if config.needs_closure else optimiser.step()
    if config.has_modes:
        optimiser.eval()
    return weights.detach().numpy()


def _adam(gradient, state, step, config):
    """One AdamW update of (weights, mean, variance) by a gradient, as Loshchilov and Hutter."""
    weights, mean, variance = state
    mean = 0.9 * mean + 0.1 * gradient
    variance = 0.999 * variance + 0.001 * gradient**2
    corrected = np.sqrt(variance / (1 - 0.999 ** (step + 1))) + 1e-8
    rate = config.learning_rate
    weights = weights * (1 - rate * config.weight_decay)
    return weights - rate * mean / (1 - 0.9 ** (step + 1)) / corrected, mean, variance


@pytest.mark.parametrize("name", ["adamw", "sam"])
def test_adamw_and_sam_follow_their_rules(name):
    config = OptimiserConfig(
        name=name, learning_rate=0.05, weight_decay=0.1, sam_rho=0.2, schedule="constant"
    )
    state = (np.array(START), np.zeros(2), np.zeros(2))
    for step in range(5):
        gradient = _gradient(state[0])
        if name == "sam":
            # Foret et al. (2021), Eq. 2 and 3: the gradient at the worst point within rho.
            gradient = _gradient(state[0] + 0.2 * gradient / np.linalg.norm(gradient))
        state = _adam(gradient, state, step, config)
    assert _descend(config, 5) == pytest.approx(state[0], rel=1e-6)


def test_schedule_free_follows_its_rule():
    config = OptimiserConfig(name="schedulefree-adamw", learning_rate=0.05, weight_decay=0.0)
    # Defazio et al. (2024), Eq. 3 to 5 with Adam's scaling: gradients at y, steps of z, mean x.
    z = x = np.array(START)
    variance = np.zeros(2)
    for step in range(5):
        y = 0.1 * z + 0.9 * x
        gradient = _gradient(y)
        variance = 0.999 * variance + 0.001 * gradient**2
        z = z - 0.05 * gradient / (np.sqrt(variance / (1 - 0.999 ** (step + 1))) + 1e-8)
        x = x + (z - x) / (step + 1)
    assert _descend(config, 5) == pytest.approx(x, rel=1e-6)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_every_optimiser_comes_to_the_lowest_point(name):
    config = OptimiserConfig(name=name, learning_rate=0.05, weight_decay=0.0)
    assert _descend(config, 400) == pytest.approx([1.0, 1.0], abs=0.05)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_frozen_parameters_are_left_alone(name):
    frozen, trained = _weights(), _weights()
    frozen.requires_grad_(False)
    optimiser = make_optimiser(OptimiserConfig(name=name), [frozen, trained])
    held = [p for group in optimiser.param_groups for p in group["params"]]
    assert len(held) == 1
    assert held[0] is trained
    with pytest.raises(InputError, match="nothing to train"):
        make_optimiser(OptimiserConfig(name=name), [frozen])


def test_a_cosine_falls_from_the_peak_to_nearly_nothing():
    rates = np.array([learning_rate_at(s, 200, peak=1e-3, schedule="cosine") for s in range(200)])
    assert rates[0] == 1e-3
    assert rates[100] == pytest.approx(5e-4)
    assert (np.diff(rates) < 0).all()
    assert 0 < rates[-1] < 1e-6
    weights = _weights()
    optimiser = torch.optim.AdamW([weights], lr=1e-3)
    curve = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=200)
    torchs = []
    for _ in range(200):
        torchs.append(curve.get_last_lr()[0])
        optimiser.step()
        curve.step()
    assert rates == pytest.approx(torchs, rel=1e-6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    steps=st.integers(1, 500),
    share=st.floats(0, 0.99),
    schedule=st.sampled_from(["cosine", "constant"]),
)
def test_a_warm_up_rises_to_the_peak(steps, share, schedule):
    warmup = int(share * steps)
    rates = [
        learning_rate_at(s, steps, peak=2.0, schedule=schedule, warmup=warmup) for s in range(steps)
    ]
    assert all(0 < rate <= 2.0 for rate in rates)
    assert rates[warmup] == 2.0
    assert (np.diff(rates[: warmup + 1]) > 0).all()


def test_the_schedule_free_optimiser_keeps_its_rate_by_itself():
    free = OptimiserConfig(name="schedulefree-adamw", learning_rate=0.01, warmup=0.1)
    assert free.learning_rate_of(0, 100) == pytest.approx(0.01 / 11)
    assert free.learning_rate_of(99, 100) == 0.01
    assert OptimiserConfig(learning_rate=0.01).learning_rate_of(99, 100) < 1e-5
    with pytest.raises(InputError, match="schedule 'auto' or 'constant'"):
        OptimiserConfig(name="schedulefree-adamw", schedule="cosine")


@pytest.mark.parametrize("step", [-1, 10])
def test_a_step_outside_the_training_is_refused(step):
    with pytest.raises(InputError, match="0 to 9"):
        learning_rate_at(step, 10, peak=1.0, schedule="constant")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "adam"},
        {"learning_rate": 0.0},
        {"weight_decay": -1.0},
        {"betas": (0.9, 1.0)},
        {"momentum": 1.0},
        {"sam_rho": np.inf},
        {"schedule": "step"},
        {"warmup": 1.0},
        {"name": "schedulefree-adamw", "betas": (0.0, 0.999)},
    ],
)
def test_a_wrong_setting_is_refused(wrong):
    with pytest.raises(InputError):
        OptimiserConfig(**wrong)
