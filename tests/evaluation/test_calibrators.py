"""Temperature and prior: against known posteriors and few-line references."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax

from osteoscope.core.errors import InputError
from osteoscope.evaluation.calibrators import Temperature, adjust_logits, probabilities


def drawn(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are true log posteriors, and classes drawn from them."""
    rng = np.random.default_rng(seed)
    logits = log_softmax(rng.normal(0, 1.5, (n, 3)), axis=1)
    chance = rng.random((n, 1))
    return logits, (chance > np.exp(logits).cumsum(axis=1)).sum(axis=1)


@pytest.mark.parametrize("stretch", [0.5, 1.0, 3.0])
def test_the_temperature_that_stretched_the_logits_is_found(stretch: float) -> None:
    logits, truth = drawn(20_000, 0)
    found = Temperature.fit(logits * stretch, truth)
    assert found.value == pytest.approx(stretch, rel=0.05)


def test_no_other_temperature_has_less_loss() -> None:
    logits, truth = drawn(300, 1)
    found = Temperature.fit(logits * 2, truth)

    def loss(value: float) -> float:
        return float(-log_softmax(logits * 2 / value, axis=1)[np.arange(300), truth].mean())

    grid = np.exp(np.linspace(np.log(0.05), np.log(20), 400))
    assert loss(found.value) <= min(loss(value) for value in grid) + 1e-7


def test_temperature_never_changes_the_class() -> None:
    logits, _ = drawn(100, 2)
    changed = probabilities(Temperature(3.7).apply(logits))
    assert (changed.argmax(axis=1) == logits.argmax(axis=1)).all()
    np.testing.assert_allclose(changed.sum(axis=1), 1)


def test_temperature_refuses_what_it_cannot_be_fitted_to() -> None:
    with pytest.raises(InputError, match="finite logits"):
        Temperature.fit(np.array([[np.nan, 1.0]]), np.array([0]))
    with pytest.raises(InputError, match="more than 0"):
        Temperature(0.0)


def test_readings_equal_their_formulas() -> None:
    logits = np.random.default_rng(0).normal(size=(5, 3))
    prior = (0.58, 0.35, 0.07)
    for row in range(5):
        for c in range(3):
            z, pi = logits[row, c], prior[c]
            wanted = {
                "subtract": z - 0.5 * np.log(pi),
                "add": z + 0.5 * np.log(pi),
                # 0.35 is more than a third: osteopenia is of the majority.
                "two_temperature": z / 0.5 if c == 2 else z,
            }
            for reading, value in wanted.items():
                found = adjust_logits(logits, prior, 0.5, reading)[row, c]
                assert found == pytest.approx(value), reading


def test_the_papers_equation_2() -> None:
    """Two classes, tau1 = 1, tau2 = 0.5: exp(z_i) / (exp(z_i) + exp(z_j / 0.5))."""
    adjusted = adjust_logits(np.array([0.3, 0.4]), (0.8, 0.2), 0.5, "two_temperature")
    expected = np.exp(0.3) / (np.exp(0.3) + np.exp(0.8))
    assert probabilities(adjusted)[0] == pytest.approx(expected)


def test_subtracting_the_prior_gives_the_least_balanced_error() -> None:
    """On a line of 2000 points with a known posterior, no class rule does better."""
    x = np.linspace(-4, 6, 2000)
    prior = np.array([0.7, 0.25, 0.05])
    likelihood = np.exp(-0.5 * (x[:, None] - np.array([0.0, 1.5, 3.0])) ** 2)
    likelihood /= likelihood.sum(axis=0)
    posterior = likelihood * prior
    logits = np.log(posterior / posterior.sum(axis=1, keepdims=True))

    def balanced(chosen: np.ndarray) -> float:
        return float(np.mean([likelihood[chosen == c, c].sum() for c in range(3)]))

    best = balanced(likelihood.argmax(axis=1))
    assert balanced(adjust_logits(logits, prior, 1.0).argmax(axis=1)) == pytest.approx(best)
    for tau in (0.0, 0.5, 1.5, 2.0):
        assert balanced(adjust_logits(logits, prior, tau).argmax(axis=1)) < best
    assert balanced(adjust_logits(logits, prior, 1.0, "add").argmax(axis=1)) < best - 0.05


def test_wrong_priors_and_readings_are_refused() -> None:
    logits = np.zeros((2, 3))
    with pytest.raises(InputError, match="above 0 for each of 3 classes"):
        adjust_logits(logits, (0.5, 0.5, 0.0), 1.0)
    with pytest.raises(InputError, match="subtract, add, two_temperature"):
        adjust_logits(logits, (0.5, 0.3, 0.2), 1.0, "minus")
    with pytest.raises(InputError, match="tau must be"):
        adjust_logits(logits, (0.5, 0.3, 0.2), 0.0, "two_temperature")
