"""Boxes: tight, joined, and moved between an array and a crop of it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from osteoscope.core.box import (
    Box,
    bounding_box,
    box_around,
    inward,
    outward,
    voxels_inside,
)

SIDES = st.tuples(st.integers(0, 4), st.integers(1, 4)).map(lambda s: slice(s[0], s[0] + s[1]))
BOXES: st.SearchStrategy[Box] = st.tuples(SIDES, SIDES, SIDES)


@given(BOXES)
def test_a_filled_box_is_its_own_bounding_box(wanted: Box) -> None:
    mask = np.zeros((8, 8, 8), dtype=bool)
    mask[wanted] = True
    assert bounding_box(mask) == wanted


@given(BOXES, BOXES)
def test_the_box_around_two_is_the_bounding_box_of_both(one: Box, other: Box) -> None:
    mask = np.zeros((8, 8, 8), dtype=bool)
    mask[one] = mask[other] = True
    assert box_around([one, other]) == bounding_box(mask)


@given(BOXES, BOXES)
def test_a_box_of_a_crop_names_the_same_voxels_of_the_whole(inner: Box, outer: Box) -> None:
    whole = np.arange(12**3).reshape(12, 12, 12)
    padded = outward(inner, outer)
    assert inward(padded, outer) == inner
    start = tuple(slice(s.start, None) for s in outer)
    assert np.array_equal(whole[start][inner], whole[padded])


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 0.6))
def test_voxels_come_in_the_order_of_argwhere(seed: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((4, 5, 6)) < share
    assert np.array_equal(voxels_inside(mask), np.argwhere(mask))
    # A view with other strides, as the canonical view of a scan is.
    turned = mask.transpose(2, 0, 1)[::-1]
    assert np.array_equal(voxels_inside(turned), np.argwhere(turned))
