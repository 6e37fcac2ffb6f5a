"""One entry to every architecture, by name."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
from torch import nn

from osteoscope.core.errors import ModelError
from osteoscope.models.load_weights import load_weights
from osteoscope.models.request import DEFAULT_SHAPE, BuiltNetwork, NetworkRequest
from osteoscope.models.slice_model import PREFIX, SliceModel, build_slice_model
from osteoscope.models.small3d import build_small3d
from osteoscope.models.timm_network import build_timm
from osteoscope.models.vision_transformer import TIMM_NAMES, build_joint_vit, build_vit
from osteoscope.models.weight_files import hub_weights, read_weights

HUB = "hub"

BUILDERS: dict[str, Callable[[NetworkRequest], BuiltNetwork]] = {
    "small3d": build_small3d,
    **{f"vit3d-{size}": build_vit for size in TIMM_NAMES},
    **{f"jointvit-{size}": build_joint_vit for size in TIMM_NAMES},
}
"""The networks by name; beside them every name of timm, and ``slice2d:`` before one of these."""

_log = logging.getLogger(__name__)


def create_model(
    name: str,
    spatial_dims: int = 3,
    in_channels: int = 1,
    outputs: int = 3,
    weights: str | Path | bool | None = None,
    **options: Any,
) -> nn.Module:
    """A network by name.

    Every one maps (b, c, z, y, x) to (b, outputs) in ``forward``, and has timm's other methods:
    ``forward_features(x)``, ``forward_head(features, pre_logits=True)`` for the (b, f) embedding,
    ``get_classifier()``.

    Args:
        name: A CNN of timm (``resnet50.a1_in1k``), made three-dimensional; ``vit3d-small``;
            ``jointvit-small``, whose last output is a T-score; ``slice2d:resnet50.a1_in1k``, the 2D
            network on single slices; ``small3d``.
        spatial_dims: 3, or 2 for timm's network as it is.
        in_channels: Channels of an image.
        outputs: Numbers that it puts out for an image.
        weights: None (random), ``"hub"`` or True (timm's 2D weights, downloaded or cached), or a
            file of weights of the 2D or of the 3D network.
        **options: ``inflate`` (``average`` or ``centre``: how 2D kernels get their depth),
            ``image_shape`` ((z, y, x) voxels, for transformers), and what the network itself takes.

    Returns:
        The network, in training mode. Randomness is torch's: seed it before.

    Raises:
        ModelError: An unknown name (the message lists the known ones) or option, weights that
            cannot be had or are of another network, or a network that cannot become
            three-dimensional.

    >>> create_model("small3d", outputs=4).get_classifier().out_features
    4
    """
    request = NetworkRequest(
        name,
        spatial_dims,
        in_channels,
        outputs,
        inflation=options.pop("inflate", "average"),
        image_shape=tuple(options.pop("image_shape", DEFAULT_SHAPE)),
        options=options,
    )
    built = _builder(name)(request)
    if weights is None or weights is False:
        return built.network
    if weights is True or weights == HUB:
        if built.hub_name is None:
            raise ModelError(f"There are no weights for {name!r} in timm's hub; use weights=None.")
        found = hub_weights(built.hub_name)
    else:
        found = read_weights(Path(weights))
    network = built.network
    report = load_weights(
        network.network if isinstance(network, SliceModel) else network, found, request.inflation
    )
    _log.info("%s: %s", name, report.in_words())
    return network


def known_models() -> list[str]:
    """Every name that ``create_model`` knows without a tag; ``slice2d:`` may stand before timm's.

    Not every one of timm's becomes three-dimensional.
    """
    return [*BUILDERS, *timm.list_models()]


def _builder(name: str) -> Callable[[NetworkRequest], BuiltNetwork]:
    if name in BUILDERS:
        return BUILDERS[name]
    if timm.is_model(name.removeprefix(PREFIX)):
        return build_slice_model if name.startswith(PREFIX) else build_timm
    own = ", ".join([*BUILDERS, f"{PREFIX}<name of timm>"])
    near = difflib.get_close_matches(name.removeprefix(PREFIX), timm.list_models(), 5, 0.5)
    raise ModelError(
        f"Unknown network {name!r}; known: {own}, and the {len(timm.list_models())} of timm"
        + (f", such as {', '.join(near)}." if near else ".")
    )
