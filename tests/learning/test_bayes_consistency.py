"""On mixtures whose posterior is known: which loss learns which rule.

The features' classes are normal with one covariance, so that a linear softmax holds the true
posterior and what it learns is decided by the loss alone. Samples are quantiles, not draws: the
1-D mixture is as good as its population.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import log_softmax

from osteoscope.learning.losses.class_loss import class_loss

SHARES = (0.68, 0.26, 0.06)
MEANS_1D = (0.0, 1.5, 3.0)


def _sample_1d(rows=12_000):
    counts = [round(rows * share) for share in SHARES]
    values = [
        stats.norm(mean).ppf((np.arange(n) + 0.5) / n)
        for mean, n in zip(MEANS_1D, counts, strict=True)
    ]
    return np.concatenate(values)[:, None], np.repeat(np.arange(3), counts), counts


def _fit(features, labels, loss):
    """Weights (3, d + 1) of the linear softmax that minimises the loss."""
    x = torch.tensor(np.column_stack([features, np.ones(len(features))]))
    y = torch.tensor(labels)
    weights = torch.zeros(3, x.shape[1], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weights], max_iter=300, tolerance_grad=1e-10, line_search_fn="strong_wolfe"
    )

    def closure():
        optimiser.zero_grad()
        value = loss(x @ weights.T, y)
        value.backward()
        return value

    optimiser.step(closure)
    return weights.detach().numpy()


def _boundaries(weights):
    """Where neighbouring classes' logits of one feature are equal."""
    slope, constant = weights[:, 0], weights[:, 1]
    return (constant[:-1] - constant[1:]) / (slope[1:] - slope[:-1])


def _bayes(prior):
    """Where prior times density of neighbouring classes are equal, unit variance."""
    means, logs = np.array(MEANS_1D), np.log(prior)
    middle = (means[1:] + means[:-1]) / 2
    return middle + (logs[:-1] - logs[1:]) / (means[1:] - means[:-1])


EVEN = _bayes((1 / 3, 1 / 3, 1 / 3))


def test_plain_cross_entropy_learns_the_plain_rule():
    x, y, counts = _sample_1d()
    got = _boundaries(_fit(x, y, class_loss("cross_entropy", counts)))
    assert got == pytest.approx(_bayes(SHARES), abs=0.01)
    assert np.abs(_bayes(SHARES) - EVEN).min() > 0.6


@pytest.mark.parametrize("name", ["logit_adjusted", "inverse_frequency"])
def test_both_readings_of_bal_ce_learn_the_balanced_rule(name):
    x, y, counts = _sample_1d()
    got = _boundaries(_fit(x, y, class_loss(name, counts, tau=1.0)))
    assert got == pytest.approx(EVEN, abs=0.01)


def test_effective_numbers_learn_it_as_beta_nears_one():
    x, y, counts = _sample_1d()
    got = _boundaries(_fit(x, y, class_loss("effective_number", counts, beta=1 - 1e-8)))
    assert got == pytest.approx(EVEN, abs=0.01)


def test_tau_between_zero_and_one_lies_between():
    x, y, counts = _sample_1d()
    got = _boundaries(_fit(x, y, class_loss("logit_adjusted", counts, tau=0.5)))
    assert got == pytest.approx((EVEN + _bayes(SHARES)) / 2, abs=0.01)


def test_subtracting_after_training_gives_what_adding_within_it_does():
    x, y, counts = _sample_1d()
    plain = _fit(x, y, class_loss("cross_entropy", counts))
    plain[:, 1] -= np.log(np.array(counts) / sum(counts))
    assert _boundaries(plain) == pytest.approx(EVEN, abs=0.01)
    twice = _fit(x, y, class_loss("logit_adjusted", counts))
    twice[:, 1] -= np.log(np.array(counts) / sum(counts))
    # Adjusting in the loss and after it moves the boundaries beyond the balanced rule.
    assert (_boundaries(twice) < EVEN - 0.5).all()


def test_focal_loss_does_not_balance():
    x, y, counts = _sample_1d()
    got = _boundaries(_fit(x, y, class_loss("focal", counts)))
    assert np.abs(got - EVEN).min() > 0.4


def test_in_the_plane_the_balanced_error_is_that_of_the_best_rule():
    rng = np.random.default_rng(0)
    means = np.array([[0.0, 0.0], [1.4, 0.6], [1.8, 2.2]])
    covariance = np.array([[1.0, 0.4], [0.4, 1.3]])
    counts = [13_600, 5_200, 1_200]
    x = np.concatenate(
        [rng.multivariate_normal(m, covariance, n) for m, n in zip(means, counts, strict=True)]
    )
    y = np.repeat(np.arange(3), counts)
    fresh = np.concatenate([rng.multivariate_normal(m, covariance, 20_000) for m in means])
    truth = np.repeat(np.arange(3), 20_000)
    densities = np.stack(
        [stats.multivariate_normal(m, covariance).logpdf(fresh) for m in means], axis=1
    )

    def balanced_error(scores):
        return np.mean(scores.argmax(axis=1) != truth)

    def learned(name):
        weights = _fit(x, y, class_loss(name, counts))
        return np.column_stack([fresh, np.ones(len(fresh))]) @ weights.T

    best = balanced_error(densities)
    adjusted = learned("logit_adjusted")
    assert balanced_error(adjusted) == pytest.approx(best, abs=0.004)
    assert np.mean(adjusted.argmax(axis=1) == densities.argmax(axis=1)) > 0.97
    # Its probabilities are the balanced posterior, not only its decisions.
    expected, got = log_softmax(densities, axis=1), log_softmax(adjusted, axis=1)
    assert np.mean(np.abs(np.exp(got) - np.exp(expected))) < 0.02
    assert balanced_error(learned("cross_entropy")) > best + 0.05
