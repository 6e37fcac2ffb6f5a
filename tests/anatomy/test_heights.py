"""Height loss in the sense of Genant, by hand-made vertebrae."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osteoscope.anatomy.heights import genant_grade, height_error_mm, height_loss
from osteoscope.anatomy.vertebra import BodyHeights, Vertebra
from osteoscope.core.grid import grid_from_spacing


def vertebra(level, heights, spacing=(1.0, 1.0, 1.0), axes=None):
    grid = grid_from_spacing((4, 4, 4), spacing)
    mask = np.ones((4, 4, 4), bool)
    return Vertebra(
        level=level,
        box=(slice(0, 4), slice(0, 4), slice(0, 4)),
        grid=grid,
        mask=mask,
        body=mask,
        axes=np.eye(3) if axes is None else axes,
        centre_mm=np.zeros(3),
        heights=None if heights is None else BodyHeights(*heights),
    )


def spine(**heights):
    return {level: vertebra(level, values) for level, values in heights.items()}


@pytest.mark.parametrize(
    ("fraction", "grade"),
    [(0.0, 0), (0.199, 0), (0.20, 1), (0.249, 1), (0.25, 2), (0.399, 2), (0.40, 3), (0.9, 3)],
)
def test_grades_as_published(fraction, grade):
    """Genant 1993: 20-25 % mild, 25-40 % moderate, above 40 % severe."""
    assert genant_grade(fraction) == grade


def test_wedge():
    loss = height_loss("L1", spine(L1=(18.0, 22.0, 25.0)))
    assert (loss.kind, loss.grade) == ("wedge", 2)
    assert loss.fraction == pytest.approx(0.28)
    assert loss.references == ()
    assert [r.kind for r in loss.ratios] == ["wedge", "biconcave"]


def test_biconcave():
    loss = height_loss("L2", spine(L1=(26, 26, 26), L2=(25.0, 14.0, 26.0), L3=(27, 27, 27)))
    assert (loss.kind, loss.grade) == ("biconcave", 3)
    assert loss.fraction == pytest.approx(1 - 14 / 25.5)
    assert loss.references == ("L1", "L3")


def test_a_lip_at_one_rim_is_no_dent():
    """Middle 24 of 26 in front: only the posterior lip stands out."""
    loss = height_loss("L1", spine(L1=(26.5, 24.5, 32.0)))
    assert loss.grade == 0
    assert loss.kind == "wedge"


def test_crush_is_held_against_the_neighbours():
    loss = height_loss("L2", spine(L1=(26, 26, 26), L2=(20, 19.5, 20.0), L3=(28, 28, 28)))
    assert (loss.kind, loss.grade) == ("crush", 2)
    assert loss.fraction == pytest.approx(1 - 20 / 27)


def test_a_crushed_wedge_loses_against_the_expected_height():
    """Own posterior height 21 of 27 expected: the front has lost 15 of 27, not of 21."""
    loss = height_loss("L2", spine(L1=(26, 26, 26), L2=(12.0, 17.0, 21.0), L3=(28, 28, 28)))
    assert loss.kind == "wedge"
    assert loss.fraction == pytest.approx(1 - 12 / 27)


def test_deformed_neighbours_are_no_reference():
    loss = height_loss(
        "L2", spine(T12=(25, 25, 25), L1=(12, 15, 20), L2=(27, 27, 27), L3=(27, 27, 27))
    )
    assert loss.references == ("T12", "L3")
    assert loss.ratios[-1].ratio == pytest.approx(27 / (25 * 1 / 3 + 27 * 2 / 3))


def test_far_levels_and_the_sacrum_are_no_reference():
    assert height_loss("L1", spine(L1=(25, 25, 25), L4=(27, 27, 27))).references == ()
    assert height_loss("L5", spine(L5=(25, 25, 25), S1=(27, 27, 27))).references == ()


def test_one_neighbour_widens_the_error():
    two = height_loss("L2", spine(L1=(26, 26, 26), L2=(20, 20, 20), L3=(26, 26, 26)))
    one = height_loss("L2", spine(L1=(26, 26, 26), L2=(20, 20, 20)))
    assert one.fraction == pytest.approx(two.fraction)
    assert one.standard_error > 1.3 * two.standard_error


def test_missing_level_or_heights():
    assert height_loss("L1", {}) is None
    assert height_loss("L1", {"L1": vertebra("L1", None)}) is None


def test_error_of_a_height_follows_the_voxel_along_the_axis():
    """Two surfaces, each uniform over a voxel: s / sqrt(12) twice, in quadrature."""
    assert height_error_mm(vertebra("L1", (1, 1, 1), (3.0, 1.0, 1.0))) == pytest.approx(
        np.hypot(3 / np.sqrt(12), 3 / np.sqrt(12))
    )
    lying = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    flat = vertebra("L1", (1, 1, 1), (3.0, 1.0, 1.0), axes=lying)
    assert height_error_mm(flat) == pytest.approx(1 / np.sqrt(6))


def test_standard_error_matches_simulated_quantisation():
    """Monte Carlo: surfaces rounded to a 3 mm lattice give the stated error of the ratio."""
    rng = np.random.default_rng(5)
    size = 20_000
    low = rng.uniform(0, 3, (2, size))
    true = np.array([[20.0], [26.0]]) + rng.uniform(-1.5, 1.5, (2, size))
    measured = (np.round((low + true) / 3) - np.round(low / 3)) * 3
    spread = np.std(measured[0] / measured[1] - true[0] / true[1])
    loss = height_loss("L1", {"L1": vertebra("L1", (20.0, 25.0, 26.0), (3.0, 1.0, 1.0))})
    assert loss.standard_error == pytest.approx(spread, rel=0.1)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    st.tuples(*[st.floats(8.0, 40.0)] * 3),
    st.tuples(*[st.floats(20.0, 30.0)] * 2),
    st.floats(0.5, 2.0),
)
def test_loss_is_a_share_and_independent_of_size(own, around, scale):
    def loss_at(k):
        above, below = ((k * h,) * 3 for h in around)
        return height_loss("L2", spine(L1=above, L2=tuple(k * h for h in own), L3=below))

    loss, scaled = loss_at(1.0), loss_at(scale)
    assert 0.0 <= loss.fraction < 1.0
    assert loss.fraction == max(ratio.loss for ratio in loss.ratios)
    assert scaled.fraction == pytest.approx(loss.fraction, abs=1e-9)
    assert loss.grade == genant_grade(loss.fraction)
