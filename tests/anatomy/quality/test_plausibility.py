"""Sizes, distances, angles and heights that a spine does not have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from osteoscope.anatomy.quality.fracture import fracture_flags
from osteoscope.anatomy.quality.plausibility import (
    curvature_flags,
    plausibility_flags,
    spacing_flags,
    volume_flags,
)
from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.grid import grid_from_spacing
from tests.anatomy.quality.drawn import HEIGHT_MM, LEVELS, Drawn, draw_spine, with_heights


@pytest.fixture(scope="module")
def spine() -> Drawn:
    return draw_spine()


def moved(vertebra: Vertebra, *offset_mm: float) -> Vertebra:
    return replace(vertebra, centre_mm=vertebra.centre_mm + np.array(offset_mm))


def test_a_plain_spine_is_plausible(spine: Drawn) -> None:
    assert plausibility_flags(spine.vertebrae) == []


@pytest.mark.parametrize(("share", "flagged"), [(0.3, True), (0.75, False)])
def test_a_partial_mask_is_implausible(spine: Drawn, share: float, flagged: bool) -> None:
    vertebra = spine.vertebrae["L2"]
    keep = np.cumsum(vertebra.mask).reshape(vertebra.mask.shape) <= share * vertebra.mask.sum()
    cut = {**spine.vertebrae, "L2": replace(vertebra, mask=vertebra.mask & keep)}
    flags = volume_flags(cut)
    assert [(f.level, f.effect) for f in flags] == ([("L2", "withhold")] if flagged else [])


def test_two_merged_vertebrae_are_implausible(spine: Drawn) -> None:
    a, b = spine.vertebrae["L2"], spine.vertebrae["L3"]
    both = np.concatenate([b.mask, a.mask])
    merged = {k: v for k, v in spine.vertebrae.items() if k != "L3"}
    merged["L2"] = replace(a, mask=both, body=None)
    (flag,) = volume_flags(merged)
    assert flag.level == "L2"
    assert float(flag.evidence["relative_to_others"]) > 1.6


def test_a_mask_cut_by_the_scan_gives_no_volume(spine: Drawn) -> None:
    vertebra = spine.vertebrae["T11"]
    cut = replace(vertebra, mask=np.zeros_like(vertebra.mask), touches=("superior",))
    assert volume_flags({**spine.vertebrae, "T11": cut}) == []


@pytest.mark.parametrize(("rise_mm", "flagged"), [(0, False), (5, False), (18, True), (-20, True)])
def test_spacing_is_held_against_the_others(spine: Drawn, rise_mm: float, flagged: bool) -> None:
    levels = dict(spine.vertebrae)
    for level in ("T11", "T12", "L1"):
        levels[level] = moved(levels[level], 0, 0, rise_mm)
    flags = spacing_flags(levels)
    assert [f.evidence["levels"] for f in flags] == ([["L1", "L2"]] if flagged else [])
    assert all(f.effect == "warn" for f in flags)


@pytest.mark.parametrize(("sideways_mm", "flagged"), [(6.0, False), (20.0, True)])
def test_a_kink_is_a_curvature_flag(spine: Drawn, sideways_mm: float, flagged: bool) -> None:
    # One body displaced by d kinks the line by 2 atan(d / 34): 20 and 61 degrees there.
    levels = {**spine.vertebrae, "L2": moved(spine.vertebrae["L2"], sideways_mm, 0, 0)}
    flags = curvature_flags(levels)
    assert ("L2" in {f.level for f in flags}) is flagged
    if flagged:
        kink = next(f for f in flags if f.level == "L2")
        expected = 2 * np.degrees(np.arctan(sideways_mm / 34))
        assert kink.evidence["angle_deg"] == pytest.approx(expected, abs=1)


def test_endplates_that_do_not_follow_each_other_are_a_curvature_flag(spine: Drawn) -> None:
    angle = np.radians(45)
    turn = np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    levels = {**spine.vertebrae, "L5": replace(spine.vertebrae["L5"], axes=turn)}
    (flag,) = curvature_flags(levels)
    assert flag.evidence["levels"] == ["L4", "L5"]
    assert flag.evidence["angle_deg"] == pytest.approx(45, abs=0.1)


@pytest.mark.parametrize(
    ("loss", "kind", "effect", "grade"),
    [
        (0.10, "wedge", None, 0),
        (0.45, "wedge", "withhold", 3),
        (0.30, "biconcave", "withhold", 2),
        (0.22, "wedge", "warn", 1),
        (0.35, "crush", "withhold", 2),
    ],
)
def test_genants_shapes_and_grades(
    spine: Drawn, loss: float, kind: str, effect: str | None, grade: int
) -> None:
    low = HEIGHT_MM * (1 - loss)
    heights = {
        "wedge": (low, (low + HEIGHT_MM) / 2, HEIGHT_MM),
        "biconcave": (HEIGHT_MM, low, HEIGHT_MM),
        "crush": (low, low, low),
    }[kind]
    flags = fracture_flags(with_heights(spine.vertebrae, "L2", *heights), wanted=LEVELS)
    assert [(f.level, f.effect) for f in flags] == ([("L2", effect)] if effect else [])
    if flags:
        assert flags[0].evidence["kind"] == kind
        assert flags[0].evidence["genant_grade"] == grade
        assert flags[0].evidence["height_loss"] == pytest.approx(loss, abs=0.01)


def test_thick_voxels_alone_make_no_sure_fracture(spine: Drawn) -> None:
    # A loss of 26 % withholds at 1 mm and is only possible at 3 mm.
    heights = (HEIGHT_MM * 0.74, HEIGHT_MM * 0.9, HEIGHT_MM)
    effects = {}
    for spacing in (1.0, 3.0):
        levels = with_heights(spine.vertebrae, "L2", *heights)
        shape = levels["L2"].mask.shape
        grid = grid_from_spacing(shape, (spacing, spacing, spacing))
        levels["L2"] = replace(levels["L2"], grid=grid)
        (flag,) = fracture_flags(levels, wanted=("L2",))
        effects[spacing] = flag.effect
    assert effects == {1.0: "withhold", 3.0: "warn"}


def test_a_first_grade_is_not_claimed_on_five_millimetre_slices(spine: Drawn) -> None:
    heights = (HEIGHT_MM * 0.78, HEIGHT_MM * 0.9, HEIGHT_MM)
    levels = with_heights(spine.vertebrae, "L2", *heights)
    grid = grid_from_spacing(levels["L2"].mask.shape, (5.0, 1.0, 1.0))
    levels["L2"] = replace(levels["L2"], grid=grid)
    assert fracture_flags(levels, wanted=("L2",)) == []
    deep = with_heights(levels, "L2", HEIGHT_MM * 0.5, HEIGHT_MM * 0.75, HEIGHT_MM)
    assert [f.effect for f in fracture_flags(deep, wanted=("L2",))] == ["withhold"]
