"""The uncertainty budget: coverage on a known body, and which components apply when."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage
from scipy.stats import norm

from osteoscope.core.errors import InputError
from osteoscope.core.volume import Acquisition, Volume
from osteoscope.densitometry.statistics import region_statistics
from osteoscope.densitometry.trabecular import trabecular_region
from osteoscope.densitometry.uncertainty import (
    KVP_SPREAD,
    Component,
    UncertaintyBudget,
    assessment_budget,
    averaged,
    independent_samples,
    measurement_budget,
)
from osteoscope.simulation.materials import bone_hu

from .budgets import body_budget
from .solids import solid_vertebra

TRUTH_HU = 120.0
STATED = Acquisition(kvp=120.0, contrast_enhanced=False)


def _scan(vertebra, rng, noise_hu, blur_voxels):
    """A trabecular core of 120 HU in a shell of 400 HU, with noise of a stated correlation."""
    shell = vertebra.body & ~ndimage.binary_erosion(vertebra.body)
    clean = np.where(vertebra.body, TRUTH_HU, 20.0) + 280.0 * shell
    noise = rng.standard_normal(vertebra.grid.shape)
    if blur_voxels:
        noise = ndimage.gaussian_filter(noise, blur_voxels)
    noise *= noise_hu / noise.std()
    return Volume(np.round(clean + noise).astype(np.int16), vertebra.grid)


@pytest.mark.parametrize("blur_voxels", [0.0, 1.0])
def test_the_measurement_interval_holds_the_truth_in_about_95_of_100_noisy_scans(blur_voxels):
    vertebra = solid_vertebra("cylinder", (2.0, 1.5, 1.5), rotation_deg=(6, 4, 0))
    rng = np.random.default_rng(5)
    held, widths = 0, []
    for _ in range(60):
        volume = _scan(vertebra, rng, 45.0, blur_voxels)
        interval = body_budget(volume, vertebra).interval
        held += interval.low <= TRUTH_HU <= interval.high
        widths.append(interval.high - interval.low)
    # 57 expected; fewer than 53 has a probability below 0.03 where coverage is 95 %.
    assert held >= 53
    assert np.mean(widths) < 30.0


def test_correlated_noise_leaves_fewer_independent_samples():
    vertebra = solid_vertebra("ball", (1.5, 1.5, 1.5))
    region = trabecular_region(vertebra)
    rng = np.random.default_rng(1)
    sharp, smooth = (_scan(vertebra, rng, 30.0, blur) for blur in (0.0, 1.0))
    white = independent_samples(sharp, region, region_statistics(sharp, region))
    blurred = independent_samples(smooth, region, region_statistics(smooth, region))
    voxels = float(region.weights.sum())
    assert white == pytest.approx(voxels, rel=0.35)
    # A Gaussian of SD 1 voxel on white noise correlates over (2 sqrt(pi))^3 = 44.5 voxels.
    assert blurred == pytest.approx(voxels / 44.5, rel=0.5)


def test_the_interval_names_what_it_covers():
    vertebra = solid_vertebra("ball", (2.0, 2.0, 2.0))
    volume = _scan(vertebra, np.random.default_rng(2), 20.0, 0.5)
    region = trabecular_region(vertebra)
    measured = body_budget(volume, vertebra)
    assert measured.interval.covers == ("noise", "rounding", "region")
    alone = measurement_budget(volume, region, region_statistics(volume, region))
    assert alone.interval.covers == ("noise", "rounding")
    assessed = assessment_budget(measured, STATED)
    assert assessed.interval.covers == ("noise", "rounding", "region", "kernel", "scanner")
    assert assessed.total > measured.total


@pytest.mark.parametrize(
    ("acquisition", "override", "expected"),
    [
        (STATED, None, {"kernel", "scanner"}),
        (Acquisition(), None, {"kernel", "scanner", "kvp", "phase", "contrast"}),
        (Acquisition(), False, {"kernel", "scanner", "kvp"}),
        (Acquisition(kvp=100.0, contrast_enhanced=False), None, {"kernel", "scanner", "kvp"}),
        (STATED, True, {"kernel", "scanner", "phase", "contrast"}),
    ],
)
def test_components_apply_unless_the_scan_rules_them_out(acquisition, override, expected):
    measured = UncertaintyBudget(150.0, "HU", (Component("noise", 2.0, "HU", "test"),))
    budget = assessment_budget(measured, acquisition, contrast_enhanced=override)
    assert {c.name for c in budget.components} - {"noise"} == expected


def test_published_sizes_add_in_quadrature():
    measured = UncertaintyBudget(100.0, "HU", (Component("noise", 2.0, "HU", "test"),))
    budget = assessment_budget(measured, STATED)
    # 1.3 % and 4.9 % of 100 HU, doi 10.1186/s41747-024-00483-9.
    assert budget.total == pytest.approx(math.sqrt(2.0**2 + 1.3**2 + 4.9**2))
    half = 1.959964 * budget.total
    assert budget.interval.low == pytest.approx(100 - half)
    assert budget.interval.high == pytest.approx(100 + half)
    unknown = assessment_budget(measured, Acquisition(kvp=120.0))
    assert unknown.interval.high < 100 + half
    # Contrast can only have raised the value: 11.2 and 19.2 HU widen the lower side alone.
    expected = math.sqrt(unknown.total**2 + 11.2**2 + 19.2**2)
    assert unknown.total_low == pytest.approx(expected)
    assert 100 - unknown.interval.low > unknown.interval.high - 100


def test_a_calibration_of_this_scanner_replaces_kernel_scanner_and_voltage():
    measured = UncertaintyBudget(100.0, "HU", (Component("noise", 2.0, "HU", "test"),))
    budget = assessment_budget(
        measured, Acquisition(contrast_enhanced=False), scanner_calibrated=True
    )
    assert [c.name for c in budget.components] == ["noise"]
    again = assessment_budget(measured, STATED)
    with pytest.raises(InputError, match="already holds the scanner"):
        assessment_budget(again, STATED)


def test_probabilities_follow_the_two_piece_normal():
    low = Component("contrast", 8.0, "HU", "test", side="low")
    budget = UncertaintyBudget(100.0, "HU", (Component("noise", 6.0, "HU", "test"), low))
    assert budget.probability_between(-math.inf, math.inf) == pytest.approx(1.0)
    # The spreads 10 below and 6 above share the probability 10 : 6.
    assert budget.probability_between(100.0, math.inf) == pytest.approx(6 / 16)
    assert budget.probability_between(106.0, math.inf) == pytest.approx(0.75 * norm.sf(1.0))
    assert budget.probability_between(-math.inf, 90.0) == pytest.approx(1.25 * norm.cdf(-1.0))
    steps = [budget.probability_between(v, v + 0.01) for v in (99.98, 99.99, 100.0, 100.01)]
    assert max(steps) / min(steps) < 1.001
    certain = UncertaintyBudget(100.0, "HU", ())
    assert certain.probability_between(99.0, 101.0) == 1.0
    assert certain.probability_between(101.0, 110.0) == 0.0


@pytest.mark.parametrize("spreads", [(5.0, 0.0), (5.0, 20.0), (1.0, 22.2), (0.0, 22.2)])
def test_the_interval_leaves_2_5_percent_beyond_either_end(spreads):
    both, low = spreads
    budget = UncertaintyBudget(
        150.0,
        "HU",
        (Component("noise", both, "HU", "t"), Component("contrast", low, "HU", "t", side="low")),
    )
    interval = budget.interval
    assert budget.probability_between(-math.inf, interval.low) == pytest.approx(0.025)
    beyond = budget.probability_between(interval.high, math.inf)
    assert beyond == pytest.approx(0.025) or (beyond < 0.025 and interval.high == 150.0)


def test_a_venous_scan_just_above_a_cut_point_is_not_called_safe():
    # Portal venous contrast adds 25.7 HU on average (ECR, n = 288): 165 HU is about 139 HU.
    measured = UncertaintyBudget(165.0, "HU", (Component("noise", 2.0, "HU", "t"),))
    budget = assessment_budget(measured, Acquisition(kvp=120.0), contrast_enhanced=True)
    assert budget.probability_between(160.0, math.inf) < 0.45
    assert budget.interval.low < 139.0


def test_an_unknown_voltage_covers_one_bone_from_100_to_140_kvp():
    for mineral in (80.0, 120.0, 180.0):
        at_120 = bone_hu(mineral, 0.5, 120.0)
        for kvp in (100.0, 140.0):
            measured = UncertaintyBudget(bone_hu(mineral, 0.5, kvp), "HU", ())
            interval = assessment_budget(measured, Acquisition(contrast_enhanced=False)).interval
            assert interval.low < at_120 < interval.high
    shares = [bone_hu(m, 0.5, k) / bone_hu(m, 0.5, 120.0) for m in (100, 200) for k in (100, 140)]
    assert (max(shares) - min(shares)) / 2 == pytest.approx(KVP_SPREAD, abs=0.01)


def test_an_average_shrinks_noise_and_keeps_what_the_scan_shares():
    def of(value, noise):
        parts = (Component("noise", noise, "HU", "t"), Component("scanner", 4.0, "HU", "t"))
        return UncertaintyBudget(value, "HU", parts)

    mean = averaged([of(100.0, 3.0), of(120.0, 4.0)])
    assert mean.value == 110.0
    assert [c.standard_uncertainty for c in mean.components] == pytest.approx([2.5, 4.0])
    with pytest.raises(InputError, match="one or more"):
        averaged([])
    with pytest.raises(InputError, match="same components"):
        averaged([of(100.0, 3.0), UncertaintyBudget(100.0, "HU", ())])
    with pytest.raises(InputError, match="one unit"):
        averaged([of(100.0, 3.0), UncertaintyBudget(1.0, "mg/cm3", ())])
