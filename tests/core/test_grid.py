"""Grid: index and world, crops, canonical views; SimpleITK is the independent oracle."""

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from osteoscope.core.errors import GeometryError
from osteoscope.core.grid import Grid, grid_from_spacing, to_canonical


def random_grid(seed: int) -> Grid:
    rng = np.random.default_rng(seed)
    rotation = Rotation.random(random_state=int(rng.integers(1 << 30))).as_matrix()
    if rng.random() < 0.5:
        rotation[:, 0] *= -1
    affine = np.eye(4)
    affine[:3, :3] = rotation * rng.uniform(0.3, 5.0, 3)
    affine[:3, 3] = rng.uniform(-500, 500, 3)
    shape = rng.integers(2, 9, 3)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.integers(0, 10_000))
def test_world_and_index_are_inverse_and_agree_with_simpleitk(seed: int) -> None:
    grid = random_grid(seed)
    index = np.random.default_rng(seed).uniform(-3, 12, (5, 3))
    world = grid.index_to_world_mm(index)
    assert np.allclose(grid.world_mm_to_index(world), index, atol=1e-9)

    image = sitk.Image([int(n) for n in grid.shape[::-1]], sitk.sitkUInt8)
    image.SetSpacing([float(s) for s in grid.spacing_mm[::-1]])
    image.SetOrigin([float(v) for v in grid.affine_lps_mm[:3, 3]])
    image.SetDirection(grid.directions[:, ::-1].ravel().tolist())
    for one, expected in zip(index, world, strict=True):
        point = image.TransformContinuousIndexToPhysicalPoint([float(v) for v in one[::-1]])
        assert np.allclose(point, expected, atol=1e-6)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.integers(0, 10_000))
def test_canonical_view_keeps_every_voxel_where_it_lies(seed: int) -> None:
    grid = random_grid(seed)
    array = np.arange(np.prod(grid.shape)).reshape(grid.shape)
    view = to_canonical(array, grid)
    canonical = grid.canonical()
    assert view.shape == canonical.shape
    assert np.shares_memory(view, array)
    for flat in range(0, array.size, 7):
        here = np.argwhere(array == flat)[0]
        there = np.argwhere(view == flat)[0]
        assert np.allclose(grid.index_to_world_mm(here), canonical.index_to_world_mm(there))
    # Each axis runs towards its own direction: superior, posterior, left.
    along = canonical.directions[::-1]
    assert np.all(np.diag(along) > 0)
    assert canonical.canonical_axes() == ((0, 1, 2), (False, False, False))


def test_crop_keeps_world_positions() -> None:
    grid = random_grid(3)
    box = (slice(1, None), slice(0, 2), slice(1, 2))
    cropped = grid.crop(box)
    assert np.allclose(cropped.index_to_world_mm(np.zeros(3)), grid.index_to_world_mm([1, 0, 1]))
    assert cropped.shape == np.zeros(grid.shape)[box].shape


def test_grid_from_spacing_runs_superior_posterior_left() -> None:
    grid = grid_from_spacing((4, 5, 6), (3.0, 2.0, 1.0), (10.0, 20.0, 30.0))
    assert np.allclose(grid.spacing_mm, [3, 2, 1])
    assert np.allclose(grid.index_to_world_mm([1, 1, 1]), [11, 22, 33])
    assert grid.voxel_volume_mm3 == pytest.approx(6.0)


def test_matches_is_about_place_not_only_shape() -> None:
    grid = grid_from_spacing((4, 5, 6), (3.0, 2.0, 1.0))
    assert grid.matches(grid_from_spacing((4, 5, 6), (3.0, 2.0, 1.0), (0.0, 0.0, 0.005)))
    assert not grid.matches(grid_from_spacing((4, 5, 6), (3.0, 2.0, 1.0), (0.0, 0.0, 0.1)))
    assert not grid.matches(grid_from_spacing((4, 5, 7), (3.0, 2.0, 1.0)))


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (np.diag([1.0, 0.0, 1.0, 1.0]), "singular"),
        (np.full((4, 4), np.nan), "finite"),
        (np.array([[0, 0, 1.0, 0], [0, 1, 0, 0], [1, 0.2, 0, 0], [0, 0, 0, 1]]), "right angles"),
    ],
)
def test_an_affine_that_cannot_be_trusted_is_refused(matrix: np.ndarray, words: str) -> None:
    with pytest.raises(GeometryError, match=words):
        Grid((2, 2, 2), matrix)
