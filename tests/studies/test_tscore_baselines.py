"""Logistic baselines against the answer that the data were made with."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from osteoscope.core.errors import InputError
from osteoscope.studies.tscore.baselines import fit_baseline
from osteoscope.studies.tscore.class_shares import moved_logits


def _people(n: int, seed: int) -> tuple[dict[str, NDArray[np.generic]], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, size=n, p=[0.5, 0.35, 0.15])
    table: dict[str, NDArray[np.generic]] = {
        "l1_hu": 150.0 - 35.0 * truth + rng.normal(0, 25, n),
        "age_years": 60.0 + 5 * truth + rng.normal(0, 8, n),
        "sex": rng.choice(["F", "M"], n),
        "virtual_dxa_t": np.full(n, np.nan),
    }
    return table, truth.astype(np.int64)


def test_moved_to_even_shares_it_finds_the_balanced_rule_of_equal_gaussians() -> None:
    """Then the boundary between neighbours lies midway between their means."""
    table, truth = _people(40_000, 1)
    baseline = fit_baseline("L1 attenuation", table, truth, 3)
    assert baseline is not None
    hu = np.linspace(40, 200, 3201)
    grid: dict[str, NDArray[np.generic]] = {"l1_hu": hu}
    prior = np.bincount(truth) / len(truth)
    chosen = moved_logits(baseline.logits(grid), prior.tolist(), [1 / 3] * 3).argmax(axis=1)
    assert hu[np.flatnonzero(chosen == 1)[-1]] == pytest.approx(132.5, abs=1.5)
    assert hu[np.flatnonzero(chosen == 2)[-1]] == pytest.approx(97.5, abs=1.5)


def test_age_and_sex_add_when_they_tell_something() -> None:
    table, truth = _people(5_000, 2)
    one = fit_baseline("L1 attenuation", table, truth, 3)
    more = fit_baseline("L1 attenuation, age and sex", table, truth, 3)
    assert one is not None
    assert more is not None
    fresh, answer = _people(5_000, 3)
    right = [(b.logits(fresh).argmax(axis=1) == answer).mean() for b in (one, more)]
    assert right[1] > right[0]


def test_a_row_without_a_variable_gets_no_prediction() -> None:
    table, truth = _people(500, 4)
    baseline = fit_baseline("L1 attenuation", table, truth, 3)
    assert baseline is not None
    logits = baseline.logits({"l1_hu": np.array([100.0, np.nan])})
    assert np.isfinite(logits[0]).all()
    assert np.isnan(logits[1]).all()


def test_what_is_nowhere_known_is_not_fitted() -> None:
    table, truth = _people(200, 5)
    assert fit_baseline("virtual DXA", table, truth, 3) is None


def test_one_sex_only_is_no_obstacle() -> None:
    table, truth = _people(500, 6)
    table["sex"] = np.full(500, "F")
    baseline = fit_baseline("L1 attenuation, age and sex", table, truth, 3)
    assert baseline is not None
    assert np.isfinite(baseline.logits(table)).all()


def test_a_class_of_one_sex_does_not_make_sex_decide() -> None:
    table, truth = _people(300, 8)
    table["sex"] = np.where(truth == 2, "F", table["sex"])
    baseline = fit_baseline("L1 attenuation, age and sex", table, truth, 3)
    assert baseline is not None
    # Without a penalty the weight of sex grows without end.
    assert np.abs(baseline.weights[:, 2]).max() < 1.5


def test_an_unknown_baseline_is_refused() -> None:
    table, truth = _people(50, 7)
    with pytest.raises(InputError, match="Unknown baseline"):
        fit_baseline("horoscope", table, truth, 3)
