"""Orders of an epoch: counts, repeats and purity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osteoscope.core.errors import InputError
from osteoscope.learning.sampling import order

LABELS = np.repeat([0, 1, 2], [181, 110, 20])


@pytest.mark.parametrize("kind", ["shuffle", "class-balanced"])
def test_an_order_depends_on_seed_and_epoch_only(kind):
    first = order(LABELS, 3, 5, kind)
    np.random.default_rng(0).random(10)
    assert np.array_equal(first, order(LABELS, 3, 5, kind))
    assert not np.array_equal(first, order(LABELS, 4, 5, kind))
    assert not np.array_equal(first, order(LABELS, 3, 6, kind))


def test_a_shuffle_visits_each_row_once():
    assert np.array_equal(np.sort(order(LABELS, 0, 0)), np.arange(len(LABELS)))


def test_the_papers_classes_come_equally_often():
    visited = order(LABELS, 0, 0, "class-balanced")
    assert sorted(np.bincount(LABELS[visited])) == [103, 104, 104]


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=4).filter(any),
    seed=st.integers(0, 100),
    epoch=st.integers(0, 100),
)
def test_balanced_orders_are_as_even_as_can_be(counts, seed, epoch):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    visited = order(labels, epoch, seed, "class-balanced")
    assert len(visited) == len(labels)
    present = np.unique(labels)
    shares = np.bincount(labels[visited], minlength=len(counts))[present]
    assert shares.max() - shares.min() <= 1
    visits = np.bincount(visited, minlength=len(labels))
    for label in present:
        of_class = visits[labels == label]
        assert of_class.max() - of_class.min() <= 1


def test_over_many_epochs_every_row_of_the_largest_class_is_met():
    met = np.concatenate([order(LABELS, e, 0, "class-balanced") for e in range(12)])
    assert set(met) == set(range(len(LABELS)))


def test_balancing_needs_classes():
    labels = np.array([0, 1, -1])
    with pytest.raises(InputError, match="class of every training row"):
        order(labels, 0, 0, "class-balanced")
    assert len(order(labels, 0, 0)) == 3


@pytest.mark.parametrize(("labels", "epoch", "seed"), [([], 0, 0), ([1], -1, 0), ([1], 0, -1)])
def test_what_cannot_be_ordered_is_refused(labels, epoch, seed):
    with pytest.raises(InputError):
        order(np.array(labels, dtype=int), epoch, seed)


def test_an_unknown_kind_lists_the_known_ones():
    with pytest.raises(InputError, match="known: shuffle, class-balanced"):
        order(LABELS, 0, 0, "weighted")
