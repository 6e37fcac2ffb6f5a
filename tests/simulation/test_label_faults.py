"""Spoiled labels: each fault does what its name says and plants its flag."""

from __future__ import annotations

import numpy as np
import pytest

from osteoscope.core.errors import InputError
from osteoscope.simulation import label_faults as faults
from osteoscope.simulation.render import SimulatedPatient


def count(labels: object, level: str) -> int:
    return int(np.count_nonzero(labels.array == labels.scheme.vertebrae[level]))  # type: ignore[attr-defined]


def test_levels_are_found_in_order(plain: SimulatedPatient) -> None:
    expected = ("T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5")
    assert faults.present_levels(plain.labels) == expected
    assert faults.present_levels(plain.verse) == expected


def test_shift_renames_every_level_and_keeps_the_rest(plain: SimulatedPatient) -> None:
    before = plain.labels.array.copy()
    spoiled = faults.shift_by_one(plain.labels)
    assert spoiled.planted == (("possible_level_shift", None), ("level_missing", "L5"))
    assert count(spoiled.labels, "T12") == count(plain.labels, "L1")
    assert count(spoiled.labels, "L5") == 0
    down = faults.shift_by_one(plain.labels, upwards=False)
    assert count(down.labels, "L2") == count(plain.labels, "L1")
    np.testing.assert_array_equal(plain.labels.array, before)
    rib = plain.labels.scheme.structures["rib_left_12"]
    np.testing.assert_array_equal(spoiled.labels.array == rib, before == rib)


def test_swap_exchanges_two(plain: SimulatedPatient) -> None:
    spoiled = faults.swap(plain.verse, "L1", "L3")
    assert count(spoiled.labels, "L1") == count(plain.verse, "L3")
    assert count(spoiled.labels, "L3") == count(plain.verse, "L1")
    assert spoiled.planted == (("labels_out_of_order", None),)


def test_double_drop_and_merge(plain: SimulatedPatient) -> None:
    total = count(plain.labels, "L1") + count(plain.labels, "L4")
    doubled = faults.double_label(plain.labels, "L1", "L4")
    assert count(doubled.labels, "L1") == total
    assert ("labels_doubled", "L1") in doubled.planted
    dropped = faults.drop_level(plain.labels, "L3")
    assert count(dropped.labels, "L3") == 0
    assert dropped.planted == (("level_missing", "L3"),)
    merged = faults.merge(plain.labels, "L2", "L3")
    assert count(merged.labels, "L2") >= count(plain.labels, "L2") + count(plain.labels, "L3")
    assert ("implausible_volume", "L2") in merged.planted


def test_zero_over_most_keeps_whole_slices(plain: SimulatedPatient) -> None:
    spoiled = faults.zero_over_most(plain.labels, ("L1",))
    assert count(spoiled.labels, "L1") == count(plain.labels, "L1")
    assert count(spoiled.labels, "L4") == 0
    assert ("unlabelled_spine", None) in spoiled.planted
    assert ("level_missing", "L4") in spoiled.planted
    used = np.flatnonzero(spoiled.labels.array.any(axis=(1, 2)))
    assert len(used) < 0.4 * spoiled.labels.array.shape[0]
    assert len(used) == used[-1] - used[0] + 1


def test_shrink_skip_and_displace(plain: SimulatedPatient) -> None:
    small = faults.shrink(plain.labels, "L2", 0.3)
    assert 0 < count(small.labels, "L2") < 0.5 * count(plain.labels, "L2")
    skipped = faults.skip_level(plain.labels, "L2")
    assert count(skipped.labels, "L2") == count(plain.labels, "L1")
    assert count(skipped.labels, "L3") == count(plain.labels, "L3")
    assert count(skipped.labels, "T10") == 0
    assert ("implausible_spacing", "L3") in skipped.planted
    moved = faults.displace_level(plain.labels, "L3", 30.0)
    columns = [np.argwhere(x.array == 29)[:, 2].mean() for x in (plain.labels, moved.labels)]
    assert columns[1] - columns[0] == pytest.approx(15.0, abs=1.0), "30 mm at 2 mm a column"


def test_a_level_that_is_not_there_is_refused(plain: SimulatedPatient) -> None:
    for spoil in (faults.drop_level, faults.shrink, faults.skip_level, faults.displace_level):
        with pytest.raises(InputError, match="No voxel is labelled C3"):
            spoil(plain.labels, "C3")
    with pytest.raises(InputError, match="0-1"):
        faults.shrink(plain.labels, "L1", 1.0)
    with pytest.raises(InputError, match="Nothing lies above"):
        faults.skip_level(plain.labels, "T10")
