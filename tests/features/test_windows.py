"""Windows: HU to [0, 1], one channel each."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osteoscope.core.errors import InputError
from osteoscope.features import windows as module
from osteoscope.features.windows import (
    DEFAULT_WINDOW,
    WINDOWS,
    apply_windows,
    check_windows,
    named_windows,
)


def test_each_window_is_a_channel() -> None:
    hu = np.array([-1024, -200, 0, 300, 800, 3000], dtype=np.int16).reshape(1, 1, 1, 6)
    found = apply_windows(hu, ((-200.0, 800.0), (0.0, 600.0)))
    assert found.shape == (1, 2, 1, 1, 6)
    assert found.dtype == np.float32
    assert found[0, 0].ravel() == pytest.approx([0, 0, 0.2, 0.5, 1, 1])
    assert found[0, 1].ravel() == pytest.approx([0, 0, 0, 0.5, 1, 1])


@given(
    st.integers(-32768, 32767),
    st.floats(-1000, 1000),
    st.floats(1, 3000),
)
def test_it_is_the_formula_and_never_leaves_0_to_1(hu: int, low: float, width: float) -> None:
    crop = np.full((1, 1, 1, 1), hu, dtype=np.int16)
    found = apply_windows(crop, ((low, low + width),)).item()
    assert found == pytest.approx(min(max((hu - low) / width, 0.0), 1.0), abs=2e-4)
    assert 0.0 <= found <= 1.0


def test_the_default_clips_neither_marrow_nor_dense_trabecular_bone() -> None:
    low, high = DEFAULT_WINDOW
    assert low < -100 < 400 < high


def test_named_windows_come_in_their_order() -> None:
    assert named_windows(("bone", "vertebra")) == (WINDOWS["bone"], DEFAULT_WINDOW)
    with pytest.raises(InputError, match=r"Unknown window 'lung'; known: vertebra, bone"):
        named_windows(("lung",))
    with pytest.raises(InputError, match="At least one window"):
        named_windows(())


@pytest.mark.parametrize(
    "windows", [(), ((1.0, 1.0),), ((5.0, -5.0),), ((float("nan"), 1.0),), ((0.0, float("inf")),)]
)
def test_a_window_that_maps_nothing_is_refused(windows: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(InputError):
        check_windows(windows)


def test_every_named_window_is_one() -> None:
    check_windows(tuple(WINDOWS.values()))


def test_crops_without_a_batch_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(n, z, y, x\)"):
        apply_windows(np.zeros((2, 2, 2), dtype=np.int16))


def test_examples_run() -> None:
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0
