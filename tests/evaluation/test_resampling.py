"""Draws keep the strata and whole subjects; intervals are those of a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from osteoscope.evaluation import evaluate
from osteoscope.evaluation.proportion import wilson_interval
from osteoscope.evaluation.resampling import bootstrap_p, draw_counts, percentile_interval
from tests.evaluation.made_predictions import made_predictions


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(0, 99))
def test_every_draw_keeps_the_size_of_each_class(truth: list[int], seed: int) -> None:
    y = np.array(truth)
    names = np.arange(len(y)).astype(str)
    counts = np.concatenate(list(draw_counts(names, y, draws=30, seed=seed)), axis=1)
    assert counts.shape == (len(y), 30)
    for c in np.unique(y):
        assert (counts[y == c].sum(axis=0) == (y == c).sum()).all()


def test_rows_of_a_subject_are_drawn_together() -> None:
    names = np.array(["b", "a", "b", "c", "a", "d"])
    y = np.array([0, 1, 1, 0, 1, 1])
    (counts,) = draw_counts(names, y, draws=200, seed=1)
    assert (counts[0] == counts[2]).all()
    assert (counts[1] == counts[4]).all()
    # b's stratum is that of its highest class, 1: c alone makes up the other.
    assert (counts[3] == 1).all()
    assert (counts[0] + counts[1] + counts[5] == 3).all()


def test_the_same_seed_gives_the_same_draws_and_another_others() -> None:
    made = made_predictions(30)

    def drawn(seed: int) -> list[list[float]]:
        return next(draw_counts(made.subject_id, made.truth, draws=5, seed=seed)).tolist()

    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)


def test_counts_are_those_of_drawing_with_replacement() -> None:
    """Of m subjects each is left out with probability (1 - 1/m)^m and has mean count 1."""
    names = np.arange(20).astype(str)
    (counts,) = draw_counts(names, np.zeros(20, int), draws=20_000, seed=0)
    assert counts.mean() == 1
    assert (counts == 0).mean() == pytest.approx((1 - 1 / 20) ** 20, abs=0.003)
    assert counts.var() == pytest.approx(1 - 1 / 20, abs=0.01)


def test_the_interval_is_that_of_a_plain_loop() -> None:
    """The ends agree within the noise of so many draws."""
    made = made_predictions(100)
    y, p = made.truth == 2, made.probabilities[:, 2]
    rng = np.random.default_rng(5)
    kinds = [np.flatnonzero(made.truth == c) for c in range(3)]
    loop = []
    for _ in range(600):
        rows = np.concatenate([rng.choice(kind, len(kind)) for kind in kinds])
        loop.append(oracle.roc_auc_score(y[rows], p[rows]))

    found = evaluate(made, draws=3000, seed=1)["auc_osteoporosis"]
    low, high = np.quantile(loop, [0.025, 0.975])
    spread = np.std(loop)
    assert found.low == pytest.approx(low, abs=0.25 * spread)
    assert found.high == pytest.approx(high, abs=0.25 * spread)


def test_intervals_are_withheld_where_draws_lack_a_value() -> None:
    values = np.tile(np.arange(100.0)[:, None], (1, 3))
    values[:5, 1] = np.nan
    values[:20, 2] = np.nan
    low, high = percentile_interval(values)
    assert low[0] == pytest.approx(2.475)
    assert high[1] == pytest.approx(np.quantile(values[5:, 1], 0.975))
    assert np.isnan([low[2], high[2]]).all()


def test_p_of_a_bootstrap() -> None:
    assert bootstrap_p(np.ones(999)) == pytest.approx(0.002)
    assert bootstrap_p(np.zeros(999)) == 1
    assert bootstrap_p(np.array([-1.0] * 100 + [1.0] * 899)) == pytest.approx(0.202)
    assert np.isnan(bootstrap_p(np.full(3, np.nan)))


def test_wilson_interval_of_published_values() -> None:
    """Newcombe, Stat Med 1998;17:857, table I, method 3: 81/263, 15/148, 0/20 and 1/29."""
    published = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0000, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for (hits, n), ends in published.items():
        assert wilson_interval(hits / n, n) == pytest.approx(ends, abs=0.00005)
