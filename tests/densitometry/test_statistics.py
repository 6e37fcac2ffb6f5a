"""Weighted statistics against NumPy on repeated values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osteoscope.core.errors import GeometryError, InputError, QualityError
from osteoscope.core.grid import grid_from_spacing
from osteoscope.core.robust import weighted_quantiles
from osteoscope.core.volume import Volume
from osteoscope.densitometry.region import Region
from osteoscope.densitometry.statistics import region_statistics

SHAPE = (3, 4, 5)


def _measured(values, weights, padding=None):
    grid = grid_from_spacing(SHAPE, (3.0, 0.5, 0.5))
    volume = Volume(values.reshape(SHAPE).astype(np.int16), grid, padding=padding)
    box = (slice(0, 3), slice(0, 4), slice(0, 5))
    region = Region("L1", "test", box, grid, weights.reshape(SHAPE).astype(np.float32))
    return region_statistics(volume, region)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), largest=st.sampled_from([1, 2, 5]))
def test_integer_weights_equal_numpy_on_repeated_values(seed, largest):
    rng = np.random.default_rng(seed)
    values = rng.integers(-100, 400, 60)
    counts = rng.integers(0, largest + 1, 60)
    counts[0] = 1
    got = _measured(values, counts / largest)
    repeated = np.repeat(values, counts).astype(float)
    median = np.median(repeated)
    assert got.mean == pytest.approx(repeated.mean(), rel=1e-6, abs=1e-5)
    assert got.median == median
    assert got.sd == pytest.approx(repeated.std(), rel=1e-6, abs=1e-5)
    assert got.mad == np.median(np.abs(repeated - median))
    expected = np.quantile(repeated, [0.1, 0.25, 0.75, 0.9], method="averaged_inverted_cdf")
    assert [got.p10, got.p25, got.p75, got.p90] == pytest.approx(expected)
    assert got.volume_cm3 == pytest.approx(counts.sum() / largest * 0.75 / 1000)
    assert got.n_effective == pytest.approx(counts.sum() ** 2 / (counts**2).sum(), rel=1e-6)
    assert got.n_voxels == np.count_nonzero(counts)


def test_fractional_weights_equal_the_same_weights_scaled():
    rng = np.random.default_rng(3)
    values, weights = rng.normal(100, 20, 60).astype(int), rng.uniform(0, 1, 60)
    one, half = _measured(values, weights), _measured(values, weights / 2)
    assert half.median == one.median
    assert half.mean == pytest.approx(one.mean, rel=1e-6)
    assert half.n_effective == pytest.approx(one.n_effective, rel=1e-5)
    assert half.volume_cm3 == pytest.approx(one.volume_cm3 / 2, rel=1e-5)


def test_a_dense_focus_moves_the_mean_and_not_the_median():
    values = np.full(60, 100)
    values[:30] = np.arange(85, 115)
    spoilt = values.copy()
    spoilt[-6:] = 900
    clean, focus = _measured(values, np.ones(60)), _measured(spoilt, np.ones(60))
    assert focus.mean - clean.mean == pytest.approx(80)
    assert abs(focus.median - clean.median) <= 1


def test_what_cannot_be_measured_is_refused():
    values, ones = np.full(60, 100), np.ones(60)
    with pytest.raises(QualityError, match="is empty"):
        _measured(values, np.zeros(60))
    with pytest.raises(QualityError, match="outside the reconstructed"):
        _measured(np.where(np.arange(60) < 6, -1024, 100), ones, padding=-1024)
    assert _measured(values, ones, padding=-1024).mean == 100
    with pytest.raises(InputError, match="within 0 to 1"):
        weighted_quantiles(np.ones(2), np.ones(2), (1.5,))
    with pytest.raises(InputError, match="not all 0"):
        weighted_quantiles(np.ones(2), np.zeros(2), (0.5,))


def test_a_region_of_another_scan_is_refused():
    grid = grid_from_spacing(SHAPE, (3.0, 0.5, 0.5))
    other = grid_from_spacing(SHAPE, (3.0, 0.5, 0.5), (10.0, 0.0, 0.0))
    volume = Volume(np.zeros(SHAPE, dtype=np.int16), other)
    box = (slice(0, 3), slice(0, 4), slice(0, 5))
    region = Region("L1", "test", box, grid, np.ones(SHAPE, dtype=np.float32))
    with pytest.raises(GeometryError, match="does not lie on the volume"):
        region_statistics(volume, region)
