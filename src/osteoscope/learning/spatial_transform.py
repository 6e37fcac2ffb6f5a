"""Moving batches of crops in millimetres: one interpolation for rotation, scale and shift."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def rotations(angles: Tensor) -> Tensor:
    """(b, 3, 3) rotation matrices Rz Ry Rx acting on (x, y, z).

    Args:
        angles: (b, 3) radians about x, y and z.
    """
    cosine, sine = torch.cos(angles), torch.sin(angles)
    one, zero = torch.ones_like(cosine[:, 0]), torch.zeros_like(cosine[:, 0])
    cx, cy, cz = cosine.unbind(1)
    sx, sy, sz = sine.unbind(1)
    about_x = torch.stack([one, zero, zero, zero, cx, -sx, zero, sx, cx], 1).view(-1, 3, 3)
    about_y = torch.stack([cy, zero, sy, zero, one, zero, -sy, zero, cy], 1).view(-1, 3, 3)
    about_z = torch.stack([cz, -sz, zero, sz, cz, zero, zero, zero, one], 1).view(-1, 3, 3)
    return about_z @ about_y @ about_x


def move(
    images: Tensor,
    linear: Tensor,
    shift_mm: Tensor,
    *,
    spacing_mm: tuple[float, float, float],
    padding: Sequence[float],
) -> Tensor:
    """Each image's content by its own affine motion about the crop's centre, trilinear.

    The value at p of the result is the image's at ``linear @ p + shift_mm``, with p in mm from the
    centre along (x, y, z). Trilinear weights are not negative and add up to 1, so that a uniform
    region keeps its value and a textured one its mean; its noise shrinks (by up to sqrt(8)).

    Args:
        images: (b, c, z, y, x).
        linear: (b, 3, 3) from result to image, acting on (x, y, z).
        shift_mm: (b, 3) along (x, y, z).
        spacing_mm: Of the voxels along (z, y, x): a rotation is one in mm, not in voxels.
        padding: (c,) what stands outside the crop in each channel.

    Returns:
        (b, c, z, y, x).
    """
    size_mm = [n * s for n, s in zip(images.shape[2:], spacing_mm, strict=True)]
    half = images.new_tensor(size_mm[::-1]) / 2
    # grid_sample counts in half extents of the volume, -1 to 1 from edge to edge.
    matrix = linear.to(images.dtype) * half[None, None, :] / half[None, :, None]
    offset = shift_mm.to(images.dtype) / half
    theta = torch.cat([matrix, offset.unsqueeze(2)], dim=2)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    if not any(padding):
        return functional.grid_sample(images, grid, mode="bilinear", align_corners=False)
    outside = images.new_tensor(list(padding)).view(1, -1, 1, 1, 1)
    moved = functional.grid_sample(images - outside, grid, mode="bilinear", align_corners=False)
    return moved + outside
