"""What lies in one vertebra: metal, cement, foci, texture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from osteoscope.anatomy.quality.examine import level_flags
from osteoscope.anatomy.quality.foci import find_foci
from osteoscope.core.flag import Flag
from osteoscope.core.robust import robust_centre_and_sd
from tests.anatomy.quality.drawn import BONE_HU, LEVELS, SPACING_MM, Drawn, draw_spine

VOXEL_CM3 = float(np.prod(SPACING_MM)) / 1000


@pytest.fixture(scope="module")
def spine() -> Drawn:
    return draw_spine()


def planted(
    spine: Drawn, hu: float, radius_mm: float, offset_mm: tuple[float, float, float] = (0, 0, 0)
) -> Drawn:
    """A ball of that attenuation in L1, its centre off the body's by ``(z, y, x)`` mm."""
    grid = spine.volume.grid
    centre = np.array(spine.place("L1")) * grid.spacing_mm + offset_mm
    z, y, x = (np.arange(n) * s for n, s in zip(grid.shape, SPACING_MM, strict=True))
    ball = (
        (z[:, None, None] - centre[0]) ** 2
        + (y[None, :, None] - centre[1]) ** 2
        + (x[None, None, :] - centre[2]) ** 2
    ) <= radius_mm**2
    noise = np.random.default_rng(5).normal(0, 10, grid.shape)
    return spine.with_values(np.where(ball, hu + noise, spine.volume.array).astype(np.int16))


def found(
    drawn: Drawn, level: str = "L1", noise_hu: float | None = 10.0, **weights: NDArray[np.float32]
) -> list[Flag]:
    alone = {level: drawn.vertebrae[level]}
    return level_flags(drawn.volume, alone, [level], weights=weights, noise_hu=noise_hu)


def test_a_plain_vertebra_has_no_flag(spine: Drawn) -> None:
    assert [f for level in LEVELS for f in found(spine, level)] == []


@pytest.mark.parametrize("radius", [4.5, 6.0])
def test_a_dense_focus_is_measured_and_warns(spine: Drawn, radius: float) -> None:
    flags = {f.code: f for f in found(planted(spine, 600, radius, (2, 0, 6)))}
    focus = flags["dense_focus"]
    assert (focus.effect, focus.level) == ("warn", "L1")
    ball_cm3 = 4 / 3 * np.pi * radius**3 / 1000
    assert focus.evidence["volume_cm3"] == pytest.approx(ball_cm3, rel=0.35)
    assert focus.evidence["mean_hu"] == pytest.approx(600, abs=90)
    assert focus.evidence["region_median_hu"] == pytest.approx(BONE_HU, abs=8)
    assert "median" in focus.message


def test_a_focus_below_the_smallest_volume_is_passed_over(spine: Drawn) -> None:
    assert found(planted(spine, 600, 2.4)) == []


def test_a_lytic_focus_is_found(spine: Drawn) -> None:
    flags = {f.code: f for f in found(planted(spine, 30, 6.0))}
    assert set(flags) == {"lytic_focus"}
    assert flags["lytic_focus"].effect == "warn"
    assert float(flags["lytic_focus"].evidence["mean_hu"]) < 70


def test_scatter_that_is_not_noise_is_heterogeneity(spine: Drawn) -> None:
    flags = {f.code: f for f in found(planted(spine, 500, 8.0))}
    texture = flags["heterogeneous_region"]
    assert float(texture.evidence["sd_without_noise_hu"]) > 60
    assert float(texture.evidence["mean_hu"]) > float(texture.evidence["median_hu"]) + 20


def test_noise_alone_is_not_heterogeneity() -> None:
    noisy = draw_spine(80.0, seed=2)
    codes = {f.code for f in found(noisy, noise_hu=80.0)}
    assert "heterogeneous_region" not in codes
    unknown = {f.code for f in found(noisy, noise_hu=None)}
    assert "heterogeneous_region" in unknown


def test_cement_withholds_and_silences_the_rest(spine: Drawn) -> None:
    flags = found(planted(spine, 1500, 9.0))
    assert [(f.code, f.effect, f.severity) for f in flags] == [("cement", "withhold", "serious")]
    # A ball of 3.05 cm3.
    assert flags[0].evidence["volume_cm3"] == pytest.approx(3.05, rel=0.1)


def test_dense_cement_is_not_taken_for_metal(spine: Drawn) -> None:
    assert [f.code for f in found(planted(spine, 2300, 9.0))] == ["cement"]


