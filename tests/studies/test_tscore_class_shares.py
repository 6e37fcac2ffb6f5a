"""The class shares that probabilities refer to, against Bayes' rule on a known posterior."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from osteoscope.studies.tscore.answer import AnswerConfig, ValidationRows, choose_answer
from osteoscope.studies.tscore.class_shares import adjusted_shares, learned_shares, moved_logits
from osteoscope.studies.tscore.train_config import preset_names, train_config

PRIOR = (0.53, 0.35, 0.12)
EVEN = (1 / 3, 1 / 3, 1 / 3)


def _log_likelihoods(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return -((x[:, None] - np.arange(3)) ** 2) / (2 * 0.8**2)


@pytest.mark.parametrize(
    ("loss", "tau", "sampling", "expected"),
    [
        ("cross_entropy", 1.0, "shuffle", PRIOR),
        ("logit_adjusted", 1.0, "shuffle", EVEN),
        ("logit_adjusted", 0.0, "shuffle", PRIOR),
        ("inverse_frequency", 1.0, "shuffle", EVEN),
        ("cross_entropy", 1.0, "class-balanced", EVEN),
    ],
)
def test_what_a_loss_learns(
    loss: str, tau: float, sampling: str, expected: tuple[float, ...]
) -> None:
    assert learned_shares(loss, tau, sampling, PRIOR) == pytest.approx(expected)


def test_adjustments_move_the_shares_and_undo_each_other() -> None:
    assert adjusted_shares(PRIOR, PRIOR, 1.0, "subtract") == pytest.approx(EVEN)
    assert adjusted_shares(EVEN, PRIOR, 1.0, "add") == pytest.approx(PRIOR)
    assert adjusted_shares(EVEN, PRIOR, 0.5, "two_temperature") is None
    overshot = adjusted_shares(EVEN, PRIOR, 0.5, "subtract")
    assert overshot is not None
    assert overshot[2] > 0.45


def test_moved_logits_are_the_posterior_among_other_people() -> None:
    x = np.linspace(-2, 4, 50)
    natural = _log_likelihoods(x) + np.log(PRIOR)
    even = moved_logits(natural, PRIOR, EVEN)
    shares = np.exp(even) / np.exp(even).sum(axis=1, keepdims=True)
    likelihood = np.exp(_log_likelihoods(x))
    np.testing.assert_allclose(shares, likelihood / likelihood.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("preset", preset_names())
def test_equal_evidence_gets_equal_probabilities_under_every_preset(preset: str) -> None:
    """A baseline that knows what the network knows must not differ from it by class shares."""
    config = train_config(preset)
    rng = np.random.default_rng(3)
    truth = rng.choice(3, 600, p=PRIOR).astype(np.int64)
    natural = _log_likelihoods(truth + rng.normal(0, 0.8, 600)) + np.log(PRIOR)
    subjects = np.arange(600).astype(np.str_)
    learned = learned_shares(config.loss.name, config.loss.tau, config.data.sampling, PRIOR)
    network_logits = moved_logits(natural, PRIOR, learned)
    network = choose_answer(
        config.answer, ValidationRows(network_logits, truth, subjects), PRIOR, learned
    )
    assert network.refers_to is not None
    assert network.temperature == pytest.approx(1.0, abs=0.15)
    moved = moved_logits(natural, PRIOR, network.refers_to)
    baseline = choose_answer(
        AnswerConfig(), ValidationRows(moved, truth, subjects), PRIOR, network.refers_to
    )
    np.testing.assert_allclose(
        network.probabilities(network_logits), baseline.probabilities(moved), atol=1e-6
    )
    assert baseline.refers_to == network.refers_to


@pytest.mark.parametrize("shares", [(0.12, 0.35, 0.53), (0.9, 0.08, 0.02)])
def test_validation_of_other_shares_is_not_taken_for_overconfidence(
    shares: tuple[float, ...],
) -> None:
    rng = np.random.default_rng(4)
    truth = rng.choice(3, 20_000, p=shares).astype(np.int64)
    even = _log_likelihoods(truth + rng.normal(0, 0.8, len(truth)))
    rows = ValidationRows(even, truth, np.arange(len(truth)).astype(np.str_))
    assert choose_answer(AnswerConfig(), rows, PRIOR, EVEN).temperature == pytest.approx(
        1, abs=0.03
    )
