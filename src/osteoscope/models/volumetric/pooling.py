"""Pooling and blurring in three dimensions, made of 2D layers; depth does as height does."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
import torch.nn.functional as F  # noqa: N812 - the name that all of torch's users know
from torch import Tensor, nn

from osteoscope.core.errors import ModelError
from osteoscope.models.kernels import Inflation
from osteoscope.models.volumetric.adopt import adopt
from osteoscope.models.volumetric.convolution import pad_same, with_depth

M = TypeVar("M", bound=nn.Module)


class SameMaxPool3d(nn.MaxPool3d):
    """Largest value, with padding that follows from the input's size, as in TensorFlow."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        kernel, stride, dilation = (
            with_depth_kept(s) for s in (self.kernel_size, self.stride, self.dilation)
        )
        padded = pad_same(input, kernel, stride, dilation, float("-inf"))
        return F.max_pool3d(padded, kernel, stride, 0, dilation, self.ceil_mode)


class SameAvgPool3d(nn.AvgPool3d):
    """Mean, with padding by zeros that follows from the input's size, as in TensorFlow."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        kernel, stride = (with_depth_kept(s) for s in (self.kernel_size, self.stride))
        padded = pad_same(input, kernel, stride, (1, 1, 1), 0.0)
        return F.avg_pool3d(padded, kernel, stride, 0, self.ceil_mode, self.count_include_pad)


class AvgMaxPool3d(nn.Module):
    """Half the sum of adaptive mean and maximum. Reads ``output_size``."""

    output_size: int | tuple[int, ...]

    def forward(self, x: Tensor) -> Tensor:
        size = with_depth_kept(self.output_size)
        return 0.5 * (F.adaptive_avg_pool3d(x, size) + F.adaptive_max_pool3d(x, size))


class CatAvgMaxPool3d(nn.Module):
    """Adaptive mean and maximum one after the other along the channels. Reads ``output_size``."""

    output_size: int | tuple[int, ...]

    def forward(self, x: Tensor) -> Tensor:
        size = with_depth_kept(self.output_size)
        return torch.cat((F.adaptive_avg_pool3d(x, size), F.adaptive_max_pool3d(x, size)), 1)


class BlurPool3d(nn.Module):
    """A binomial blur, then every ``stride``-th voxel (Zhang 2019, arXiv 1904.11486).

    Args:
        taps: Width of the filter, at least 2.
        stride: Step on each axis.
        pad_mode: As ``torch.nn.functional.pad`` names it.
    """

    filt: Tensor

    def __init__(self, taps: int, stride: int, pad_mode: str) -> None:
        super().__init__()
        line = torch.ones(1, dtype=torch.float64)
        for _ in range(taps - 1):  # (1 + x)^(taps - 1), by its factors
            line = torch.cat((line, line.new_zeros(1))) + torch.cat((line.new_zeros(1), line))
        line = line / line.sum()
        cube = line[:, None, None] * line[None, :, None] * line[None, None, :]
        self.register_buffer("filt", cube.float()[None, None], persistent=False)
        self.stride = stride
        self.pad_mode = pad_mode
        self.padding = [(stride - 1 + taps - 1) // 2] * 6

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        kernel = self.filt.expand(channels, -1, -1, -1, -1)
        padded = F.pad(x, self.padding, mode=self.pad_mode)
        return F.conv3d(padded, kernel, stride=self.stride, groups=channels)


def with_depth_kept(setting: int | tuple[int, ...]) -> tuple[int, int, int]:
    """A 3D layer's setting, which may be one number, as (depth, height, width)."""
    if isinstance(setting, int):
        return (setting, setting, setting)
    depth, height, width = setting
    return (depth, height, width)


def max_pool_3d(module: nn.Module, _: Inflation) -> nn.MaxPool3d:
    """``nn.MaxPool2d`` in three dimensions."""
    return _window(nn.MaxPool3d, module, ("kernel_size", "stride", "padding", "dilation"))


def avg_pool_3d(module: nn.Module, _: Inflation) -> nn.AvgPool3d:
    """``nn.AvgPool2d`` in three dimensions."""
    return _window(nn.AvgPool3d, module, ("kernel_size", "stride", "padding"))


def same_max_pool_3d(module: nn.Module, _: Inflation) -> SameMaxPool3d:
    """timm's ``MaxPool2dSame`` in three dimensions."""
    return _window(SameMaxPool3d, module, ("kernel_size", "stride", "padding", "dilation"))


def same_avg_pool_3d(module: nn.Module, _: Inflation) -> SameAvgPool3d:
    """timm's ``AvgPool2dSame`` in three dimensions."""
    return _window(SameAvgPool3d, module, ("kernel_size", "stride", "padding"))


def adaptive_avg_pool_3d(module: nn.Module, _: Inflation) -> nn.AdaptiveAvgPool3d:
    """``nn.AdaptiveAvgPool2d`` in three dimensions."""
    return _adaptive(nn.AdaptiveAvgPool3d, module)


def adaptive_max_pool_3d(module: nn.Module, _: Inflation) -> nn.AdaptiveMaxPool3d:
    """``nn.AdaptiveMaxPool2d`` in three dimensions."""
    return _adaptive(nn.AdaptiveMaxPool3d, module)


def avg_max_pool_3d(module: nn.Module, _: Inflation) -> AvgMaxPool3d:
    """timm's ``AdaptiveAvgMaxPool2d`` in three dimensions."""
    return _adaptive(AvgMaxPool3d, module)


def cat_avg_max_pool_3d(module: nn.Module, _: Inflation) -> CatAvgMaxPool3d:
    """timm's ``AdaptiveCatAvgMaxPool2d`` in three dimensions."""
    return _adaptive(CatAvgMaxPool3d, module)


def global_pool_3d(module: nn.Module, _: Inflation) -> nn.Module:
    """timm's ``FastAdaptive...Pool``: it reduces the axes that it is told, one more in 3D.

    Channels first (axes 2, 3) or channels last (axes 1, 2).
    """
    made = adopt(type(module), module)
    for name in ("dim", "dim_reduce"):
        axes = getattr(module, name, None)
        if axes is not None:
            setattr(made, name, (*axes, axes[-1] + 1))
    if getattr(module, "dim_cat", 1) == 3:
        made.dim_cat = 4  # type: ignore[assignment]
    return made


def flatten_3d(module: nn.Module, _: Inflation) -> nn.Module:
    """``nn.Flatten``, which carries over where it flattens all that comes after the batch.

    Raises:
        ModelError: It flattens some axes only.
    """
    axes: tuple[Any, Any] = (module.start_dim, module.end_dim)
    if axes != (1, -1):
        raise ModelError(
            f"A flattening carries over to three dimensions from axis 1 to the last, not {axes}."
        )
    return module


def blur_pool_3d(module: nn.Module, _: Inflation) -> BlurPool3d:
    """timm's ``BlurPool2d`` in three dimensions."""
    settings: Any = module
    return BlurPool3d(settings.filt_size, settings.stride, settings.pad_mode)


def _window(made_as: type[M], module: nn.Module, names: tuple[str, ...]) -> M:
    made = adopt(made_as, module)
    for name in names:
        setattr(made, name, with_depth(getattr(module, name)))
    return made


def _adaptive(made_as: type[M], module: nn.Module) -> M:
    made = adopt(made_as, module)
    size: Any = module.output_size
    cube: Any = size if isinstance(size, int) else (size[0], *size)
    made.output_size = cube
    return made
