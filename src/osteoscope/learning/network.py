"""A network to train: made from its name, its random weights from a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import nn

from osteoscope.learning.partial import TrainablePart, freeze_all_but
from osteoscope.learning.seeding import caller_randomness_kept, mix
from osteoscope.models import create_model

NO_WEIGHTS = "none"


@dataclass(frozen=True)
class NetworkConfig:
    """A network and what of it is trained.

    Args:
        name: Of :func:`osteoscope.models.create_model`.
        weights: ``none`` (random), ``hub`` (timm's, downloaded) or a file.
        inflate: How 2D kernels become 3D: ``average`` or ``centre``.
        trainable: Which part is trained.
        options: What the network itself takes, by name: ``embed_dim`` of a ``vit3d``.
    """

    name: str = "resnet50.a1_in1k"
    weights: str = NO_WEIGHTS
    inflate: Literal["average", "centre"] = "average"
    trainable: TrainablePart = "all"
    options: Mapping[str, int | float | str] = field(default_factory=dict)


def new_network(
    config: NetworkConfig,
    *,
    in_channels: int,
    outputs: int,
    image_shape: tuple[int, int, int],
    seed: int,
) -> nn.Module:
    """The untrained network of a configuration; what is random in it depends on the seed alone.

    Args:
        config: Which network.
        in_channels: Channels of its images.
        outputs: What its head reads.
        image_shape: (z, y, x) voxels, for networks that are made for one shape.
        seed: 0 or above.

    Raises:
        ModelError: An unknown name, or weights that cannot be loaded.
    """
    with caller_randomness_kept(torch.device("cpu")):
        torch.manual_seed(mix(seed, 0x5EED))
        model = create_model(
            config.name,
            spatial_dims=3,
            in_channels=in_channels,
            outputs=outputs,
            weights=None if config.weights == NO_WEIGHTS else config.weights,
            inflate=config.inflate,
            image_shape=image_shape,
            **config.options,
        )
    freeze_all_but(model, config.trainable)
    return model
