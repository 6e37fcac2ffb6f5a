"""WHO classes: each cut-off belongs to the class that it names, to the last bit."""

import doctest
import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osteoscope.core import who
from osteoscope.core.errors import InputError
from osteoscope.core.who import WHO_CLASSES, who_class
from osteoscope.simulation import dxa


@pytest.mark.parametrize(
    ("t_score", "name"),
    [
        (3.0, "normal"),
        (math.nextafter(-1.0, math.inf), "normal"),
        (-1.0, "normal"),
        (math.nextafter(-1.0, -math.inf), "osteopenia"),
        (-1.1, "osteopenia"),
        (-2.4, "osteopenia"),
        (math.nextafter(-2.5, math.inf), "osteopenia"),
        (-2.5, "osteoporosis"),
        (math.nextafter(-2.5, -math.inf), "osteoporosis"),
        (-6.0, "osteoporosis"),
    ],
)
def test_the_cut_offs_fall_where_the_who_puts_them(t_score: float, name: str) -> None:
    """WHO TRS 843 and the paper's Table I: normal -1 and above, osteoporosis -2.5 and below."""
    assert WHO_CLASSES[who_class(t_score)] == name


@given(st.floats(-20, 20), st.floats(-20, 20))
def test_a_lower_t_score_is_never_a_milder_class(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert who_class(low) >= who_class(high)


@pytest.mark.parametrize("t_score", [math.nan, math.inf, -math.inf])
def test_what_is_unknown_has_no_class(t_score: float) -> None:
    with pytest.raises(InputError, match="finite"):
        who_class(t_score)


def test_the_simulator_has_the_same_classes() -> None:
    assert get_args(dxa.WhoClass) == WHO_CLASSES
    for t_score in (-3.0, -2.5, -2.0, -1.0, 0.0):
        assert dxa.who_class(t_score) == WHO_CLASSES[who_class(t_score)]


def test_examples_run() -> None:
    results = doctest.testmod(who)
    assert results.attempted > 0
    assert results.failed == 0
