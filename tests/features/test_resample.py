"""Resampling: right on what has an analytic answer, against an independent interpolator."""

import doctest
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from osteoscope.core.errors import InputError
from osteoscope.core.grid import Grid, grid_from_spacing
from osteoscope.features import resample as module
from osteoscope.features.resample import patch_grid, resample

SOURCE = grid_from_spacing((30, 40, 50), (2.0, 0.8, 0.7), (-17.0, -16.0, -29.0))


def turned_grid(grid: Grid, degrees: tuple[float, float, float]) -> Grid:
    affine = grid.affine_lps_mm.copy()
    turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    affine[:3] = turn @ affine[:3]
    return Grid(grid.shape, affine)


def voxel_centres_mm(grid: Grid) -> NDArray[np.float64]:
    index = np.stack(np.indices(grid.shape), axis=-1)
    return grid.index_to_world_mm(index.astype(np.float64))


def ramp(grid: Grid) -> NDArray[np.float64]:
    """HU that rise linearly in the world: 3 a mm to the left, 2 to posterior, -1.5 upwards."""
    return voxel_centres_mm(grid) @ np.array([3.0, 2.0, -1.5]) + 100.0


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(*[st.floats(-180, 180)] * 3),
    st.tuples(*[st.floats(-30, 30)] * 3),
    st.tuples(*[st.floats(0.3, 3.0)] * 3),
)
def test_a_linear_ramp_stays_exactly_what_it_is(
    scanner: tuple[float, float, float],
    turn: tuple[float, float, float],
    spacing_mm: tuple[float, float, float],
) -> None:
    """At any spacing and angle, points and averages of a linear field are the field itself."""
    source = turned_grid(SOURCE, scanner)
    axes = Rotation.from_euler("xyz", turn, degrees=True).as_matrix() @ np.eye(3)
    centre = source.index_to_world_mm((np.array(source.shape) - 1) / 2)
    target = patch_grid(centre, axes @ source.directions[:, ::-1].T, (4, 5, 6), spacing_mm)
    found = resample(ramp(source), source, target, outside=-1024.0)
    seen = source.world_mm_to_index(voxel_centres_mm(target))
    reach = np.array(spacing_mm).max() / source.spacing_mm  # a voxel's averaged points lie so far
    inside = np.all((seen > reach) & (seen < np.array(source.shape) - 1 - reach), axis=-1)
    assert inside.any()
    assert found[inside] == pytest.approx(ramp(target)[inside], abs=1e-3)


def test_it_interpolates_as_an_independent_library_does() -> None:
    """SimpleITK's linear resampling, where the target is finer than the source."""
    rng = np.random.default_rng(5)
    array = rng.normal(0, 200, SOURCE.shape).astype(np.float32)
    axes = Rotation.from_euler("xyz", (10, -5, 20), degrees=True).as_matrix()
    target = patch_grid(np.array([0.0, 0.0, 0.0]), axes, (20, 22, 24), (0.6, 0.5, 0.5))
    found = resample(array, SOURCE, target, outside=-1024.0)

    def as_image(values: NDArray[Any], grid: Grid) -> Any:
        image = sitk.GetImageFromArray(values)
        image.SetSpacing([float(s) for s in grid.spacing_mm[::-1]])
        image.SetOrigin([float(c) for c in grid.affine_lps_mm[:3, 3]])
        image.SetDirection([float(d) for d in grid.directions[:, ::-1].ravel()])
        return image

    reference = as_image(np.zeros(target.shape, dtype=np.float32), target)
    expected = sitk.GetArrayFromImage(
        sitk.Resample(
            as_image(array, SOURCE), reference, sitk.Transform(), sitk.sitkLinear, -1024.0
        )
    )
    assert found == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("factors", [(2, 2, 2), (1, 3, 2), (4, 1, 1)])
