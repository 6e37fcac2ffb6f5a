"""Augmentation: what it may change, what it must not, and that it repeats."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from osteoscope.core.errors import InputError
from osteoscope.learning.augment import Augmentation, AugmentConfig
from osteoscope.learning.intensity_transform import blur, change_hu
from osteoscope.learning.spatial_transform import move, rotations

STILL = {
    "flip": 0.0,
    "rotation_degrees": 0.0,
    "translation_mm": 0.0,
    "scale": 0.0,
    "shift_hu": 0.0,
    "contrast": 0.0,
    "noise_hu": 0.0,
    "blur_mm": 0.0,
}
"""Nothing happens to a crop that is changed."""
GEOMETRY = {"rotation_degrees": 20.0, "translation_mm": 3.0, "scale": 0.1}
SHAPE = (24, 32, 32)
WINDOW = (-200.0, 800.0)


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _augmented(images, classes=None, seed=0, **changes):
    settings_of = {"probability": 1.0, **STILL, **changes}
    augmentation = Augmentation(AugmentConfig(**settings_of))
    classes = torch.zeros(len(images), dtype=torch.long) if classes is None else classes
    return augmentation(images, classes, _generator(seed))


def _random(rows=3, channels=1, shape=SHAPE, seed=0):
    return torch.rand((rows, channels, *shape), generator=_generator(seed))


def _ball(radius=9.0, shape=SHAPE):
    """A ball of noisy bone, 150 HU with SD 60, in the middle of nothing; a soft edge."""
    z, y, x = np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in shape], indexing="ij")
    distance = np.sqrt(x**2 + y**2 + z**2)
    texture = 150 + 60 * np.random.default_rng(0).normal(size=shape)
    values = np.clip((texture + 200) / 1000, 0, 1) * np.clip(radius - distance + 0.5, 0, 1)
    return torch.tensor(values, dtype=torch.float32)[None, None], distance


def test_equal_generators_give_equal_images_and_others_do_not():
    images, classes = _random(), torch.zeros(3, dtype=torch.long)
    augmentation = Augmentation(AugmentConfig(probability=1.0))
    first = augmentation(images, classes, _generator(5))
    assert torch.equal(first, augmentation(images, classes, _generator(5)))
    assert not torch.equal(first, augmentation(images, classes, _generator(6)))


def test_mixed_precision_around_it_changes_nothing():
    images = _random()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        within = _augmented(images, **GEOMETRY, noise_hu=20.0)
    assert torch.equal(within, _augmented(images, **GEOMETRY, noise_hu=20.0))


def test_the_batch_given_is_not_written_to():
    images = _random()
    before = images.clone()
    new = _augmented(images, rotation_degrees=10.0, noise_hu=20.0)
    assert torch.equal(images, before)
    assert new.data_ptr() != images.data_ptr()


def test_values_stay_within_the_window_and_finite():
    new = _augmented(_random(8), **GEOMETRY, shift_hu=100.0, contrast=0.5, noise_hu=200.0)
    assert torch.isfinite(new).all()
    assert new.min() >= 0
    assert new.max() <= 1


def test_a_changed_crop_in_which_nothing_may_happen_stays():
    images = _random()
    assert torch.allclose(_augmented(images), images, atol=1e-6)


def test_an_unchanged_crop_stays_bit_by_bit():
    images = _random(64, shape=(6, 6, 6))
    augmentation = Augmentation(AugmentConfig(probability=0.5))
    new = augmentation(images, torch.zeros(64, dtype=torch.long), _generator(1))
    same = (new == images).flatten(1).all(1)
    assert 20 <= int(same.sum()) <= 44
    never = Augmentation(AugmentConfig(probability=0.0))
    assert torch.equal(never(images, torch.zeros(64, dtype=torch.long), _generator()), images)


def test_a_flip_is_left_to_right_and_exact():
    images = _random()
    assert torch.equal(_augmented(images, flip=1.0), images.flip(4))


def test_a_rotation_is_about_the_axis_it_names():
    # A quarter turn falls on the voxels of a cube.
    images = _random(1, shape=(8, 8, 8))
    turned = rotations(torch.tensor([[0.0, 0.0, torch.pi / 2]]))
    new = move(images, turned, torch.zeros(1, 3), spacing_mm=(1, 1, 1), padding=[0.0])
    # Result at p is the image at R p: at (x, y) the image at (-y, x).
    expected = images[0, 0].numpy()[:, :, ::-1].transpose(0, 2, 1)
    assert new[0, 0].numpy() == pytest.approx(expected, abs=1e-5)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(angles=st.tuples(*[st.floats(-3, 3)] * 3))
def test_rotations_are_rotations(angles):
    matrix = rotations(torch.tensor([angles], dtype=torch.float64))[0]
    assert torch.allclose(matrix @ matrix.T, torch.eye(3, dtype=torch.float64), atol=1e-12)
    assert float(torch.linalg.det(matrix)) == pytest.approx(1.0)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 0.7, 0.9)])
def test_moving_equals_scipys_affine_transform_in_mm(spacing):
    images = _random(1, shape=(10, 14, 12), seed=3)
    linear = rotations(torch.tensor([[0.2, -0.3, 0.5]])) / 1.1
    shift = torch.tensor([[1.3, -0.6, 0.8]])
    new = move(images, linear, shift, spacing_mm=spacing, padding=[0.0])
    # SciPy counts voxels along (z, y, x) from the first one.
    to_zyx = linear[0].double().numpy()[::-1, ::-1]
    size = np.array(spacing)
    matrix = to_zyx * size[None, :] / size[:, None]
    centre = (np.array(images.shape[2:]) - 1) / 2
    offset = shift[0].double().numpy()[::-1] / size + centre - matrix @ centre
    expected = ndimage.affine_transform(
        images[0, 0].double().numpy(), matrix, offset, order=1, mode="grid-constant", cval=0.0
    )
    assert new[0, 0].numpy() == pytest.approx(expected, abs=1e-4)


def test_what_comes_in_from_outside_is_air_in_each_window():
    windows = ((-200.0, 800.0), (-2024.0, 0.0))
    images = torch.full((1, 2, 8, 8, 8), 0.7)
    config = AugmentConfig(**{**STILL, "probability": 1.0, "translation_mm": 50.0})
    new = Augmentation(config, windows=windows)(images, torch.zeros(1).long(), _generator(2))
    air = (-1024 + 2024) / 2024
    assert float(new[0, 0].min()) == pytest.approx(0.0, abs=1e-6)
    assert torch.unique(new[0, 1].round(decimals=4)).min() == pytest.approx(air, abs=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_moving_a_bone_keeps_the_mean_density_of_its_inside(seed):
    image, distance = _ball()
    new = _augmented(image.repeat(12, 1, 1, 1, 1), seed=seed, rotation_degrees=25.0, scale=0.08)
    core = torch.tensor(distance < 6.0)
    before = float(image[0, 0][core].mean()) * 1000 - 200
    after = np.array([float(x[0][core].mean()) * 1000 - 200 for x in new])
    # 905 voxels of SD 60 about their mean: other voxels enter and leave the core.
    assert before == pytest.approx(150, abs=6)
    assert after == pytest.approx(before, abs=5)
    assert after.mean() == pytest.approx(before, abs=1.5)


@pytest.mark.parametrize("seed", range(3))
def test_turning_and_shifting_keep_the_amount_of_bone(seed):
    image, _ = _ball(radius=7.0)
    moved = _augmented(
        image.repeat(8, 1, 1, 1, 1), seed=seed, rotation_degrees=25.0, translation_mm=2.0, flip=0.5
    )
    assert moved.flatten(1).sum(1).numpy() == pytest.approx(float(image.sum()), rel=0.01)


def test_scaling_changes_the_volume_by_its_cube_at_most():
    image, _ = _ball(radius=7.0)
    sums = _augmented(image.repeat(40, 1, 1, 1, 1), scale=0.05).flatten(1).sum(1) / image.sum()
    assert 0.95**3 - 0.01 < sums.min() < 0.9
    assert 1.1 < sums.max() < 1.05**3 + 0.01


def test_a_change_of_hu_is_one_of_hu_in_every_window():
    hu = np.random.default_rng(1).uniform(0, 300, (2, *SHAPE))
    windows = ((-200.0, 800.0), (-100.0, 400.0))
    channels = np.stack([(hu - a) / (b - a) for a, b in windows], axis=1)
    factor, shift = torch.tensor([0.97, 1.02]), torch.tensor([4.0, -7.0])
    new = change_hu(torch.tensor(channels), factor, shift, windows).numpy()
    changed = hu * factor.double().numpy()[:, None, None, None]
    changed += shift.double().numpy()[:, None, None, None]
    expected = np.stack([(changed - a) / (b - a) for a, b in windows], axis=1)
    assert new == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("changes", "limit_hu"),
    [({"shift_hu": 5.0}, 5.0), ({"contrast": 0.02}, 0.02 * 150), ({"noise_hu": 15.0}, 1.0)],
)
def test_the_mean_of_bone_moves_no_further_than_stated(changes, limit_hu):
    images = torch.full((60, 1, 12, 12, 12), 0.35)
    means = _augmented(images, **changes).flatten(1).mean(1) * 1000 - 200
    away = (means - 150).abs()
    assert away.max() <= limit_hu + 1e-2
    if "noise_hu" not in changes:
        assert away.max() > 0.8 * limit_hu


def test_noise_has_the_stated_spread_and_is_the_same_in_each_channel():
    windows = ((-200.0, 800.0), (-300.0, 1700.0))
    images = torch.tensor([0.5, 0.3]).view(1, 2, 1, 1, 1).repeat(40, 1, 12, 12, 12)
    config = AugmentConfig(**{**STILL, "probability": 1.0, "noise_hu": 30.0})
    new = Augmentation(config, windows=windows)(images, torch.zeros(40).long(), _generator())
    spread = (new[:, 0] * 1000).flatten(1).std(1)
    assert spread.max() < 31.5
    assert float(spread.mean()) == pytest.approx(15.0, abs=4.0)
    assert torch.allclose((new[:, 0] - 0.5) * 1000, (new[:, 1] - 0.3) * 2000, atol=1e-2)


def test_voxels_outside_the_mask_get_neither_noise_nor_shift():
    image, distance = _ball()
    new = _augmented(image, shift_hu=100.0, noise_hu=200.0, contrast=0.5, blur_mm=0.8)
    assert (new[0, 0][torch.tensor(distance > 9.5)] == 0).all()
    assert not torch.equal(new, image)


@pytest.mark.parametrize("sd_mm", [0.3, 0.6, 0.8])
def test_blur_has_the_variance_of_its_sd_along_each_axis(sd_mm):
    spacing = (2.0, 1.0, 1.5)
    image = torch.zeros(1, 1, 9, 9, 9, dtype=torch.float64)
    image[0, 0, 4, 4, 4] = 1.0
    new = blur(image, torch.tensor([sd_mm], dtype=torch.float64), spacing)[0, 0].numpy()
    assert new.sum() == pytest.approx(1.0)
    assert new.min() >= 0
    for axis, step in enumerate(spacing):
        profile = new.sum(axis=tuple(k for k in range(3) if k != axis))
        variance = np.sum(profile * ((np.arange(9) - 4) * step) ** 2)
        assert variance == pytest.approx(sd_mm**2)


def test_blur_leaves_what_is_even_as_it_is():
    image = torch.full((2, 1, 5, 5, 5), 0.4)
    assert torch.allclose(blur(image, torch.tensor([0.8, 0.1]), (1.0, 1.0, 1.0)), image)


def test_balanced_augmentation_changes_rare_classes_more_often():
    counts, rows = (181, 110, 20), 600
    images = torch.full((3 * rows, 1, 2, 2, 2), 0.5)
    classes = torch.arange(3).repeat_interleave(rows)
    config = AugmentConfig(**{**STILL, "probability": 0.3, "balanced": True, "shift_hu": 50.0})
    new = Augmentation(config, class_counts=counts)(images, classes, _generator())
    changed = (new != images).flatten(1).any(1).view(3, rows).double().mean(1).numpy()
    expected = [1 - 0.7 ** (181 / n) for n in counts]
    assert changed == pytest.approx(expected, abs=0.06)
    unknown = Augmentation(config, class_counts=counts)(
        images, torch.full_like(classes, -1), _generator()
    )
    assert float((unknown != images).flatten(1).any(1).double().mean()) == pytest.approx(
        0.3, abs=0.04
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"probability": 1.1},
        {"flip": -0.1},
        {"rotation_degrees": 90.0},
        {"scale": 0.6},
        {"noise_hu": np.nan},
        {"blur_mm": -1.0},
    ],
)
def test_a_wrong_setting_is_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        AugmentConfig(**wrong)


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(InputError, match="rows of each class"):
        Augmentation(AugmentConfig(balanced=True))
    with pytest.raises(InputError, match="too wide for voxels"):
        Augmentation(AugmentConfig(blur_mm=0.5), spacing_mm=(1.0, 0.5, 0.5))
    with pytest.raises(InputError, match="one channel a window"):
        Augmentation(AugmentConfig())(_random(channels=2), torch.zeros(3).long(), _generator())
