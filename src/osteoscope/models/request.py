"""What is asked of a network's builder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from osteoscope.core.errors import ModelError
from osteoscope.models.kernels import INFLATIONS, Inflation

DEFAULT_SHAPE = (64, 96, 96)
"""Voxels (z, y, x) of an image, where a network must know and is not told: a crop's default."""


@dataclass(frozen=True)
class NetworkRequest:
    """A network as asked for.

    Args:
        name: The network.
        spatial_dims: 2 or 3.
        in_channels: Channels of an image, at least 1.
        outputs: Numbers that it puts out for an image, at least 1.
        inflation: How 2D weights, where such are loaded, get their depth.
        image_shape: (z, y, x) voxels, for networks that are made for one shape.
        options: Whatever else the network takes, by name.

    Raises:
        ModelError: A number outside its range, or an unknown inflation.
    """

    name: str
    spatial_dims: int = 3
    in_channels: int = 1
    outputs: int = 3
    inflation: Inflation = "average"
    image_shape: tuple[int, int, int] = DEFAULT_SHAPE
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.spatial_dims not in (2, 3):
            raise ModelError(f"A network has 2 or 3 spatial dimensions, not {self.spatial_dims}.")
        for what, number in (("input channels", self.in_channels), ("outputs", self.outputs)):
            if number < 1:
                raise ModelError(f"A network needs at least one of its {what}, not {number}.")
        if self.inflation not in INFLATIONS:
            known = ", ".join(INFLATIONS)
            raise ModelError(f"Unknown inflation {self.inflation!r}; known: {known}.")
        if len(self.image_shape) != 3 or min(self.image_shape) < 1:
            raise ModelError(
                f"An image's shape is three counts of voxels (z, y, x), not {self.image_shape}."
            )

    def for_volumes_only(self) -> None:
        """Refuse two dimensions, for networks that take volumes.

        Raises:
            ModelError: ``spatial_dims`` is 2.
        """
        if self.spatial_dims != 3:
            raise ModelError(f"The network {self.name!r} takes volumes only; use spatial_dims=3.")

    def options_of(self, **defaults: Any) -> dict[str, Any]:
        """The network's options, with these defaults and no others.

        Raises:
            ModelError: An option that the network does not have.
        """
        unknown = sorted(set(self.options) - set(defaults))
        if unknown:
            known = ", ".join(defaults) or "none"
            raise ModelError(
                f"The network {self.name!r} has no option {unknown[0]!r}; known: {known}."
            )
        return {**defaults, **self.options}


@dataclass(frozen=True, eq=False)
class BuiltNetwork:
    """A network with random weights, and what timm calls the 2D network that it comes from.

    Args:
        network: Random weights.
        hub_name: Under which timm has 2D weights for it; None where it has none.
    """

    network: nn.Module
    hub_name: str | None