def test_a_coarser_voxel_is_the_mean_of_those_in_it(factors: tuple[int, int, int]) -> None:
    """Whole-number factors on one lattice: exactly the block means, and so the mean is kept."""
    rng = np.random.default_rng(1)
    source = grid_from_spacing((12, 12, 12), (1.0, 1.0, 1.0))
    array = rng.integers(-1000, 1000, source.shape).astype(np.int16)
    z, y, x = factors
    coarse = grid_from_spacing(
        (12 // z, 12 // y, 12 // x), (z, y, x), ((x - 1) / 2, (y - 1) / 2, (z - 1) / 2)
    )
    found = resample(array, source, coarse, outside=0.0)
    blocks = array.reshape(12 // z, z, 12 // y, y, 12 // x, x).mean(axis=(1, 3, 5))
    assert found == pytest.approx(blocks, abs=1e-2)
    assert found.mean() == pytest.approx(array.mean(), abs=1e-2)


@pytest.mark.parametrize("spacing_mm", [(1.5, 0.5, 1.0), (5.0, 1.7, 2.0)])
def test_parallel_and_turned_grids_are_sampled_alike(
    spacing_mm: tuple[float, float, float],
) -> None:
    """An angle too small to move anything takes the other way through the code."""
    array = np.random.default_rng(8).normal(0, 200, SOURCE.shape)
    centre = SOURCE.index_to_world_mm((np.array(SOURCE.shape) - 1) / 2) + 0.3
    hardly = Rotation.from_euler("xyz", (2e-6, 2e-6, 2e-6), degrees=True).as_matrix()
    straight, turned = (
        resample(array, SOURCE, patch_grid(centre, axes, (20, 30, 30), spacing_mm), outside=-50.0)
        for axes in (np.eye(3), hardly)
    )
    assert straight.std() > 10
    assert np.abs(straight - turned).max() < 0.01


def test_the_same_grid_gives_the_same_values_up_to_the_faces() -> None:
    array = np.random.default_rng(2).integers(-1000, 1000, SOURCE.shape).astype(np.int16)
    for degrees in ((0, 0, 0), (13, -7, 40)):
        grid = turned_grid(SOURCE, degrees)
        assert np.abs(resample(array, grid, grid, outside=-1024.0) - array).max() < 0.01


def test_noise_does_not_alias() -> None:
    """White noise averaged over 3 x 3 voxels has a third of its SD; single points would keep it."""
    rng = np.random.default_rng(3)
    source = grid_from_spacing((8, 150, 150), (1.0, 0.5, 0.5))
    array = rng.normal(0, 30, source.shape)
    target = grid_from_spacing((8, 45, 45), (1.0, 1.5, 1.5), (0.5, 0.5, 0.0))
    assert resample(array, source, target, outside=0.0).std() == pytest.approx(10, rel=0.05)


def test_outside_is_reached_one_voxel_beyond_the_last() -> None:
    source = grid_from_spacing((3, 3, 3), (1.0, 1.0, 1.0))
    line = grid_from_spacing((1, 1, 9), (1.0, 1.0, 0.5), (-2.0, 1.0, 1.0))
    found = resample(np.full((3, 3, 3), 100.0), source, line, outside=-100.0)
    assert found.ravel().tolist() == [-100, -100, -100, 0, 100, 100, 100, 100, 100]
    away = grid_from_spacing((2, 2, 2), (1.0, 1.0, 1.0), (50.0, 0.0, 0.0))
    assert (resample(np.full((3, 3, 3), 100.0), source, away, outside=-7.0) == -7).all()


def test_padding_is_raised_before_it_is_interpolated() -> None:
    source = grid_from_spacing((1, 1, 2), (1.0, 1.0, 1.0))
    array = np.array([[[-3024, 0]]], dtype=np.int16)
    middle = grid_from_spacing((1, 1, 1), (1.0, 1.0, 1.0), (0.5, 0.0, 0.0))
    assert resample(array, source, middle, outside=0.0, lowest=-1024.0).item() == -512
    assert array[0, 0, 0] == -3024


def test_only_the_covered_part_is_touched() -> None:
    class Watched(np.ndarray):
        seen: tuple[slice, ...] = ()

        def __getitem__(self, key: Any) -> Any:
            Watched.seen = key
            return np.asarray(self)[key]

    array = np.zeros(SOURCE.shape, dtype=np.int16).view(Watched)
    target = patch_grid(SOURCE.index_to_world_mm(np.array([15.0, 20.0, 25.0])), np.eye(3),
                        (2, 2, 2), (1.0, 1.0, 1.0))  # fmt: skip
    resample(array, SOURCE, target, outside=0.0)
    assert all(s.stop - s.start <= 7 for s in Watched.seen)


def test_an_array_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match="differs from its grid"):
        resample(np.zeros((2, 2, 2)), SOURCE, SOURCE, outside=0.0)


def test_a_patch_is_centred_and_runs_along_its_axes() -> None:
    axes = Rotation.from_euler("xyz", (20, 10, -30), degrees=True).as_matrix()
    grid = patch_grid(np.array([5.0, -6.0, 7.0]), axes, (4, 5, 6), (3.0, 2.0, 1.0))
    assert grid.index_to_world_mm(np.array([1.5, 2.0, 2.5])) == pytest.approx([5.0, -6.0, 7.0])
    for axis, row in ((0, 2), (1, 1), (2, 0)):  # z along superior, y posterior, x left
        assert grid.directions[:, axis] == pytest.approx(axes[row])
    assert grid.spacing_mm == pytest.approx([3.0, 2.0, 1.0])


def test_examples_run() -> None:
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0
