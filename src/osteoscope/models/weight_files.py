"""Weights from a file or from timm's hub, without running code that stands in a file."""

from __future__ import annotations

import logging
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import timm
import torch
from torch import Tensor

from osteoscope.core.errors import ModelError

PICKLED = (".pth", ".pt", ".bin", ".tar")
_NESTED = ("state_dict", "model", "state_dict_ema", "model_ema")
_PREFIX = "module."
"""What torch's data-parallel wrapper puts before every name."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """The named tensors of a file, on the CPU.

    ``.safetensors``, or a file of ``torch.save`` (``.pth``, ``.pt``, ``.bin``) that holds tensors
    only; a state dict may stand in it under ``state_dict`` or ``model``.

    Args:
        path: The file.

    Raises:
        ModelError: No such file, another kind of file, damaged, without tensors, or a pickle that
            would have to run code: that is refused.
    """
    if not path.is_file():
        raise ModelError(f"There is no file of weights {path.name!r}; give its path.")
    if path.suffix == ".safetensors":
        try:
            return safetensors.torch.load_file(path)
        except (safetensors.SafetensorError, OSError) as error:
            raise ModelError(f"The weights in {path.name} cannot be read: {error}.") from None
    if path.suffix in PICKLED:
        return _tensors(_unpickled(path), path.name)
    raise ModelError(
        f"Weights are read from .safetensors, or from .pth files that hold tensors only, not from "
        f"{path.name!r}."
    )


def hub_weights(name: str) -> dict[str, Tensor]:
    """timm's trained weights of a 2D network, downloaded or from its cache.

    Args:
        name: As timm names it, with a tag or without (then timm's default).

    Raises:
        ModelError: timm has none, or they cannot be had now.
    """
    if not timm.models.is_model_pretrained(name):
        raise ModelError(f"timm's hub has no weights for {name!r}; use weights=None, or a file.")
    hub = logging.getLogger("huggingface_hub")
    level = hub.level
    hub.setLevel(logging.CRITICAL)  # it tells of each of its tries; what comes of them is said once
    try:
        weights: dict[str, Tensor] = timm.create_model(name, pretrained=True).state_dict()
    # The hub's client raises what its transport raises (OSError) or errors of its own.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"The weights of {name!r} could not be had from timm's hub ({reason:.200}); try again "
            "with a connection, give a .safetensors file of them, or train from random weights "
            "(model.weights=none)."
        ) from None
    finally:
        hub.setLevel(level)
    return weights


def _unpickled(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            # Whether another protocol of pickle can be read shows in what follows.
            warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ModelError(
            f"The file {path.name} is damaged, or holds objects beside tensors, which would run "
            "code when read; save its tensors as .safetensors."
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"The weights in {path.name} cannot be read: {reason:.200}.") from None


def _tensors(found: Any, name: str) -> dict[str, Tensor]:
    for key in _NESTED:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
            break
    tensors = (
        {str(k).removeprefix(_PREFIX): v for k, v in found.items() if isinstance(v, Tensor)}
        if isinstance(found, Mapping)
        else {}
    )
    if not tensors:
        raise ModelError(f"The file {name} holds no named tensors; is it a file of weights?")
    return tensors
