"""Distances near a mask, against SciPy's whole distance transform."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from osteoscope.anatomy.nearby import distance_up_to


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(*[st.floats(0.3, 5.0)] * 3),
    st.floats(0.2, 9.0),
    st.floats(0.002, 0.5),
)
def test_equals_a_whole_transform_up_to_the_reach(seed, spacing, reach_mm, share):
    mask = np.random.default_rng(seed).random((6, 9, 11)) < share
    mask[3, 4, 5] = True
    exact = ndimage.distance_transform_edt(~mask, sampling=spacing)
    got = distance_up_to(mask, np.array(spacing), reach_mm)
    near = exact <= reach_mm
    np.testing.assert_allclose(got[near], exact[near], rtol=1e-12)
    assert np.all(got[~near] > reach_mm * (1 - 1e-9))


def test_a_reach_of_whole_voxels_includes_its_end():
    mask = np.zeros((1, 1, 8), dtype=bool)
    mask[0, 0, 0] = True
    got = distance_up_to(mask, np.array([1.0, 1.0, 1.4]), 3 * 1.4)
    np.testing.assert_allclose(got[0, 0, :4], 1.4 * np.arange(4))


def test_an_empty_mask_is_nowhere_near():
    assert np.all(np.isinf(distance_up_to(np.zeros((2, 2, 2), bool), np.ones(3), 5.0)))
