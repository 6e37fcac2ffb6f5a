"""Blocks of timm whose own computation names two axes of space, restated for three."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name that all of torch's users know
from torch import Tensor, nn

from osteoscope.models.kernels import Inflation
from osteoscope.models.volumetric.adopt import adopt


class ConvNeXtBlock3d(nn.Module):
    """A ConvNeXt block (Liu et al. 2022, arXiv 2201.03545, figure 4).

    Depthwise convolution, layer norm, two layers with an activation between them, channel scale,
    and the way around. Reads ``conv_dw, norm, mlp, use_conv_mlp, gamma, drop_path, shortcut``.
    """

    use_conv_mlp: bool
    gamma: nn.Parameter | None
    conv_dw: nn.Module
    norm: nn.Module
    mlp: nn.Module
    drop_path: nn.Module
    shortcut: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv_dw(x)
        if self.use_conv_mlp:
            inner = self.mlp(self.norm(inner))
        else:  # linear layers want the channels last
            inner = self.mlp(self.norm(inner.movedim(1, -1))).movedim(-1, 1)
        if self.gamma is not None:
            inner = inner * self.gamma[:, None, None, None]
        added: Tensor = self.drop_path(inner) + self.shortcut(x)
        return added


class ConvMlp3d(nn.Module):
    """VGG's fully connected layers as convolutions; a smaller map is first stretched to their size.

    Reads ``input_kernel_size, fc1, act1, drop, fc2, act2``. The first has ``7^3`` weights for
    every pair of channels: 719 million for 512 to 4096, which ``mlp_ratio`` of timm makes less.
    """

    input_kernel_size: int
    fc1: nn.Module
    act1: nn.Module
    drop: nn.Module
    fc2: nn.Module
    act2: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        depth, height, width = (max(self.input_kernel_size, size) for size in x.shape[2:])
        if x.shape[2:] != (depth, height, width):
            x = F.adaptive_avg_pool3d(x, (depth, height, width))
        x = self.act1(self.fc1(x))
        activated: Tensor = self.act2(self.fc2(self.drop(x)))
        return activated


class DropBlock3d(nn.Module):
    """Cubes of a feature map set to zero while training (Ghiasi et al. 2018, arXiv 1810.12890).

    A voxel starts a cube with the rate at which ``drop_prob`` of all voxels fall, borders
    neglected; what is left is scaled to the same mean. Reads ``drop_prob, block_size,
    gamma_scale``.
    """

    drop_prob: float
    block_size: int
    gamma_scale: float

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.drop_prob:
            return x
        sides = [min(self.block_size, size) for size in x.shape[2:]]
        sides = [side - (side + 1) % 2 for side in sides]  # odd, so that the cube has a centre
        volume = sides[0] * sides[1] * sides[2]
        seeds = torch.empty_like(x).bernoulli_(self.gamma_scale * self.drop_prob / volume)
        padding = [side // 2 for side in sides]
        kept = 1 - F.max_pool3d(seeds, sides, stride=1, padding=padding)
        return x * kept * (kept.numel() / kept.sum().clamp(min=1))


def convnext_block_3d(module: nn.Module, _: Inflation) -> ConvNeXtBlock3d:
    """timm's ``ConvNeXtBlock`` in three dimensions."""
    return adopt(ConvNeXtBlock3d, module)


def conv_mlp_3d(module: nn.Module, _: Inflation) -> ConvMlp3d:
    """The ``ConvMlp`` of timm's VGG in three dimensions."""
    return adopt(ConvMlp3d, module)


def drop_block_3d(module: nn.Module, _: Inflation) -> DropBlock3d:
    """timm's ``DropBlock2d`` in three dimensions."""
    return adopt(DropBlock3d, module)
