"""Any network of timm by its name, in two dimensions or, where it is a CNN, in three."""

from __future__ import annotations

from typing import Any

import timm
from torch import nn

from osteoscope.core.errors import ModelError
from osteoscope.models.inflate import inflate
from osteoscope.models.request import BuiltNetwork, NetworkRequest


def build_timm(request: NetworkRequest) -> BuiltNetwork:
    """timm's network of that name; for volumes its 2D network is inflated.

    The options are timm's own (``drop_rate``, ``drop_path_rate``, ``global_pool``...).

    Raises:
        ModelError: timm does not know the name, the tag after its point or an option; or the
            network cannot become three-dimensional.
    """
    network = make_timm(request.name, request.in_channels, request.outputs, dict(request.options))
    if request.spatial_dims == 3:
        network = inflate(network, "fresh")
    return BuiltNetwork(network, request.name)


def make_timm(name: str, in_channels: int, outputs: int, options: dict[str, Any]) -> nn.Module:
    """timm's 2D network with random weights.

    Raises:
        ModelError: timm does not know the name, the tag after its point or an option.
    """
    try:
        network: nn.Module = timm.create_model(
            name, pretrained=False, in_chans=in_channels, num_classes=outputs, **options
        )
    except (RuntimeError, TypeError, ValueError, AssertionError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"timm cannot make the network {name!r} so: {reason}") from None
    return network
