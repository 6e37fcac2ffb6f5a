"""Labels that are missing, cut, doubled, out of order or named one off."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from osteoscope.anatomy.quality.coverage import unlabelled_spine_flags
from osteoscope.anatomy.quality.doubled import doubled_flags
from osteoscope.anatomy.quality.labelling import labelling_flags
from osteoscope.anatomy.quality.landmarks import rib_contacts, sacrum_contact
from osteoscope.core.flag import Flag
from osteoscope.core.label_schemes import label_scheme
from tests.anatomy.quality.drawn import LEVELS, SCHEME, Drawn, cut_out, draw_spine

V = SCHEME.vertebrae


@pytest.fixture(scope="module")
def spine() -> Drawn:
    return draw_spine()


def flags_of(drawn: Drawn, wanted: tuple[str, ...] = LEVELS) -> list[Flag]:
    return labelling_flags(drawn.labels, drawn.vertebrae, wanted)


def codes(flags: list[Flag]) -> set[tuple[str, str | None]]:
    return {(f.code, f.level) for f in flags}


def moved(drawn: Drawn, names: dict[str, str | None]) -> Drawn:
    """The labels with levels renamed."""
    table = np.arange(256, dtype=np.uint8)
    for old, new in names.items():
        table[V[old]] = 0 if new is None else V[new]
    return drawn.relabelled(table[drawn.labels.array])


def test_a_spine_labelled_right_has_no_flag(spine: Drawn) -> None:
    assert flags_of(spine) == []


def test_labels_in_any_orientation_give_the_same_flags(spine: Drawn) -> None:
    grid = spine.labels.grid
    affine = grid.affine_lps_mm.copy()
    affine[:3, 3] = grid.index_to_world_mm(np.array([grid.shape[0] - 1.0, 0.0, 0.0]))
    affine[:3, 0] *= -1
    flipped = replace(
        spine.labels, array=spine.labels.array[::-1], grid=replace(grid, affine_lps_mm=affine)
    )
    assert labelling_flags(flipped, spine.vertebrae, LEVELS) == []


def test_a_level_dropped_between_others_is_serious_and_withheld(spine: Drawn) -> None:
    flags = flags_of(moved(spine, {"L2": None}))
    assert codes(flags) == {("level_missing", "L2")}
    assert (flags[0].severity, flags[0].effect) == ("serious", "withhold")
    assert flags[0].evidence["between_labelled_levels"] is True


def test_a_level_beyond_the_labels_is_only_missing(spine: Drawn) -> None:
    flags = flags_of(spine, (*LEVELS, "T10"))
    assert codes(flags) == {("level_missing", "T10")}
    assert flags[0].severity == "warning"


def test_swapped_levels_withhold_everything(spine: Drawn) -> None:
    found = [f for f in flags_of(moved(spine, {"L2": "L3", "L3": "L2"})) if f.level is None]
    order = next(f for f in found if f.code == "labels_out_of_order")
    assert order.effect == "withhold"
    assert order.evidence["found"] == ["T11", "T12", "L1", "L3", "L2", "L4", "L5"]


@pytest.mark.parametrize("step", [1, -1])
def test_names_shifted_by_one_disagree_with_the_ribs(spine: Drawn, step: int) -> None:
    order = ("T10", *LEVELS, "S1")
    names = {a: order[order.index(a) + step] for a in LEVELS}
    shifted = moved(spine, names)
    shift = [f for f in flags_of(shifted) if f.code == "possible_level_shift"]
    assert shift
    assert all(f.effect == "withhold" and f.level is None for f in shift)
    by_ribs = next(f for f in shift if "ribs" in f.evidence)
    assert by_ribs.evidence["steps"] == step


def test_without_ribs_the_sacrum_shows_a_shift(spine: Drawn) -> None:
    array = spine.labels.array.copy()
    array[(array >= SCHEME.structures["rib_left_1"])] = 0
    bare = spine.relabelled(array)
    assert flags_of(bare) == []
    up = moved(bare, dict(zip(LEVELS, ("T10", *LEVELS[:-1]), strict=True)))
    shift = [f for f in flags_of(up) if f.code == "possible_level_shift"]
    assert [f.evidence["lowest_level"] for f in shift] == ["L4"]
    down = moved(bare, {"L5": None, **dict(itertools.pairwise(LEVELS))})
    shift = [f for f in flags_of(down) if f.code == "possible_level_shift"]
    assert [f.evidence["lowest_level"] for f in shift] == ["L5"]
    assert shift[0].evidence["gap_mm"] > 30


def test_with_ribs_that_agree_the_count_of_lumbar_vertebrae_is_a_variant(spine: Drawn) -> None:
    four = moved(spine, {"L5": None})
    array = four.labels.array.copy()
    # The sacrum begins where L5 was: four lumbar vertebrae.
    gone = (spine.labels.array == V["L5"]) & spine.bodies
    array[gone] = SCHEME.structures["sacrum"]
    flags = flags_of(four.relabelled(array), LEVELS[:-1])
    assert codes(flags) == {("transitional_anatomy", None)}
    assert flags[0].effect == "warn"
    assert "four lumbar" in flags[0].message


def test_a_t12_without_ribs_is_transitional(spine: Drawn) -> None:
    array = spine.labels.array.copy()
    for side in ("left", "right"):
        array[array == SCHEME.structures[f"rib_{side}_12"]] = 0
    assert codes(flags_of(spine.relabelled(array))) == {("transitional_anatomy", None)}


@pytest.mark.parametrize(("variant", "old"), [("L6", "L5"), ("T13", "T12")])
def test_a_variant_level_in_the_labels_is_transitional(
    spine: Drawn, variant: str, old: str
) -> None:
    verse = label_scheme("verse")
    array = np.zeros_like(spine.labels.array)
    for level in LEVELS:
        name = variant if level == old else level
        array[spine.labels.array == V[level]] = verse.vertebrae[name]
    labels = replace(spine.labels, array=array, scheme=verse)
    wanted = tuple(level for level in LEVELS if level != old)
    flags = labelling_flags(labels, cut_out(labels, spine.bodies), wanted)
    assert ("transitional_anatomy", None) in codes(flags)


def test_without_ribs_and_sacrum_the_names_are_unverified(spine: Drawn) -> None:
    array = np.where(np.isin(spine.labels.array, list(V.values())), spine.labels.array, 0)
    flags = flags_of(spine.relabelled(array))
    assert codes(flags) == {("level_unverified", None)}
    assert (flags[0].severity, flags[0].effect) == ("info", "warn")


def test_a_skipped_name_is_a_shift(spine: Drawn) -> None:
    flags = flags_of(moved(spine, {"T11": None, "T12": "T11"}), ())
    skipped = [f for f in flags if "levels" in f.evidence]
    assert [f.evidence["levels"] for f in skipped] == [["T11", "L1"]]
    assert skipped[0].effect == "withhold"


def test_a_label_in_two_far_pieces_is_doubled(spine: Drawn) -> None:
    flags = flags_of(moved(spine, {"L4": "L2"}))
    doubled = [f for f in flags if f.code == "labels_doubled"]
    assert [(f.level, f.effect) for f in doubled] == [("L2", "withhold")]
    assert doubled[0].evidence["distance_mm"] == pytest.approx(68, abs=3)


def test_two_bodies_bridged_by_their_arches_are_doubled(spine: Drawn) -> None:
    merged = moved(spine, {"L3": "L2"})
    array = merged.labels.array.copy()
    k, j, i = spine.place("L2")
    # A bridge between the arches, as touching facets make it.
    array[k - 17 : k + 1, j + 12 : j + 16, i - 6 : i - 3] = V["L2"]
    bridged = merged.relabelled(array)
    found = doubled_flags(bridged.vertebrae["L2"])
    assert [f.level for f in found] == ["L2"]


def test_a_detached_spinous_process_is_not_doubled(spine: Drawn) -> None:
    array = spine.labels.array.copy()
    k, j, _i = spine.place("L2")
    array[k - 20 : k + 20, j + 11 : j + 16][array[k - 20 : k + 20, j + 11 : j + 16] == V["L2"]] = 0
    assert doubled_flags(spine.relabelled(array).vertebrae["L2"]) == []


def test_a_body_cut_by_the_scan_is_withheld_and_a_cut_arch_warns(spine: Drawn) -> None:
    k, _, _ = spine.place("T11")
    for cut, effect in ((k + 2, "withhold"), (k + 14, None)):
        box = (slice(0, cut), slice(None), slice(None))
        labels = spine.labels.crop(box)
        flags = labelling_flags(labels, cut_out(labels, spine.bodies[box]), LEVELS)
        edge = [f for f in flags if f.code == "touches_edge"]
        assert [(f.level, f.effect) for f in edge] == ([("T11", effect)] if effect else [])
    k, _, _ = spine.place("L5")
    labels = spine.labels.crop((slice(k - 4, None), slice(None), slice(None)))
    bodies = spine.bodies[k - 4 :].copy()
    bodies[:3] = False
    flags = labelling_flags(labels, cut_out(labels, bodies), ("L5",))
    edge = [f for f in flags if f.code == "touches_edge"]
    assert [(f.effect, f.severity) for f in edge] == [("warn", "info")]


def test_a_body_cut_by_the_end_of_the_labels_is_withheld(spine: Drawn) -> None:
    k, _, _ = spine.place("L2")
    array = spine.labels.array.copy()
    array[: k - 4] = 0
    flags = flags_of(spine.relabelled(array), ("L1", "L2"))
    assert ("touches_edge", "L2") in codes(flags)
    assert ("touches_edge", "L1") not in codes(flags)


def test_unlabelled_spine_is_measured_where_levels_are_missing(spine: Drawn) -> None:
    k, _, _ = spine.place("L1")
    array = spine.labels.array.copy()
    array[: k - 9] = 0
    cropped = spine.relabelled(array)
    args = (cropped.volume, cropped.labels, cropped.vertebrae)
    (flag,) = unlabelled_spine_flags(*args, LEVELS)
    assert flag.code == "unlabelled_spine"
    assert flag.severity == "serious"
    # Bone is seen in the bodies and the sacrum below, not in every disc.
    assert 120 <= float(flag.evidence["below_mm"]) <= 215
    assert flag.evidence["above_mm"] == 0
    assert unlabelled_spine_flags(*args, ("T12", "L1")) == []
    assert unlabelled_spine_flags(spine.volume, spine.labels, spine.vertebrae, LEVELS) == []


def test_a_scan_without_any_vertebra_label_is_unlabelled(spine: Drawn) -> None:
    empty = spine.relabelled(np.zeros_like(spine.labels.array))
    (flag,) = unlabelled_spine_flags(empty.volume, empty.labels, {}, LEVELS)
    assert flag.evidence["share"] == 1.0
    assert codes(flags_of(empty)) == {("level_missing", level) for level in LEVELS}


def test_landmarks_are_where_they_were_drawn(spine: Drawn) -> None:
    ribs = rib_contacts(spine.labels, spine.vertebrae)
    assert {(r.rib, r.level) for r in ribs} == {
        (f"rib_{side}_{n}", f"T{n}") for side in ("left", "right") for n in (11, 12)
    }
    sacrum = sacrum_contact(spine.labels, spine.vertebrae)
    assert sacrum is not None
    assert sacrum.level == "L5"
    # Drawn 12 mm apart; between the centres of voxels of 2 mm that is up to 16.
    assert sacrum.gap_mm == pytest.approx(14, abs=2)
