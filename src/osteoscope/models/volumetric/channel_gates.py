"""Layers that scale each channel by a number, learnt or drawn from the whole volume."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name that all of torch's users know
from torch import Tensor, nn

from osteoscope.models.kernels import Inflation
from osteoscope.models.volumetric.adopt import adopt

SPACE = (2, 3, 4)
"""The axes of space of a (b, c, z, y, x) tensor."""


class SqueezeExcite3d(nn.Module):
    """Channels gated by a small network on their means (Hu et al. 2018, arXiv 1709.01507).

    Reads ``fc1, bn, act, fc2, gate`` and ``add_maxpool`` (half mean, half maximum).
    """

    add_maxpool: bool
    fc1: nn.Module
    bn: nn.Module
    act: nn.Module
    fc2: nn.Module
    gate: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        squeezed = _squeeze(x, self.add_maxpool)
        squeezed = self.act(self.bn(self.fc1(squeezed)))
        gated: Tensor = x * self.gate(self.fc2(squeezed))
        return gated


class MobileSqueezeExcite3d(nn.Module):
    """The same under EfficientNet's names. Reads ``conv_reduce, act1, conv_expand, gate``."""

    conv_reduce: nn.Module
    act1: nn.Module
    conv_expand: nn.Module
    gate: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        squeezed = self.act1(self.conv_reduce(_squeeze(x, False)))
        gated: Tensor = x * self.gate(self.conv_expand(squeezed))
        return gated


class SeNetModule3d(nn.Module):
    """The same under SENet's names. Reads ``fc1, relu, fc2, sigmoid``."""

    fc1: nn.Module
    relu: nn.Module
    fc2: nn.Module
    sigmoid: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        squeezed = self.relu(self.fc1(_squeeze(x, False)))
        gated: Tensor = x * self.sigmoid(self.fc2(squeezed))
        return gated


class EffectiveSqueezeExcite3d(nn.Module):
    """One layer in place of two (Lee and Park 2020, arXiv 1911.06667). Reads ``fc, gate``."""

    add_maxpool: bool
    fc: nn.Module
    gate: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        gated: Tensor = x * self.gate(self.fc(_squeeze(x, self.add_maxpool)))
        return gated


class HgNetGate3d(nn.Module):
    """The same under HGNet's names. Reads ``conv, sigmoid``."""

    conv: nn.Module
    sigmoid: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        gated: Tensor = x * self.sigmoid(self.conv(_squeeze(x, False)))
        return gated


class EfficientChannelGate3d(nn.Module):
    """Channels gated by a 1D convolution along them (Wang et al. 2020, arXiv 1910.03151).

    Reads ``conv, gate`` and, where the layer has them, ``act, conv2``.
    """

    conv2: nn.Module | None
    conv: nn.Module
    act: nn.Module
    gate: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        line = self.conv(x.mean(SPACE).unsqueeze(1))
        if self.conv2 is not None:
            line = self.conv2(self.act(line))
        gated: Tensor = x * _per_channel(self.gate(line).squeeze(1))
        return gated


class CircularChannelGate3d(nn.Module):
    """The same, the line of channels closed to a ring. Reads ``conv, gate, padding``."""

    padding: int
    conv: nn.Module
    gate: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        ring = F.pad(x.mean(SPACE).unsqueeze(1), (self.padding, self.padding), mode="circular")
        gated: Tensor = x * _per_channel(self.gate(self.conv(ring)).squeeze(1))
        return gated


class ResponseNorm3d(nn.Module):
    """Global response normalisation (Woo et al. 2023, arXiv 2301.00808, equations 1 to 3).

    Reads ``weight, bias, eps, channel_dim`` (1, or -1 where the channels stand last).
    """

    channel_dim: int
    eps: float
    weight: nn.Parameter
    bias: nn.Parameter

    def forward(self, x: Tensor) -> Tensor:
        first = self.channel_dim == 1
        norm: Tensor = torch.linalg.vector_norm(x, dim=SPACE if first else (1, 2, 3), keepdim=True)
        relative: Tensor = norm / (norm.mean(dim=self.channel_dim, keepdim=True) + self.eps)
        weight, bias = (_per_channel(p[None]) if first else p for p in (self.weight, self.bias))
        return x + (bias + weight * (x * relative))


class LayerScale3d(nn.Module):
    """Every channel times its own learnt number. Reads ``gamma``."""

    gamma: nn.Parameter

    def forward(self, x: Tensor) -> Tensor:
        return x * _per_channel(self.gamma[None])


def squeeze_excite_3d(module: nn.Module, _: Inflation) -> SqueezeExcite3d:
    """timm's ``SEModule`` in three dimensions."""
    return adopt(SqueezeExcite3d, module)


def mobile_squeeze_excite_3d(module: nn.Module, _: Inflation) -> MobileSqueezeExcite3d:
    """The ``SqueezeExcite`` of timm's EfficientNet blocks in three dimensions."""
    return adopt(MobileSqueezeExcite3d, module)


def senet_module_3d(module: nn.Module, _: Inflation) -> SeNetModule3d:
    """The ``SEModule`` of timm's SENet in three dimensions."""
    return adopt(SeNetModule3d, module)


def effective_squeeze_excite_3d(module: nn.Module, _: Inflation) -> EffectiveSqueezeExcite3d:
    """timm's ``EffectiveSEModule`` in three dimensions."""
    return adopt(EffectiveSqueezeExcite3d, module)


def hgnet_gate_3d(module: nn.Module, _: Inflation) -> HgNetGate3d:
    """The ``EseModule`` of timm's HGNet in three dimensions."""
    return adopt(HgNetGate3d, module)


def efficient_channel_gate_3d(module: nn.Module, _: Inflation) -> EfficientChannelGate3d:
    """timm's ``EcaModule`` in three dimensions."""
    return adopt(EfficientChannelGate3d, module)


def circular_channel_gate_3d(module: nn.Module, _: Inflation) -> CircularChannelGate3d:
    """timm's ``CecaModule`` in three dimensions."""
    return adopt(CircularChannelGate3d, module)


def response_norm_3d(module: nn.Module, _: Inflation) -> ResponseNorm3d:
    """timm's ``GlobalResponseNorm`` in three dimensions."""
    return adopt(ResponseNorm3d, module)


def layer_scale_3d(module: nn.Module, _: Inflation) -> LayerScale3d:
    """timm's ``LayerScale2d`` in three dimensions."""
    return adopt(LayerScale3d, module)


def _squeeze(x: Tensor, with_maximum: bool) -> Tensor:
    mean = x.mean(SPACE, keepdim=True)
    return 0.5 * mean + 0.5 * x.amax(SPACE, keepdim=True) if with_maximum else mean


def _per_channel(values: Tensor) -> Tensor:
    """(b, c) as (b, c, 1, 1, 1)."""
    return values[:, :, None, None, None]
