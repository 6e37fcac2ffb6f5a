"""Convolutions in three dimensions, made of 2D ones.

Depth does as height does: a 2D layer's (height, width) setting becomes (height, height, width).
For square kernels this is the cube; a factorised pair 1 x 7, 7 x 1 becomes 1 x 1 x 7, 7 x 7 x 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
import torch.nn.functional as F  # noqa: N812 - the name that all of torch's users know
from torch import Tensor, nn

from osteoscope.core.errors import ModelError
from osteoscope.models.kernels import Inflation, inflate_kernel
from osteoscope.models.volumetric.adopt import adopt

Triple = tuple[int, int, int]
C = TypeVar("C", bound=nn.Conv3d)


def with_depth(setting: int | Sequence[int]) -> Triple:
    """A 2D layer's (height, width) setting as (depth, height, width).

    >>> with_depth((1, 7)), with_depth(3)
    ((1, 1, 7), (3, 3, 3))
    """
    if isinstance(setting, int):
        return (setting, setting, setting)
    height, width = setting
    return (height, height, width)


def pad_same(x: Tensor, kernel: Triple, stride: Triple, dilation: Triple, fill: float) -> Tensor:
    """Pad (b, c, z, y, x) so that a strided layer gives ceil(size / stride), as TensorFlow does.

    The smaller half stands before, the larger after, on each axis.
    """
    pads: list[int] = []
    for size, k, s, d in zip(x.shape[2:], kernel, stride, dilation, strict=True):
        missing = max((math.ceil(size / s) - 1) * s + (k - 1) * d + 1 - size, 0)
        pads = [missing // 2, missing - missing // 2, *pads]  # F.pad wants the last axis first
    return F.pad(x, pads, value=fill) if any(pads) else x


class SameConv3d(nn.Conv3d):
    """A convolution whose padding follows from the input's size, as in TensorFlow's networks."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        padded = pad_same(
            input, _triple(self.kernel_size), _triple(self.stride), _triple(self.dilation), 0.0
        )
        return F.conv3d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class StandardisedConv3d(nn.Conv3d):
    """A convolution with standardised weights (Qiao et al. 2019, arXiv 1903.10520).

    Each filter's weights are shifted and scaled to mean 0 and variance 1 (times ``gain * scale``
    where the 2D layer has them: Brock et al. 2021, arXiv 2101.08692), and divided by the kernel's
    depth. Standardising undoes the scale of the stored weights, so inflating copies the kernel
    undivided, and the division by depth is done here: with equal slices the layer gives the 2D
    layer's response on a volume constant along depth.

    Reads ``eps``, ``same_pad``, ``scale`` and ``gain`` ((out, 1, 1, 1) or None).
    """

    eps: float
    same_pad: bool
    scale: float
    gain: nn.Parameter | None

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        gain = None if self.gain is None else (self.gain * self.scale).flatten()
        standardised = F.batch_norm(
            self.weight.reshape(1, self.out_channels, -1),
            None,
            None,
            weight=gain,
            training=True,
            momentum=0.0,
            eps=self.eps,
        ).reshape_as(self.weight)
        kernel = standardised / self.weight.shape[2]
        padding = self.padding
        if self.same_pad:
            input = pad_same(  # noqa: A001
                input, _triple(self.kernel_size), _triple(self.stride), _triple(self.dilation), 0.0
            )
            padding = (0, 0, 0)
        return F.conv3d(input, kernel, self.bias, self.stride, padding, self.dilation, self.groups)


def plain_3d(module: nn.Module, inflation: Inflation) -> nn.Conv3d:
    """``nn.Conv2d`` in three dimensions."""
    return _convolution(nn.Conv3d, module, inflation)


def same_3d(module: nn.Module, inflation: Inflation) -> SameConv3d:
    """timm's ``Conv2dSame`` in three dimensions."""
    return _convolution(SameConv3d, module, inflation)


def standardised_3d(module: nn.Module, inflation: Inflation) -> StandardisedConv3d:
    """timm's ``StdConv2d``, ``ScaledStdConv2d`` and their ``Same`` forms in three dimensions.

    The kernel becomes copies, also where ``fresh`` is asked for: see ``StandardisedConv3d``.

    Raises:
        ModelError: ``centre``: standardising would fill the empty slices.
    """
    if inflation == "centre":
        raise ModelError(
            "Weights that are standardised cannot be inflated by 'centre', since the empty slices "
            "would not stay empty; use 'average'."
        )
    made = _convolution(StandardisedConv3d, module, "average")
    with torch.no_grad():
        made.weight.mul_(made.weight.shape[2])
    settings: Any = module
    made.eps = settings.eps
    made.same_pad = getattr(settings, "same_pad", False)
    made.scale = getattr(settings, "scale", 1.0)
    made.gain = getattr(settings, "gain", None)
    return made


def inflate_for(layer: nn.Conv3d, kernel: Tensor, inflation: Inflation) -> Tensor:
    """A 2D kernel (out, in, y, x) as that 3D layer stores it, (out, in, z, y, x)."""
    depth = layer.weight.shape[2]
    if isinstance(layer, StandardisedConv3d):
        return inflate_kernel(kernel, depth, "average") * depth
    return inflate_kernel(kernel, depth, inflation)


def deflated(layer: nn.Conv3d) -> Tensor:
    """The 2D kernel (out, in, y, x) that a volume constant along depth sees in that layer."""
    total = layer.weight.sum(dim=2)
    return total / layer.weight.shape[2] if isinstance(layer, StandardisedConv3d) else total


def _convolution(made_as: type[C], module: nn.Module, inflation: Inflation) -> C:
    if not isinstance(module, nn.Conv2d):
        raise TypeError(f"{type(module).__name__} is no 2D convolution")
    weight = module.weight
    kernel_size = with_depth(module.kernel_size)
    padding = module.padding
    made = adopt(made_as, module)
    made.kernel_size = kernel_size
    made.stride = with_depth(module.stride)
    made.dilation = with_depth(module.dilation)
    made.padding = padding if isinstance(padding, str) else with_depth(padding)
    made.weight = nn.Parameter(
        inflate_kernel(weight.detach(), kernel_size[0], inflation), weight.requires_grad
    )
    made._reversed_padding_repeated_twice = _both_sides(made)
    return made


def _both_sides(layer: nn.Conv3d) -> list[int]:
    """What ``nn.Conv3d`` pads by where its padding mode is not zeros: last axis first."""
    padding = layer.padding
    if isinstance(padding, tuple):
        return [p for p in reversed(padding) for _ in range(2)]
    both: list[int] = []
    for k, d in zip(reversed(layer.kernel_size), reversed(layer.dilation), strict=True):
        total = d * (k - 1) if padding == "same" else 0
        both += [total // 2, total - total // 2]
    return both


def _triple(setting: tuple[int, ...]) -> Triple:
    return (setting[0], setting[1], setting[2])
