"""Virtual DXA: exact on blocks of known density, refusals, references."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from osteoscope.anatomy.vertebra import BodyHeights, Vertebra
from osteoscope.core.dxa_reference import REFERENCES
from osteoscope.core.errors import InputError, QualityError
from osteoscope.core.grid import Grid, grid_from_spacing
from osteoscope.core.label_schemes import label_scheme
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.volume import Volume
from osteoscope.densitometry.calibration.line import Calibration
from osteoscope.densitometry.virtual_dxa import LEVELS, virtual_dxa

SPACING = (2.0, 1.0, 1.0)
BODY_MM = (28, 34, 46)
BONE_HU, SOFT_HU = 250, 40
EXACT = Calibration("table", "HA", 0.8, 10.0, np.zeros((2, 2)), "exact line")


def _blocks(bone_hu=BONE_HU, soft_hu=SOFT_HU):
    """Four bodies as blocks 28 mm high, 34 mm deep and 46 mm wide, 8 mm apart, in soft tissue."""
    shape = (90, 100, 90)
    grid = grid_from_spacing(shape, SPACING)
    array = np.full(shape, soft_hu, dtype=np.int16)
    labels = np.zeros(shape, dtype=np.uint8)
    vertebrae = {}
    for n, level in enumerate(LEVELS):
        top = 84 - n * 18
        box = (slice(top - 14, top), slice(40, 74), slice(22, 68))
        array[box] = bone_hu
        labels[box] = 31 - n
        wide = tuple(slice(s.start - 2, s.stop + 2) for s in box)
        mask = labels[wide] == 31 - n
        inner = grid.crop(wide)
        centre = inner.index_to_world_mm(np.argwhere(mask).astype(float)).mean(axis=0)
        vertebrae[level] = Vertebra(
            level, wide, inner, mask, mask, np.eye(3), centre, BodyHeights(28.0, 28.0, 28.0)
        )
    scheme = label_scheme("totalsegmentator")
    return Volume(array, grid), vertebrae, LabelMap(labels, grid, scheme)


def test_a_block_of_known_density_has_its_density_times_its_depth():
    volume, vertebrae, _ = _blocks(soft_hu=40)
    result = virtual_dxa(volume, vertebrae, EXACT)
    expected = (0.8 * BONE_HU + 10.0) * BODY_MM[1] / 10.0 / 1000.0
    for level in LEVELS:
        assert result.levels[level].areal_bmd_g_cm2 == pytest.approx(expected, rel=1e-6)
        area = BODY_MM[0] * BODY_MM[2] / 100.0
        assert result.levels[level].area_cm2 == pytest.approx(area, rel=1e-6)
    assert result.total.bmc_g == pytest.approx(sum(d.bmc_g for d in result.levels.values()))
    assert result.total.areal_bmd_g_cm2 == pytest.approx(expected, rel=1e-6)


def test_the_t_score_follows_the_named_reference():
    volume, vertebrae, _ = _blocks()
    for name, reference in REFERENCES.items():
        result = virtual_dxa(volume, vertebrae, EXACT, reference=name)
        expected = (result.total.areal_bmd_g_cm2 - reference.mean_g_cm2) / reference.sd_g_cm2
        assert result.t_score == pytest.approx(expected)
        assert result.reference.source
    assert result.t_score_interval.low < result.t_score < result.t_score_interval.high


def test_soft_tissue_and_the_table_do_not_count():
    plain, vertebrae, labels = _blocks(soft_hu=40)
    array = plain.array.copy()
    array[:, 90:95] = 900  # a table behind, a stone in front, neither in a mask
    array[40:44, 10:14, 40:44] = 1200
    result = virtual_dxa(dataclasses.replace(plain, array=array), vertebrae, EXACT, labels=labels)
    bare = virtual_dxa(plain, vertebrae, EXACT, labels=labels)
    assert result.total.bmc_g == pytest.approx(bare.total.bmc_g)


def test_aortic_calcification_adds_to_what_lies_behind_it():
    volume, vertebrae, labels = _blocks()
    array, marked = volume.array.copy(), labels.array.copy()
    marked[:, 20:34, 50:64] = 52
    array[60:70, 20:22, 52:60] = 650
    result = virtual_dxa(
        dataclasses.replace(volume, array=array), vertebrae, EXACT,
        labels=dataclasses.replace(labels, array=marked),
    )  # fmt: skip
    bare = virtual_dxa(volume, vertebrae, EXACT, labels=labels)
    added = result.total.bmc_g - bare.total.bmc_g
    assert added == pytest.approx(result.aortic_calcification_g)
    # Rows 66 to 69 of the plaque overlie L2 and L1 has none; discs are no bone.
    overlying = 600 * 0.8 * (8 * 2 * 2.0 * 1e-3) * np.count_nonzero(_bone_rows()[60:70]) / 1000
    assert added == pytest.approx(overlying, rel=1e-6)
    assert "aortic calcification included" in result.method


def _bone_rows():
    _, _, labels = _blocks()
    return labels.array.any(axis=(1, 2))


def test_two_levels_give_a_density_and_no_t_score():
    volume, vertebrae, _ = _blocks()
    result = virtual_dxa(volume, vertebrae, EXACT, levels=("L2", "L3"))
    assert list(result.levels) == ["L2", "L3"]
    assert result.t_score is None
    assert result.t_score_interval is None


def test_the_calibrations_error_reaches_the_interval():
    volume, vertebrae, _ = _blocks()
    spread = dataclasses.replace(EXACT, covariance=np.diag([0.0016, 0.0]))
    sure = virtual_dxa(volume, vertebrae, EXACT).total.interval
    unsure = virtual_dxa(volume, vertebrae, spread).total
    # 5 % of the slope: 0.04 mg/cm3 per HU over 34 mm of 250 HU.
    own = 0.04 * BONE_HU * 3.4 / 1000
    half, without = (unsure.interval.high - unsure.interval.low) / 2, (sure.high - sure.low) / 2
    assert half**2 - without**2 == pytest.approx((1.959964 * own) ** 2, rel=1e-4)
    assert unsure.interval.covers == ("calibration", "method on simulations")


def test_a_missing_or_cut_level_is_refused():
    volume, vertebrae, _ = _blocks()
    without = {k: v for k, v in vertebrae.items() if k != "L3"}
    with pytest.raises(QualityError, match=r"body of L3 \(missing\)"):
        virtual_dxa(volume, without, EXACT)
    cut = vertebrae | {"L4": dataclasses.replace(vertebrae["L4"], body=None, withheld="Is cut.")}
    with pytest.raises(QualityError, match=r"body of L4 \(Is cut\)"):
        virtual_dxa(volume, cut, EXACT)
    swapped = vertebrae | {"L1": vertebrae["L2"], "L2": vertebrae["L1"]}
    with pytest.raises(QualityError, match="do not follow each other"):
        virtual_dxa(volume, swapped, EXACT)


@pytest.mark.parametrize("levels", [("L1",), ("L1", "L3"), ("L4", "L3"), (), ("T12", "L1")])
def test_levels_must_be_neighbours_from_the_top(levels):
    volume, vertebrae, _ = _blocks()
    with pytest.raises(InputError, match="two or more neighbours"):
        virtual_dxa(volume, vertebrae, EXACT, levels=levels)


def test_an_unknown_reference_and_a_tilted_scan_are_refused():
    volume, vertebrae, _ = _blocks()
    with pytest.raises(InputError, match="known: hologic-women-l1-l4"):
        virtual_dxa(volume, vertebrae, EXACT, reference="everybody")
    angle = np.deg2rad(20)
    affine = volume.grid.affine_lps_mm.copy()
    turn = np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    affine[:3, :3] = turn @ affine[:3, :3]
    tilted = dataclasses.replace(volume, grid=Grid(volume.grid.shape, affine))
    turned = {
        k: dataclasses.replace(v, grid=tilted.grid.crop(v.box), axes=v.axes @ turn.T)
        for k, v in vertebrae.items()
    }
    with pytest.raises(QualityError, match="20 degrees off"):
        virtual_dxa(tilted, turned, EXACT)


def test_a_scan_that_ends_within_the_spine_is_refused():
    volume, vertebrae, _ = _blocks()
    short = volume.crop((slice(0, 84), slice(None), slice(None)))
    assert virtual_dxa(volume, vertebrae, EXACT).t_score is not None
    with pytest.raises(QualityError, match="ends within L1-L4"):
        virtual_dxa(short, vertebrae, EXACT)
