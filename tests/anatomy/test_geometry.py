"""Vertebra geometry against an analytic vertebra: body, axes, centre, heights, edges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osteoscope.anatomy.measure import measure_vertebrae
from osteoscope.core.errors import GeometryError
from osteoscope.core.grid import Grid
from osteoscope.core.label_schemes import SCHEMES, LabelScheme
from osteoscope.core.labelmap import LabelMap
from tests.anatomy.vertebra_phantom import (
    DEPTH_MM,
    cube_grid,
    degrees_between,
    dice,
    label_map,
    rotation,
    vertebra_masks,
)

TILTS = [(0.0, 0.0, 0.0), (18.0, 0.0, 0.0), (-25.0, 8.0, 12.0), (10.0, -15.0, -20.0)]


def tilted(x: float, y: float, z: float) -> np.ndarray:
    return np.eye(3) @ (rotation(2, z) @ rotation(1, y) @ rotation(0, x)).T


@pytest.mark.parametrize("tilt", TILTS)
@pytest.mark.parametrize(
    ("spacing", "height_mm", "angle_deg"),
    [((1.0, 1.0, 1.0), 1.0, 2.5), ((2.0, 0.8, 0.8), 1.5, 4.5), ((3.0, 3.0, 3.0), 2.0, 6.0)],
)
def test_tilted_vertebra(tilt, spacing, height_mm, angle_deg):
    grid, axes = cube_grid(spacing), tilted(*tilt)
    body, whole = vertebra_masks(grid, axes, (23.0, 27.0))
    vertebra = measure_vertebrae(label_map(whole, grid))["L1"]
    assert vertebra.withheld is None
    assert dice(vertebra.body, body[vertebra.box]) >= 0.95
    assert np.linalg.norm(vertebra.centre_mm) < 1.0 + max(spacing) / 3
    for found, true in zip(vertebra.axes, axes, strict=True):
        assert degrees_between(found, true) < angle_deg
    heights = vertebra.heights
    assert heights.anterior_mm == pytest.approx(23.0, abs=height_mm)
    assert heights.middle_mm == pytest.approx(25.0, abs=height_mm)
    assert heights.posterior_mm == pytest.approx(27.0, abs=height_mm)
    assert vertebra.touches == ()


def test_axes_are_right_handed_and_unit():
    grid = cube_grid((2.0, 2.0, 2.0))
    _, whole = vertebra_masks(grid, tilted(12, 5, -8))
    axes = measure_vertebrae(label_map(whole, grid))["L1"].axes
    assert axes @ axes.T == pytest.approx(np.eye(3), abs=1e-9)
    assert np.linalg.det(axes) == pytest.approx(1.0)


@settings(max_examples=8, derandomize=True, deadline=None)
@given(st.permutations([0, 1, 2]), st.tuples(st.booleans(), st.booleans(), st.booleans()))
def test_storage_order_does_not_matter(order, flips):
    """However the array is permuted and flipped, the same vertebra is measured."""
    grid = cube_grid((3.0, 2.0, 2.0))
    _, whole = vertebra_masks(grid, tilted(10, 4, 6), (22.0, 26.0))
    labels = label_map(whole, grid)
    expected = measure_vertebrae(labels)["L1"]
    affine = grid.affine_lps_mm.copy()
    array = labels.array
    for axis, flip in enumerate(flips):
        if flip:
            affine[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
            affine[:3, axis] *= -1
            array = np.flip(array, axis)
    affine = affine[:, [*order, 3]]
    array = array.transpose(order)
    turned = LabelMap(array, Grid(array.shape, affine), labels.scheme)
    found = measure_vertebrae(turned)["L1"]
    assert found.centre_mm == pytest.approx(expected.centre_mm, abs=1e-6)
    assert found.axes == pytest.approx(expected.axes, abs=1e-9)
    assert found.heights.posterior_mm == pytest.approx(expected.heights.posterior_mm, abs=1e-6)
    assert np.array_equal(found.body, expected.body)
    assert found.box == expected.box


def test_moving_the_patient_moves_the_answer():
    grid = cube_grid((2.0, 2.0, 2.0))
    _, whole = vertebra_masks(grid, np.eye(3))
    here = measure_vertebrae(label_map(whole, grid))["L1"]
    affine = grid.affine_lps_mm.copy()
    shift = np.array([130.0, -47.0, 900.0])
    affine[:3, 3] += shift
    there = measure_vertebrae(label_map(whole, Grid(grid.shape, affine)))["L1"]
    assert there.centre_mm - here.centre_mm == pytest.approx(shift, abs=1e-6)
    assert there.heights.middle_mm == pytest.approx(here.heights.middle_mm, abs=1e-6)


def test_a_body_that_is_labelled_is_used_as_it_is():
    grid = cube_grid((2.0, 2.0, 2.0))
    body, whole = vertebra_masks(grid, np.eye(3))
    parts = np.where(body, 50, np.where(whole, 41, 0)).astype(np.uint8)
    # A body that geometry alone would never give: its left tenth belongs to the arch.
    parts[(parts == 50) & (np.arange(grid.shape[2]) > 46)] = 41
    given = LabelMap(parts, grid, SCHEMES["tptbox-subregions"])
    vertebra = measure_vertebrae(label_map(whole, grid), subregions=given)["L1"]
    assert np.array_equal(vertebra.body, (parts == 50)[vertebra.box])
    assert vertebra.withheld is None
    assert vertebra.heights.middle_mm == pytest.approx(26.0, abs=1.5)


def test_subregions_on_another_grid_are_refused():
    grid, other = cube_grid((2.0, 2.0, 2.0)), cube_grid((3.0, 3.0, 3.0))
    _, whole = vertebra_masks(grid, np.eye(3))
    parts = np.zeros(other.shape, np.uint8)
    with pytest.raises(GeometryError, match="resample"):
        measure_vertebrae(
            label_map(whole, grid), subregions=LabelMap(parts, other, SCHEMES["tptbox-subregions"])
        )


def test_an_open_arch_is_measured_by_the_cord():
    grid = cube_grid((2.0, 2.0, 2.0))
    body, whole = vertebra_masks(grid, np.eye(3), gap_mm=34.0)
    labels = label_map(whole, grid)
    alone = measure_vertebrae(labels)["L1"]
    assert alone.body is None
    assert alone.axes is None
    assert "canal" in alone.withheld
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    x, y, _ = np.moveaxis(grid.index_to_world_mm(index), -1, 0)
    cord = x**2 + (y - DEPTH_MM / 2 - 8) ** 2 <= 5.0**2
    array = np.where(cord, SCHEMES["totalsegmentator"].structures["spinal_cord"], labels.array)
    with_cord = measure_vertebrae(replace(labels, array=array.astype(np.uint8)))["L1"]
    assert with_cord.withheld is None
    assert dice(with_cord.body, body[with_cord.box]) >= 0.95


def test_a_body_cut_by_the_scan_has_no_heights():
    grid = cube_grid((1.5, 1.5, 1.5))
    _, whole = vertebra_masks(grid, np.eye(3))
    labels = label_map(whole, grid)
    middle = int(np.rint(grid.world_mm_to_index(np.array([0.0, 0.0, 6.0]))[0]))
    top_cut = labels.crop((slice(0, middle), slice(None), slice(None)))
    vertebra = measure_vertebrae(top_cut)["L1"]
    assert vertebra.heights is None
    assert "upper endplate" in vertebra.withheld
    assert vertebra.touches == ("superior",)
    assert vertebra.body is not None
    assert degrees_between(vertebra.axes[2], np.array([0.0, 0.0, 1.0])) < 4.0


def test_labels_that_end_inside_a_vertebra_cut_it():
    """Nothing is labelled above, and the cord ends in the same slice: the labels were cut."""
    grid = cube_grid((1.5, 1.5, 1.5))
    _, whole = vertebra_masks(grid, np.eye(3))
    labels = label_map(whole, grid)
    array = labels.array.copy()
    array[:, 66:70, 47:51] = 79
    middle = int(np.rint(grid.world_mm_to_index(np.array([0.0, 0.0, 6.0]))[0]))
    array[middle:] = 0
    vertebra = measure_vertebrae(replace(labels, array=array))["L1"]
    assert vertebra.heights is None
    assert vertebra.touches == ()
    assert "labelled scan" in vertebra.withheld


def test_a_process_at_the_edge_leaves_the_heights():
    grid = cube_grid((1.5, 1.5, 1.5))
    _, whole = vertebra_masks(grid, np.eye(3))
    back = int(np.rint(grid.world_mm_to_index(np.array([0.0, 50.0, 0.0]))[1]))
    labels = label_map(whole, grid).crop((slice(None), slice(0, back), slice(None)))
    vertebra = measure_vertebrae(labels)["L1"]
    assert vertebra.touches == ("posterior",)
    assert vertebra.withheld is None


def test_a_body_cut_at_the_side_has_no_heights():
    grid = cube_grid((1.5, 1.5, 1.5))
    _, whole = vertebra_masks(grid, np.eye(3))
    side = int(np.rint(grid.world_mm_to_index(np.array([15.0, 0.0, 0.0]))[2]))
    labels = label_map(whole, grid).crop((slice(None), slice(None), slice(0, side)))
    vertebra = measure_vertebrae(labels)["L1"]
    assert vertebra.touches == ("left",)
    assert vertebra.heights is None
    assert "left edge" in vertebra.withheld


def test_a_sliver_is_returned_with_its_reason():
    grid = cube_grid((2.0, 2.0, 2.0))
    mask = np.zeros(grid.shape, bool)
    mask[30:32, 30:32, 30:32] = True
    vertebra = measure_vertebrae(label_map(mask, grid))["L1"]
    assert vertebra.body is None
    assert "small" in vertebra.withheld


def test_levels_are_chosen_and_ordered():
    grid = cube_grid((3.0, 3.0, 3.0), half_mm=84.0)
    _, upper = vertebra_masks(grid, np.eye(3))
    array = np.zeros(grid.shape, np.uint8)
    scheme = SCHEMES["verse"]
    array[upper] = scheme.vertebrae["L2"]
    array[np.roll(upper, 12, axis=0)] = scheme.vertebrae["L1"]
    labels = LabelMap(array, grid, scheme)
    assert list(measure_vertebrae(labels)) == ["L1", "L2"]
    assert list(measure_vertebrae(labels, levels={"L2", "L5"})) == ["L2"]
    assert measure_vertebrae(replace(labels, array=np.zeros_like(array))) == {}
    assert measure_vertebrae(replace(labels, scheme=LabelScheme("none", {}))) == {}


def test_stray_voxels_do_not_disturb():
    grid = cube_grid((2.0, 2.0, 2.0))
    _, whole = vertebra_masks(grid, tilted(10, 0, 0))
    clean = measure_vertebrae(label_map(whole, grid))["L1"]
    dirty_mask = whole.copy()
    dirty_mask[3:6, 3:6, 3:6] = True
    dirty = measure_vertebrae(label_map(dirty_mask, grid))["L1"]
    assert dirty.heights.middle_mm == pytest.approx(clean.heights.middle_mm, abs=0.3)
    assert not dirty.body[:5, :5, :5].any()
    assert dirty.mask.sum() == clean.mask.sum() + 27