def test_a_bone_island_is_not_taken_for_cement(spine: Drawn) -> None:
    codes = {f.code for f in found(planted(spine, 1190, 5.5))}
    # Enostoses read 1190 +- 239 HU (doi 10.2214/AJR.15.15559).
    assert "cement" not in codes
    assert "dense_focus" in codes


def test_metal_in_the_body_withholds(spine: Drawn) -> None:
    flags = found(planted(spine, 3071, 4.0))
    assert [(f.code, f.effect) for f in flags] == [("metal_in_region", "withhold")]
    assert flags[0].evidence["near_body"] is True


def test_metal_through_the_arch_withholds_and_beside_it_warns(spine: Drawn) -> None:
    through = found(planted(spine, 3071, 4.0, (0, 30, 12)))
    assert [(f.code, f.effect) for f in through] == [("metal_in_region", "withhold")]
    beside = found(planted(spine, 3071, 3.5, (0, 34, 21)))
    assert [(f.code, f.effect) for f in beside] == [("metal_in_region", "warn")]
    far = found(planted(spine, 3071, 3.5, (0, -60, 0)))
    assert far == []


def test_the_weights_decide_what_the_region_is(spine: Drawn) -> None:
    drawn = planted(spine, 300, 10.0, (0, 0, 0))
    vertebra = drawn.vertebrae["L1"]
    weights = np.zeros(vertebra.mask.shape, dtype=np.float32)
    k, j, i = (p - s.start for p, s in zip(drawn.place("L1"), vertebra.box, strict=True))
    weights[k - 2 : k + 3, j - 4 : j + 5, i - 4 : i + 5] = 1.0
    inside = found(drawn, noise_hu=None, L1=weights)
    # Measured where the ball is, the ball is the region and the rest of the body stands apart.
    low = [f for f in inside if f.code == "lytic_focus"]
    assert low
    assert low[0].evidence["region_median_hu"] == pytest.approx(300, abs=8)


def test_a_body_replaced_as_a_whole_shows_against_its_neighbours(spine: Drawn) -> None:
    vertebra = spine.vertebrae["L2"]
    values = spine.volume.array.copy()
    values[vertebra.box][vertebra.body] += 400
    flags = level_flags(spine.with_values(values).volume, spine.vertebrae, LEVELS)
    assert [(f.code, f.level, f.effect) for f in flags] == [("dense_focus", "L2", "withhold")]
    assert flags[0].evidence["others_median_hu"] == pytest.approx(BONE_HU, abs=8)


def test_examining_levels_together_or_alone_agrees(spine: Drawn) -> None:
    drawn = planted(spine, 600, 5.0, (2, 0, 6))
    together = level_flags(drawn.volume, drawn.vertebrae, ("L1",), noise_hu=10.0)
    assert together == found(drawn)


@settings(derandomize=True, deadline=None, max_examples=20)
@given(
    shift=st.floats(-300, 300),
    flips=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    seed=st.integers(0, 1000),
)
def test_foci_move_with_the_values_and_not_with_the_axes(
    shift: float, flips: tuple[bool, bool, bool], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(120, 15, (14, 20, 22)).astype(np.float32)
    values[4:9, 5:11, 6:12] += 350
    weights = np.ones(values.shape, dtype=np.float32)
    search = weights > 0
    spacing = np.array([2.0, 1.0, 1.0])
    (one,) = find_foci(values, weights, search, spacing)
    view = tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)
    moved = (values + np.float32(shift))[view]
    (other,) = find_foci(moved, weights, search, spacing)
    assert other.volume_cm3 == pytest.approx(one.volume_cm3, abs=3e-3)
    assert other.mean_hu == pytest.approx(one.mean_hu + shift, abs=2)
    assert other.centre_hu == pytest.approx(one.centre_hu + shift, abs=1)
    # 5 x 6 x 6 voxels of 2 mm3.
    assert one.volume_cm3 == pytest.approx(0.36, rel=0.2)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(values=st.lists(st.integers(-500, 1500), min_size=1, max_size=60), copies=st.integers(1, 3))
def test_weights_count_as_copies(values: list[int], copies: int) -> None:
    data = np.array(values, dtype=np.float64)
    counts = 1 + (np.arange(data.size) % copies)
    centre, spread = robust_centre_and_sd(data, counts.astype(np.float64))
    plain = np.sort(np.repeat(data, counts))
    low, high = plain[(plain.size - 1) // 2], plain[plain.size // 2]
    assert low <= centre <= high
    deviations = np.sort(np.abs(plain - centre))
    assert 1.4826 * deviations[(plain.size - 1) // 2] <= spread + 1e-9
    assert spread <= 1.4826 * deviations[plain.size // 2] + 1e-9
