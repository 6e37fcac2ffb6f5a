"""Normalisation over the channels of a (b, c, z, y, x) tensor.

Group norms, and layer norms of tensors whose channels stand last, do not see how many axes of
space there are and stay as they are.
"""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 - the name that all of torch's users know
from torch import Tensor, nn

from osteoscope.models.kernels import Inflation
from osteoscope.models.volumetric.adopt import adopt


class BatchNormAct3d(nn.BatchNorm3d):
    """Batch normalisation, dropout and activation in one, as timm has it. Reads ``drop, act``.

    torch's ``convert_sync_batchnorm`` drops the activation of such a layer, as it does of timm's.
    """

    drop: nn.Module
    act: nn.Module

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        activated: Tensor = self.act(self.drop(super().forward(input)))
        return activated


class ChannelLayerNorm(nn.LayerNorm):
    """Layer normalisation over axis 1 of a tensor with any number of axes after it."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        last = input.movedim(1, -1)
        normal = F.layer_norm(last, self.normalized_shape, self.weight, self.bias, self.eps)
        return normal.movedim(-1, 1)


class ChannelLayerNormAct(ChannelLayerNorm):
    """``ChannelLayerNorm``, then dropout and activation. Reads ``drop, act``."""

    drop: nn.Module
    act: nn.Module

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        activated: Tensor = self.act(self.drop(super().forward(input)))
        return activated


class ChannelRmsNorm(nn.Module):
    """``x / sqrt(mean(x^2 over channels) + eps) * weight``.

    Reads ``normalized_shape, eps, weight``.
    """

    normalized_shape: tuple[int, ...]
    eps: float
    weight: nn.Parameter | None

    def forward(self, x: Tensor) -> Tensor:
        last = x.movedim(1, -1)
        normal = F.rms_norm(last, list(self.normalized_shape), self.weight, self.eps)
        return normal.movedim(-1, 1)


class ChannelRmsNormAct(ChannelRmsNorm):
    """``ChannelRmsNorm``, then dropout and activation. Reads ``drop, act``."""

    drop: nn.Module
    act: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        activated: Tensor = self.act(self.drop(super().forward(x)))
        return activated


def batch_norm_3d(module: nn.Module, _: Inflation) -> nn.BatchNorm3d:
    """``nn.BatchNorm2d`` in three dimensions."""
    return adopt(nn.BatchNorm3d, module)


def batch_norm_act_3d(module: nn.Module, _: Inflation) -> BatchNormAct3d:
    """timm's ``BatchNormAct2d`` in three dimensions."""
    return adopt(BatchNormAct3d, module)


def layer_norm_3d(module: nn.Module, _: Inflation) -> ChannelLayerNorm:
    """timm's ``LayerNorm2d`` in three dimensions."""
    return adopt(ChannelLayerNorm, module)


def layer_norm_act_3d(module: nn.Module, _: Inflation) -> ChannelLayerNormAct:
    """timm's ``LayerNormAct2d`` in three dimensions."""
    return adopt(ChannelLayerNormAct, module)


def rms_norm_3d(module: nn.Module, _: Inflation) -> ChannelRmsNorm:
    """timm's ``RmsNorm2d`` in three dimensions."""
    return adopt(ChannelRmsNorm, module)


def rms_norm_act_3d(module: nn.Module, _: Inflation) -> ChannelRmsNormAct:
    """timm's ``RmsNormAct2d`` in three dimensions."""
    return adopt(ChannelRmsNormAct, module)
