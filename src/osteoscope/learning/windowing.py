"""Intensity windows on the device: the twin of :mod:`osteoscope.features.windows`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def windowed(crop_hu: Tensor, windows: Sequence[tuple[float, float]]) -> Tensor:
    """Crops as input channels.

    Args:
        crop_hu: (b, z, y, x) HU.
        windows: (low, high) HU each; low becomes 0, high 1, what lies beyond is clipped.

    Returns:
        (b, len(windows), z, y, x) float32 in [0, 1].
    """
    hu = crop_hu.float()
    return torch.stack([((hu - low) / (high - low)).clamp(0.0, 1.0) for low, high in windows], 1)
