"""A 2D network on the middle slices of a volume: what a 3D one is compared with."""

from __future__ import annotations

from typing import Any, Literal, get_args

from torch import Tensor, nn

from osteoscope.core.errors import ModelError
from osteoscope.models.request import BuiltNetwork, NetworkRequest
from osteoscope.models.timm_network import make_timm

SliceAxis = Literal["z", "y", "x"]
PREFIX = "slice2d:"


class SliceModel(nn.Module):
    """The mean of a 2D network's answers to single slices, which do not see each other.

    Args:
        network: Takes images (b, c, height, width), with timm's three methods.
        slices: How many, taken around the middle one.
        axis: The axis that they are cut across: with axes along the scanner's, ``z`` gives axial,
            ``y`` coronal, ``x`` sagittal slices.

    Raises:
        ModelError: No slices, or an unknown axis.
    """

    def __init__(self, network: nn.Module, slices: int = 3, axis: SliceAxis = "z") -> None:
        super().__init__()
        if slices < 1:
            raise ModelError(f"A slice model needs at least one slice, not {slices}.")
        if axis not in get_args(SliceAxis):
            raise ModelError(
                f"Unknown slice axis {axis!r}; known: {', '.join(get_args(SliceAxis))}."
            )
        self.network = network
        self.slices = slices
        self.axis = 2 + get_args(SliceAxis).index(axis)

    def forward_features(self, x: Tensor) -> Tensor:
        """(b, c, z, y, x) to the 2D network's features of (b * slices) images.

        Raises:
            ModelError: The volume has fewer slices than are asked for.
        """
        count = x.shape[self.axis]
        if count < self.slices:
            raise ModelError(
                f"The volume has {count} slices where the slice model takes {self.slices}; ask for "
                "fewer."
            )
        first = (count - self.slices) // 2
        middle = x.narrow(self.axis, first, self.slices).movedim(self.axis, 1)
        images: Any = self.network
        features: Tensor = images.forward_features(middle.flatten(0, 1))
        return features

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """To (b, outputs), or to (b, f) before the classifier: means over the slices."""
        images: Any = self.network
        answers: Tensor = images.forward_head(features, pre_logits=pre_logits)
        return answers.reshape(-1, self.slices, *answers.shape[1:]).mean(1)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, z, y, x) to (b, outputs)."""
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        """The 2D network's last layer."""
        images: Any = self.network
        classifier: nn.Module = images.get_classifier()
        return classifier


def build_slice_model(request: NetworkRequest) -> BuiltNetwork:
    """``slice2d:<timm name>``. Options: ``slices`` (3), ``axis`` (``z``), and timm's own.

    Raises:
        ModelError: Two dimensions, or what timm or ``SliceModel`` refuse.
    """
    request.for_volumes_only()
    name = request.name.removeprefix(PREFIX)
    options = dict(request.options)
    slices, axis = options.pop("slices", 3), options.pop("axis", "z")
    network = make_timm(name, request.in_channels, request.outputs, options)
    return BuiltNetwork(SliceModel(network, slices, axis), name)
