"""Comparing a 3D network with the 2D one that it comes from, on volumes constant along depth."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name that all of torch's users know
from torch import Tensor, nn


def stack(images: Tensor, depth: int) -> Tensor:
    """(b, c, y, x) repeated to (b, c, depth, y, x)."""
    return images.unsqueeze(2).expand(-1, -1, depth, -1, -1).contiguous()


def with_statistics(network: nn.Module) -> nn.Module:
    """Running statistics as after training: fresh ones would hide a norm that does nothing."""
    generator = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(getattr(module, "running_mean", None), Tensor):
            module.running_mean.normal_(0.0, 0.2, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    return network.eval()


def repeat_at_depth_ends(network: nn.Module) -> nn.Module:
    """Let convolutions pad depth by its last slice, so that a constant volume stays constant."""
    for module in network.modules():
        if isinstance(module, nn.Conv3d) and module.padding != "same" and any(module.padding):
            depth, height, width = module.padding
            module.padding = (0, height, width)
            module.register_forward_pre_hook(_repeat_ends(depth))
    return network


def _repeat_ends(slices: int):
    def pad(_: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        return F.pad(inputs[0], (0, 0, 0, 0, slices, slices), mode="replicate")

    return pad
