"""DeLong's test against its own paper's patients and against the sums it stands for."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from osteoscope.core.errors import InputError
from osteoscope.evaluation.delong import delong, midranks

# 43 patients of DeLong et al. 1988, as SAS/STAT prints them in "Comparing Receiver Operating
# Characteristic Curves" (PROC LOGISTIC): albumin, total protein, K-G score, benefit of surgery.
PATIENTS = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0
1.6 5.6 5 1  3.8 5.7 5 1  3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1
4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0  4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1
3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1
3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1
3.5 6.2 5 1  2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1
3.6 6.6 5 1
"""


def test_the_published_patients() -> None:
    """SAS: AUC 0.7366 (albumin), 0.6478 (protein), 0.7258 (K-G); differences from K-G 0.0108,
    95 % -0.1761 to 0.1976, p 0.9102 and -0.0780, -0.2830 to 0.1271, p 0.4561."""
    table = np.array(PATIENTS.split(), dtype=float).reshape(-1, 4)
    kg, benefit = 10 - table[:, 2], table[:, 3] == 1
    albumin = delong(table[:, 0], kg, benefit)
    protein = delong(table[:, 1], kg, benefit)
    found = [albumin.auc_a, albumin.auc_b, albumin.difference, albumin.low, albumin.high, albumin.p]
    assert found == pytest.approx([0.7366, 0.7258, 0.0108, -0.1761, 0.1976, 0.9102], abs=0.00006)
    found = [protein.auc_a, protein.difference, protein.low, protein.high, protein.p]
    assert found == pytest.approx([0.6478, -0.0780, -0.2830, 0.1271, 0.4561], abs=0.00006)


def by_pairs(a: list[float], b: list[float], y: list[bool]) -> tuple[float, float]:
    """Difference and variance from every pair of a positive and a negative, as in the paper."""
    shares = []
    for s in (a, b):
        positives = [v for v, yes in zip(s, y, strict=True) if yes]
        negatives = [v for v, yes in zip(s, y, strict=True) if not yes]
        psi = np.array([[(x > z) + 0.5 * (x == z) for z in negatives] for x in positives])
        shares.append((psi.mean(), psi.mean(axis=1), psi.mean(axis=0)))
    m, n = len(shares[0][1]), len(shares[0][2])
    of_positives = np.var(shares[0][1] - shares[1][1], ddof=1) / m
    of_negatives = np.var(shares[0][2] - shares[1][2], ddof=1) / n
    return shares[0][0] - shares[1][0], of_positives + of_negatives


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 2))
def test_it_equals_the_sum_over_pairs(seed: int, digits: int) -> None:
    rng = np.random.default_rng(seed)
    y = np.arange(24) % 3 == 0
    a, b = (np.round(rng.normal(y * 1.0, 1.0), digits) for _ in range(2))
    difference, variance = by_pairs(a.tolist(), b.tolist(), y.tolist())
    found = delong(a, b, y)
    assert found.difference == pytest.approx(difference, abs=1e-12)
    half = (found.high - found.low) / 2
    assert half == pytest.approx(1.959963985 * math.sqrt(variance), abs=1e-7)
    if variance > 1e-12:
        p = 2 * scipy.stats.norm.sf(abs(difference) / math.sqrt(variance))
        assert found.p == pytest.approx(p, abs=1e-9)


def test_the_same_ranking_twice_has_no_difference() -> None:
    rng = np.random.default_rng(0)
    scores, y = rng.normal(size=30), np.arange(30) < 12
    found = delong(scores, np.exp(scores), y)
    assert (found.difference, found.p, found.z) == (0.0, 1.0, 0.0)


def test_midranks_equal_scipy() -> None:
    values = np.random.default_rng(0).integers(0, 6, 40).astype(float)
    np.testing.assert_array_equal(midranks(values), scipy.stats.rankdata(values))


def test_one_positive_is_too_few() -> None:
    with pytest.raises(InputError, match="two positives"):
        delong(np.arange(5.0), np.arange(5.0), np.arange(5) == 4)
