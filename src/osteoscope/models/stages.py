"""A network in the order in which it shrinks its maps: for training its last part only."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from torch import nn

from osteoscope.core.errors import ModelError
from osteoscope.models.slice_model import SliceModel
from osteoscope.models.small3d import Small3d
from osteoscope.models.vision_transformer import vit_stages


def stages(model: nn.Module) -> list[nn.Module]:
    """The network's stages from the stem to the last, without its classifier.

    A CNN of timm is cut where timm says that its maps get smaller (``feature_info``), so that
    several groups of blocks of one resolution are one stage; what stands between the last of
    these and the classifier (a head convolution, a norm) belongs to the last stage. A transformer
    is its patches and then four equal groups of blocks.

    Args:
        model: Of ``create_model``.

    Returns:
        Modules that share the network's parameters, each parameter in one stage at most.

    Raises:
        ModelError: The network does not say where its maps shrink.
    """
    if isinstance(model, SliceModel):
        return stages(model.network)
    if isinstance(model, Small3d):
        return [model.stem, *model.stages]
    if hasattr(model, "patch_embed") and hasattr(model, "blocks"):
        return vit_stages(model)
    return _timm_stages(model)


def _timm_stages(model: nn.Module) -> list[nn.Module]:
    network: Any = model
    try:
        ends = [info["module"] for info in network.feature_info]
        classifier = set(network.get_classifier().modules())
    except (AttributeError, KeyError, TypeError):
        ends, classifier = [], set()
    if not ends:
        raise ModelError(
            f"{type(model).__name__} does not say where its maps shrink, so that it has no stages; "
            "train all of it, or its head."
        )
    # A layer with children of its own may own parameters too (a norm with its activation).
    owners = [
        (name, module)
        for name, module in model.named_modules()
        if module not in classifier and (not any(module.children()) or _owns_parameters(module))
    ]
    last_of = [
        max(
            (i for i, (name, _) in enumerate(owners) if name == end or name.startswith(f"{end}.")),
            default=-1,
        )
        for end in ends
    ]
    if last_of != sorted(set(last_of)) or last_of[0] < 0:
        raise ModelError(
            f"{type(model).__name__} does not order its layers by the size of their maps, so that "
            "it has no stages; train all of it, or its head."
        )
    cuts = [0, *(last + 1 for last in last_of[:-1]), len(owners)]
    return [nn.ModuleList(module for _, module in owners[a:b]) for a, b in pairwise(cuts)]


def _owns_parameters(module: nn.Module) -> bool:
    return any(True for _ in module.parameters(recurse=False))
