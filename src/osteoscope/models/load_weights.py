"""Giving a network weights, of its own shape or of the 2D network that it comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from timm.layers.pos_embed import resample_abs_pos_embed
from torch import Tensor, nn

from osteoscope.core.errors import ModelError
from osteoscope.models.kernels import Inflation, spread_input_channels
from osteoscope.models.volumetric.convolution import inflate_for

POSITIONS = "pos_embed"
PATCHES = "patch_embed.proj.weight"
_COUNTERS = "num_batches_tracked"
"""A batch norm's count of batches, which many files leave out and evaluation does not use."""


@dataclass(frozen=True)
class LoadReport:
    """What became of every tensor.

    Args:
        loaded: Taken, among them the next three.
        inflated: Kernels that got a depth.
        respread: Kernels whose input channels were spread over another number.
        resampled: Position embeddings brought to another grid.
        left_random: The classifier's, where the file has none of that shape.
        unused: In the file, without a place in the network.
    """

    loaded: tuple[str, ...]
    inflated: tuple[str, ...]
    respread: tuple[str, ...]
    resampled: tuple[str, ...]
    left_random: tuple[str, ...]
    unused: tuple[str, ...]

    def in_words(self) -> str:
        """One sentence for the log."""
        text = f"{len(self.loaded)} tensors loaded"
        for count, what in (
            (len(self.inflated), "given a depth"),
            (len(self.respread), "spread over the input channels"),
            (len(self.resampled), "resampled to the grid"),
        ):
            text += f", {count} of them {what}" if count else ""
        if self.left_random:
            text += f"; left random: {', '.join(self.left_random)}"
        if self.unused:
            text += f"; {len(self.unused)} in the file not used ({', '.join(self.unused[:4])}...)"
        return f"{text}."


def load_weights(
    network: nn.Module, weights: Mapping[str, Tensor], inflation: Inflation = "average"
) -> LoadReport:
    """Fill a network with weights; 2D kernels get a depth, RGB kernels the network's channels.

    Whatever the network holds must be in the weights, in its shape or in the 2D network's. Two
    exceptions: the classifier, which stays random where the file's is of another task, and the
    counters of batch norms.

    Args:
        network: Of ``create_model``; changed in place, and not at all where this raises.
        weights: Tensors by timm's names.
        inflation: How 2D kernels get their depth.

    Returns:
        What was and was not loaded.

    Raises:
        ModelError: The weights are of another network.
    """
    taker = _Taker(network, weights, inflation)
    state = network.state_dict()
    taken = {name: taker.fitting(name, wanted) for name, wanted in state.items()}
    classifier = _classifier_prefixes(network)
    lacking = [name for name, tensor in taken.items() if tensor is None]
    wrong = [
        name for name in lacking if not name.startswith(classifier) and not name.endswith(_COUNTERS)
    ]
    if wrong:
        name = wrong[0]
        met = f"has it as {tuple(weights[name].shape)}" if name in weights else "lacks it"
        raise ModelError(
            f"The weights are of another network: of {len(state)} tensors {len(wrong)} do not "
            f"fit, such as {name!r} of shape {tuple(state[name].shape)}, and the file {met}."
        )
    network.load_state_dict({k: v for k, v in taken.items() if v is not None}, strict=False)
    return LoadReport(
        loaded=tuple(k for k, v in taken.items() if v is not None),
        inflated=tuple(taker.inflated),
        respread=tuple(taker.respread),
        resampled=tuple(taker.resampled),
        left_random=tuple(k for k in lacking if not k.endswith(_COUNTERS)),
        unused=tuple(sorted(set(weights) - set(state))),
    )


class _Taker:
    """Brings single tensors to the network's shapes and notes what it did."""

    def __init__(
        self, network: nn.Module, weights: Mapping[str, Tensor], inflation: Inflation
    ) -> None:
        self.network = network
        self.weights = weights
        self.inflation = inflation
        self.layers = dict(network.named_modules())
        self.inflated: list[str] = []
        self.respread: list[str] = []
        self.resampled: list[str] = []

    def fitting(self, name: str, wanted: Tensor) -> Tensor | None:
        """The tensor in the network's shape; None where there is none that fits."""
        found = self.weights.get(name)
        if found is None:
            return None
        layer = self.layers.get(name.rpartition(".")[0])
        if isinstance(layer, nn.Conv2d | nn.Conv3d) and name.endswith(".weight"):
            found = self._kernel(name, found, layer)
        elif name.endswith(POSITIONS) and self._comes_from_2d():
            found = self._positions(name, found)
        return found if found is not None and found.shape == wanted.shape else None

    def _kernel(self, name: str, kernel: Tensor, layer: nn.Conv2d | nn.Conv3d) -> Tensor:
        inputs = layer.weight.shape[1]
        if kernel.ndim > 2 and kernel.shape[1] != inputs and layer.groups == 1:
            # Only the first layer sees an image's channels; another's would be another network.
            if kernel.shape[1] > 4:
                return kernel
            kernel = spread_input_channels(kernel, inputs)
            self.respread.append(name)
        if isinstance(layer, nn.Conv3d) and kernel.ndim == 4:
            kernel = inflate_for(layer, kernel, self.inflation)
            self.inflated.append(name)
        return kernel

    def _comes_from_2d(self) -> bool:
        patches = self.weights.get(PATCHES)
        embedding: Any = self.layers.get(PATCHES.partition(".")[0])
        wants_3d = len(getattr(embedding, "grid_size", ())) == 3
        return wants_3d and patches is not None and patches.ndim == 4

    def _positions(self, name: str, positions: Tensor) -> Tensor | None:
        """Positions of a square grid, resampled to (y, x) and repeated along depth.

        Repeating is what Arnab et al. 2021 (doi 10.1109/ICCV48922.2021.00676, section 3.4) do
        along time.
        """
        network: Any = self.network
        depth, *plane = network.patch_embed.grid_size
        prefix = network.num_prefix_tokens
        side = math.isqrt(positions.shape[1] - prefix)
        if side * side != positions.shape[1] - prefix:
            return None
        flat = resample_abs_pos_embed(
            positions, new_size=plane, old_size=[side, side], num_prefix_tokens=prefix
        )
        repeated = flat[:, prefix:].repeat(1, depth, 1)
        self.resampled.append(name)
        return torch.cat((flat[:, :prefix], repeated), dim=1)


def _classifier_prefixes(network: nn.Module) -> tuple[str, ...]:
    asked: Any = network
    classifier = asked.get_classifier()
    return tuple(f"{name}." for name, module in network.named_modules() if module is classifier)
