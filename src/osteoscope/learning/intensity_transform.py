"""Changes of attenuation in HU on windowed crops, and blur in millimetres."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from osteoscope.features.windows import Window

LARGEST_BLUR_VOXELS = 0.8
"""SD that a kernel of three taps can have with every tap at least 0: sqrt(2/3), rounded down."""


def change_hu(
    images: Tensor, factor: Tensor, shift_hu: Tensor, windows: Sequence[Window]
) -> Tensor:
    """Windowed images of ``factor * HU + shift_hu``, computed from the windowed values.

    A window (low, high) holds v = (HU - low) / (high - low), so that v' = factor v +
    ((factor - 1) low + shift) / (high - low): the scaling is about 0 HU, water, as a scanner's is.
    Not clipped here. What a window has clipped stays unknown and is treated as its end.

    Args:
        images: (b, c, z, y, x).
        factor: (b,) multiplier of HU.
        shift_hu: (b,) or any shape that spreads over (b, 1, z, y, x): added HU.
        windows: (c,) the channels' windows.
    """
    low, width = _ends(images, windows)
    scale = factor.to(images.dtype).view(-1, 1, 1, 1, 1)
    added = shift_hu.to(images.dtype)
    added = added.view(-1, 1, 1, 1, 1) if added.ndim == 1 else added
    return images * scale + ((scale - 1) * low + added) / width


def blur(images: Tensor, sd_mm: Tensor, spacing_mm: tuple[float, float, float]) -> Tensor:
    """Each image convolved with a kernel of three taps along each axis.

    The taps are (w, 1 - 2 w, w) with w = (sd / spacing)^2 / 2, whose variance is that of a normal
    curve of that SD; at the edge the border voxel is repeated. They add up to 1, so that means
    stay.

    Args:
        images: (b, c, z, y, x).
        sd_mm: (b,) at most :data:`LARGEST_BLUR_VOXELS` of the finest spacing.
        spacing_mm: Of the voxels along (z, y, x).
    """
    for axis, spacing in zip((2, 3, 4), spacing_mm, strict=True):
        weight = ((sd_mm.to(images.dtype) / spacing) ** 2 / 2).view(-1, 1, 1, 1, 1)
        pad = [0] * 6
        pad[2 * (4 - axis)] = pad[2 * (4 - axis) + 1] = 1
        wide = functional.pad(images, pad, mode="replicate")
        count = images.shape[axis]
        neighbours = wide.narrow(axis, 0, count) + wide.narrow(axis, 2, count)
        images = images + weight * (neighbours - 2 * images)
    return images


def outside_values(windows: Sequence[Window], outside_hu: float) -> list[float]:
    """(c,) what ``outside_hu`` is in each window."""
    return [min(max((outside_hu - low) / (high - low), 0.0), 1.0) for low, high in windows]


def _ends(images: Tensor, windows: Sequence[Window]) -> tuple[Tensor, Tensor]:
    """(1, c, 1, 1, 1) lower ends and widths."""
    low = images.new_tensor([a for a, _ in windows]).view(1, -1, 1, 1, 1)
    width = images.new_tensor([b - a for a, b in windows]).view(1, -1, 1, 1, 1)
    return low, width


def noise_hu(images: Tensor, sd_hu: Tensor, generator: torch.Generator) -> Tensor:
    """(b, 1, z, y, x) white noise in HU, the same for every channel of an image.

    Args:
        images: (b, c, z, y, x), for the shape and the device.
        sd_hu: (b,) SD of each image's noise.
        generator: Of the device that draws.
    """
    shape = (images.shape[0], 1, *images.shape[2:])
    drawn = torch.randn(shape, generator=generator, device=generator.device, dtype=torch.float32)
    return drawn.to(images.device) * sd_hu.to(images.device).view(-1, 1, 1, 1, 1)
