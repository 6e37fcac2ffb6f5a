"""Kernels of two dimensions made three-dimensional; RGB weights for any input channels."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from osteoscope.core.errors import ModelError

Inflation = Literal["average", "centre", "fresh"]
INFLATIONS: tuple[Inflation, ...] = get_args(Inflation)


def inflate_kernel(kernel: Tensor, depth: int, inflation: Inflation) -> Tensor:
    """A 2D convolution's kernel with a depth.

    ``average``: ``depth`` copies divided by ``depth`` (Carreira and Zisserman 2017,
    doi 10.1109/CVPR.2017.502, section 2.4). ``centre``: the kernel in the central slice (the later
    of the two for an even depth), zeros elsewhere (Arnab et al. 2021,
    doi 10.1109/ICCV48922.2021.00676, equation 9). Either way a volume that is constant along depth
    gives the 2D response, and the sum over depth is the 2D kernel.

    ``fresh``: independent normal draws of the 2D kernel's root mean square over ``sqrt(depth)``,
    for a network that starts untrained: averaged copies would see no difference between slices,
    and this keeps the variance that timm's own initialisation gives the response. A kernel of
    zeros stays zero. Draws come from torch's global generator, as torch's own do.

    Args:
        kernel: (out, in, height, width).
        depth: Slices of the 3D kernel, at least 1.
        inflation: One of ``INFLATIONS``.

    Returns:
        (out, in, depth, height, width).

    Raises:
        ModelError: An unknown inflation.

    >>> inflate_kernel(torch.ones(1, 1, 1, 1), 3, "centre").flatten().tolist()
    [0.0, 1.0, 0.0]
    """
    if inflation not in INFLATIONS:
        known = ", ".join(INFLATIONS)
        raise ModelError(f"Unknown inflation {inflation!r}; known: {known}.")
    shape = (*kernel.shape[:2], depth, *kernel.shape[2:])
    if depth == 1:
        return kernel.reshape(shape).clone()
    if inflation == "centre":
        inflated = kernel.new_zeros(shape)
        inflated[:, :, depth // 2] = kernel
        return inflated
    if inflation == "fresh":
        scale = kernel.square().mean().sqrt() / math.sqrt(depth)
        return torch.randn(shape, dtype=kernel.dtype, device=kernel.device) * scale
    return (kernel / depth).unsqueeze(2).expand(shape).clone()


def spread_input_channels(kernel: Tensor, channels: int) -> Tensor:
    """A first layer's kernel for another number of input channels.

    Every new channel gets the sum over the old ones divided by ``channels``. So a grey image
    given to all new channels gets the response that it got in all old ones (three, red, green and
    blue, in timm's weights), whatever their number: with one channel this is timm's own rule
    (the sum), with several the scale is kept where repeating red, green and blue keeps it for
    multiples of three only.

    Args:
        kernel: (out, in, ...).
        channels: Input channels wanted, at least 1.

    Returns:
        (out, channels, ...); the same kernel where the number fits already.

    >>> spread_input_channels(torch.ones(1, 3, 1, 1), 2).flatten().tolist()
    [1.5, 1.5]
    """
    if kernel.shape[1] == channels:
        return kernel
    total = kernel.sum(dim=1, keepdim=True) / channels
    return total.expand(kernel.shape[0], channels, *kernel.shape[2:]).clone()
