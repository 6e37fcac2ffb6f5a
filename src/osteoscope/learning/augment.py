"""Augmentation of windowed crops in training: on their device, batched, from a generator.

Density is the signal here. What changes attenuation is therefore kept within what scanners of one
make differ by, and is stated in HU; what moves the bone is stated in mm and degrees.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from osteoscope.core.crop_spec import OUTSIDE_HU
from osteoscope.core.errors import InputError
from osteoscope.features.windows import DEFAULT_WINDOW, Window, check_windows
from osteoscope.learning.intensity_transform import (
    LARGEST_BLUR_VOXELS,
    blur,
    change_hu,
    noise_hu,
    outside_values,
)
from osteoscope.learning.spatial_transform import move, rotations

_DRAWS = 13
"""Uniform numbers an image: whether, the flip, seven to move it, four to recast it."""


@dataclass(frozen=True)
class AugmentConfig:
    """What may happen to a training crop; the values are limits, drawn uniformly up to them.

    All defaults are chosen. For the intensities: scanners hold water within some 5 HU, and the
    trabecular L1 means of normal and osteopenic patients lie some 40 HU apart, so that 5 HU and
    2 % (3 HU at 150 HU) blur no class into the next.

    Args:
        probability: Share of crops that are changed at all, in [0, 1].
        balanced: Classes are changed the more often the fewer rows they have: with probability
            1 - (1 - probability)^(n_largest / n_class), as if a crop of a rare class were drawn
            that often, and how strongly stays the same. A changed crop is somewhat smoother and
            noisier than an unchanged one, and under ``balanced`` that tells its class in training
            and not afterwards: offered because the paper compares it, not as the default.
        flip: Share of the changed crops that are mirrored left to right, in [0, 1]. Vertebrae are
            nearly symmetric; never front to back or upside down, which no patient is.
        rotation_degrees: About each axis, 0 to 45.
        translation_mm: Along each axis, 0 to 50.
        scale: Of size, 0 to 0.5: 0.05 is 0.95 to 1.05 times. Kept small: a bone's size enters its
            areal density and so the T-score.
        shift_hu: Added to all HU, 0 to 100.
        contrast: Of HU about 0 HU (water), 0 to 0.5: 0.02 is 0.98 to 1.02 times.
        noise_hu: SD of white noise, 0 to 200.
        blur_mm: SD of the blur, 0 or more; at most 0.8 voxels.

    Raises:
        InputError: A value out of its range.
    """

    probability: float = 0.5
    balanced: bool = False
    flip: float = 0.5
    rotation_degrees: float = 10.0
    translation_mm: float = 4.0
    scale: float = 0.05
    shift_hu: float = 5.0
    contrast: float = 0.02
    noise_hu: float = 15.0
    blur_mm: float = 0.5

    def __post_init__(self) -> None:
        limits = {
            "probability": 1.0,
            "flip": 1.0,
            "rotation_degrees": 45.0,
            "translation_mm": 50.0,
            "scale": 0.5,
            "shift_hu": 100.0,
            "contrast": 0.5,
            "noise_hu": 200.0,
            "blur_mm": math.inf,
        }
        for key, largest in limits.items():
            value = getattr(self, key)
            if not (math.isfinite(value) and 0.0 <= value <= largest):
                raise InputError(
                    f"The augmentation's {key} lies in 0 to {largest:g}, not {value:g}."
                )


@dataclass(frozen=True)
class Augmentation:
    """An augmentation for crops of one spacing and windows; call it with a batch.

    Args:
        config: What may happen.
        spacing_mm: Of the crops' voxels along (z, y, x).
        windows: HU windows of the channels, in order.
        class_counts: Training rows of each class; needed when ``config.balanced``.

    Raises:
        InputError: ``balanced`` without class counts, a window that does not rise, or a blur
            that is too wide for the spacing.
    """

    config: AugmentConfig
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    windows: tuple[Window, ...] = (DEFAULT_WINDOW,)
    class_counts: Sequence[int] | None = None

    def __post_init__(self) -> None:
        check_windows(self.windows)
        if min(self.spacing_mm) <= 0:
            raise InputError(f"Voxel spacings are above 0 mm, not {self.spacing_mm}.")
        if self.config.balanced and not self.class_counts:
            raise InputError("Balanced augmentation needs the number of rows of each class.")
        widest = LARGEST_BLUR_VOXELS * min(self.spacing_mm)
        if self.config.blur_mm > widest:
            raise InputError(
                f"A blur of {self.config.blur_mm:g} mm is too wide for voxels of "
                f"{min(self.spacing_mm):g} mm; use {widest:g} mm or less."
            )

    @torch.no_grad()
    def __call__(self, images: Tensor, class_index: Tensor, generator: torch.Generator) -> Tensor:
        """New images of the batch; equal arguments and generator state give equal images.

        Args:
            images: (b, c, z, y, x) windowed crops in [0, 1], axes superior, posterior, left.
            class_index: (b,) classes, -1 unknown; read only when balanced.
            generator: Where the numbers come from; best on the images' device, for noise drawn
                elsewhere is carried over.

        Returns:
            (b, c, z, y, x) in [0, 1] on the images' device: a changed crop anew, an unchanged one
            bit by bit. Outside the crop stands what air outside the mask is in each window, and
            such voxels get no noise: after training they have none either.

        Raises:
            InputError: The channels are not as many as the windows.
        """
        if images.ndim != 5 or images.shape[1] != len(self.windows):
            raise InputError(
                f"Images to augment are (b, {len(self.windows)}, z, y, x), one channel a window, "
                f"not {tuple(images.shape)}."
            )
        # Mixed precision would give positions three digits and move bones by voxels.
        with torch.autocast(images.device.type, enabled=False):
            return self._augmented(images, class_index.to(images.device), generator)

    def _augmented(self, images: Tensor, class_index: Tensor, generator: torch.Generator) -> Tensor:
        drawn = torch.rand(
            (images.shape[0], _DRAWS), generator=generator, device=generator.device
        ).to(images.device)
        # Only changed rows are computed; a GPU waits here for one small number.
        rows = torch.nonzero(drawn[:, 0] < self._probabilities(class_index)).squeeze(1)
        if not len(rows):
            return images.clone()
        drawn, new = drawn[rows], images[rows]
        new = torch.where(_rows(drawn[:, 1] < self.config.flip), new.flip(-1), new)
        new = self._moved(new, 2 * drawn[:, 2:9] - 1)
        new = self._recast(new, drawn[:, 9:], generator)
        return images.index_copy(0, rows, new)

    def _probabilities(self, class_index: Tensor) -> Tensor:
        """(b,) how likely each row is changed."""
        base = self.config.probability
        if not self.config.balanced or self.class_counts is None:
            return torch.full(class_index.shape, base, device=class_index.device)
        most = max(self.class_counts)
        each = [1.0 - (1.0 - base) ** (most / max(n, 1)) for n in self.class_counts]
        # The last entry is that of unknown classes, which -1 picks.
        return torch.tensor([*each, base], device=class_index.device)[class_index]

    def _moved(self, images: Tensor, drawn: Tensor) -> Tensor:
        """Rotated, scaled and shifted by (b, 7) numbers in -1 to 1."""
        config = self.config
        if not (config.rotation_degrees or config.scale or config.translation_mm):
            return images
        turned = rotations(drawn[:, 0:3] * math.radians(config.rotation_degrees))
        size = (1.0 + config.scale * drawn[:, 6]).view(-1, 1, 1)
        return move(
            images,
            turned / size,
            drawn[:, 3:6] * config.translation_mm,
            spacing_mm=self.spacing_mm,
            padding=outside_values(self.windows, OUTSIDE_HU),
        )

    def _recast(self, images: Tensor, drawn: Tensor, generator: torch.Generator) -> Tensor:
        """Blurred, noised, shifted and stretched in HU by (b, 4) numbers in 0 to 1."""
        config = self.config
        outside = images.new_tensor(outside_values(self.windows, OUTSIDE_HU))
        body = images > outside.view(1, -1, 1, 1, 1)
        new = images
        if config.blur_mm:
            new = blur(new, drawn[:, 0] * config.blur_mm, self.spacing_mm)
        factor = 1.0 + config.contrast * (2 * drawn[:, 1] - 1)
        added = _rows(config.shift_hu * (2 * drawn[:, 2] - 1))
        if config.noise_hu:
            added = added + noise_hu(images, drawn[:, 3] * config.noise_hu, generator)
        new = change_hu(new, factor, added, self.windows).clamp(0.0, 1.0)
        return torch.where(body, new, images)


def _rows(values: Tensor) -> Tensor:
    """(b,) as (b, 1, 1, 1, 1)."""
    return values.view(-1, 1, 1, 1, 1)
