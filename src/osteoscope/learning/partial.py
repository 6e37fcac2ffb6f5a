"""Training a part of a network: its classifier, its last stage too, or all of it."""

from __future__ import annotations

from typing import Any, Literal, get_args

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from osteoscope.core.errors import ModelError
from osteoscope.core.registry import look_up
from osteoscope.models.stages import stages

TrainablePart = Literal["head", "last-stage", "all"]


def freeze_all_but(model: nn.Module, part: TrainablePart) -> int:
    """Leave gradients to one part of the network and take them from the rest.

    ``head``: the classifier. ``last-stage``: the last stage, what lies between it and the
    classifier, and the classifier. ``all``: everything, as before any freezing.

    A batch normalisation that is frozen works with its running statistics and keeps them, also
    after ``model.train()``: else "frozen" layers would drift with every batch. (A hook puts it
    into evaluation mode at each forward pass while it is frozen.) Make the optimiser afterwards.

    Args:
        model: From :func:`osteoscope.models.create_model`; changed in place.
        part: What is to be trained.

    Returns:
        Number of values that will be trained.

    Raises:
        InputError: An unknown part.
        ModelError: The network has no classifier, or no stages.
    """
    look_up(dict.fromkeys(get_args(TrainablePart)), part, "trainable part")
    trained = _trained(model, part)
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in trained)
    if part != "all":
        _hold_normalisations(model)
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _trained(model: nn.Module, part: TrainablePart) -> set[int]:
    """Identities of the parameters to train."""
    everything = {id(p) for p in model.parameters()}
    if part == "all":
        return everything
    classifier = {id(p) for p in _classifier(model).parameters()}
    if not classifier:
        raise ModelError(
            "The network's classifier has no weights, so that its head cannot be trained alone; "
            "make it with outputs above 0."
        )
    if part == "head":
        return classifier
    in_order = stages(model)
    if not in_order:
        raise ModelError(
            "The network does not tell its stages, so that its last one cannot be trained alone; "
            "use trainable 'head' or 'all'."
        )
    earlier = {id(p) for stage in in_order[:-1] for p in stage.parameters()}
    return (everything - earlier) | classifier


def _classifier(model: nn.Module) -> nn.Module:
    find: Any = getattr(model, "get_classifier", None)
    found = find() if callable(find) else None
    if not isinstance(found, nn.Module):
        raise ModelError(
            "The network does not tell its classifier (get_classifier), so that its parts cannot "
            "be trained alone; use trainable 'all'."
        )
    return found


def _hold_normalisations(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, _BatchNorm) and _is_frozen(module):
            module.register_forward_pre_hook(_use_running_statistics)


def _use_running_statistics(module: nn.Module, _inputs: Any) -> None:
    # Asked at each pass, so that freeze_all_but(model, "all") releases it again.
    if module.training and _is_frozen(module):
        module.eval()


def _is_frozen(module: nn.Module) -> bool:
    own = list(module.parameters(recurse=False))
    return bool(own) and not any(p.requires_grad for p in own)
