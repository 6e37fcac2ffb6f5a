"""Vision transformers of volumes: timm's, with patches of three dimensions."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from osteoscope.core.errors import ModelError
from osteoscope.models.request import BuiltNetwork, NetworkRequest
from osteoscope.models.timm_network import make_timm
from osteoscope.models.volumetric.convolution import with_depth

TIMM_NAMES = {
    "tiny": "vit_tiny_patch16_224",
    "small": "vit_small_patch16_224",
    "base": "vit_base_patch16_224",
}
"""Widths 192, 384 and 768, 12 blocks each (Touvron et al. 2021, arXiv 2012.12877, table 1)."""

PATCH = 16
STAGES = 4


class PatchEmbed3d(nn.Module):
    """A volume as a sequence of tokens, one a patch, under timm's parameter names.

    Args:
        img_size: (z, y, x) voxels of every image.
        patch_size: Side of a patch in voxels, or (z, y, x).
        in_chans: Channels of an image.
        embed_dim: Width of a token.
        bias: Whether the projection has one.

    Raises:
        ModelError: The patches do not fill the image.
    """

    def __init__(
        self,
        img_size: tuple[int, int, int],
        patch_size: int | tuple[int, int, int] = PATCH,
        in_chans: int = 1,
        embed_dim: int = 768,
        bias: bool = True,
        **factory: Any,
    ) -> None:
        super().__init__()
        patch = with_depth(patch_size) if isinstance(patch_size, int) else patch_size
        self.img_size = img_size
        self.patch_size = patch
        if any(size % patch for size, patch in zip(self.img_size, self.patch_size, strict=True)):
            raise ModelError(
                f"Patches of {self.patch_size} voxels (z, y, x) do not fill images of "
                f"{self.img_size}; choose an image shape of whole patches, or another patch_size."
            )
        self.grid_size = tuple(
            size // patch for size, patch in zip(self.img_size, self.patch_size, strict=True)
        )
        self.num_patches = self.grid_size[0] * self.grid_size[1] * self.grid_size[2]
        device_and_type = {k: factory[k] for k in ("device", "dtype") if k in factory}
        self.proj = nn.Conv3d(in_chans, embed_dim, patch, patch, bias=bias, **device_and_type)
        self.norm = nn.Identity()

    def feat_ratio(self, as_scalar: bool = True) -> int | tuple[int, ...]:
        """Voxels a token, as timm asks for it."""
        return max(self.patch_size) if as_scalar else self.patch_size

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, z, y, x) to (b, tokens, width), the last axis of space running fastest."""
        if tuple(x.shape[2:]) != self.img_size:
            raise ModelError(
                f"This transformer is made for images of {self.img_size} voxels (z, y, x), not "
                f"{tuple(x.shape[2:])}; make it with image_shape={tuple(x.shape[2:])}."
            )
        tokens: Tensor = self.norm(self.proj(x).flatten(2).transpose(1, 2))
        return tokens


class JointHead(nn.Module):
    """A class head and a T-score head on the same embedding, trained jointly as in JointViT.

    (Zhang et al. 2024, arXiv 2404.11525, has oxygen saturation in the T-score's place.)

    Args:
        width: Numbers of the embedding.
        classes: Class logits.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.class_logits = nn.Linear(width, classes)
        self.t_score = nn.Linear(width, 1)
        for layer in (self.class_logits, self.t_score):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def forward(self, embedding: Tensor) -> Tensor:
        """(b, width) to (b, classes + 1): the class logits, then the T-score."""
        return torch.cat((self.class_logits(embedding), self.t_score(embedding)), dim=1)


def build_vit(request: NetworkRequest) -> BuiltNetwork:
    """``vit3d-<size>``: tokens of ``patch_size`` voxels, learnt positions, class token.

    Options: ``patch_size`` (16 a side) and timm's own (``embed_dim``, ``depth``, ``num_heads``,
    ``drop_path_rate``, ``global_pool``, ``class_token``...).

    Raises:
        ModelError: Two dimensions, patches that do not fill ``image_shape``, an unknown option.
    """
    return _build(request, request.outputs)


def build_joint_vit(request: NetworkRequest) -> BuiltNetwork:
    """``jointvit-<size>``: a ``vit3d`` of which the last output is a T-score.

    Raises:
        ModelError: As ``build_vit``; fewer than two outputs.
    """
    if request.outputs < 2:
        raise ModelError(
            f"The network {request.name!r} puts out class logits and a T-score, so that it needs "
            f"at least 2 outputs (4 for three classes), not {request.outputs}."
        )
    built = _build(request, request.outputs - 1)
    network: Any = built.network
    network.head = JointHead(network.head.in_features, request.outputs - 1)
    network.num_classes = request.outputs
    return built


def vit_stages(network: nn.Module) -> list[nn.Module]:
    """The patches, then the blocks in four equal groups; the last norm goes with the last."""
    parts: Any = network
    blocks = list(parts.blocks)
    cuts = [round(i * len(blocks) / STAGES) for i in range(STAGES + 1)]
    groups = [blocks[a:b] for a, b in pairwise(cuts) if b > a]
    groups[-1] = [*groups[-1], parts.norm, parts.fc_norm]
    return [nn.ModuleList([parts.patch_embed]), *(nn.ModuleList(group) for group in groups)]


def _build(request: NetworkRequest, outputs: int) -> BuiltNetwork:
    request.for_volumes_only()
    name = TIMM_NAMES[request.name.partition("-")[2]]
    options = {
        "patch_size": PATCH,
        **request.options,
        "img_size": request.image_shape,
        "embed_layer": PatchEmbed3d,
    }
    return BuiltNetwork(make_timm(name, request.in_channels, outputs, options), name)
