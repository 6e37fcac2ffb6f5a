"""Where an interrupted fit stands: one safetensors file that is whole or not there.

``checkpoint.safetensors`` holds the network, the optimiser and, as JSON in its header, all else;
``best-0007.safetensors`` the weights of the epoch that validation chose so far. No pickle: a
checkpoint from anywhere can be opened without executing anything in it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from osteoscope.core.errors import ModelError
from osteoscope.learning.progress import EpochRecord
from osteoscope.learning.run_identity import Identity
from osteoscope.learning.state_tree import join_state, split_state
from osteoscope.learning.weights_file import read_weights, write_weights

CHECKPOINT_NAME = "checkpoint.safetensors"
_FORMAT = 1
_MODEL = "model/"


@dataclass(frozen=True)
class Position:
    """How far a fit has come.

    Args:
        epoch: In progress, from 0; the number of epochs once all are done.
        step: Steps done in it.
        loss_sum: Training loss summed over the samples of those steps.
        history: Finished epochs.
        best_epoch: Chosen so far, or None.
        stopped_early: Whether ``patience`` ended the fit.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    history: tuple[EpochRecord, ...] = ()
    best_epoch: int | None = None
    stopped_early: bool = False


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as read; :func:`restore` puts it into a network and an optimiser."""

    position: Position
    identity: Identity
    model: Mapping[str, Tensor]
    optimiser: Mapping[str, Any]
    scaler: Mapping[str, Any]


def write_checkpoint(
    folder: Path,
    position: Position,
    identity: Identity,
    model: nn.Module,
    states: tuple[Mapping[str, Any], Mapping[str, Any]],
) -> None:
    """Replace the folder's checkpoint in one step.

    Args:
        folder: Exists.
        position: Where the fit stands.
        identity: Of the fit.
        model: The network as the next step would find it.
        states: ``state_dict()`` of the optimiser and of the loss scaler (empty where none is).

    Raises:
        InputError: It cannot be written.
        ModelError: A state holds what cannot be stored.
    """
    tensors = {f"{_MODEL}{name}": value for name, value in model.state_dict().items()}
    optimiser, scaler = (
        split_state(dict(state), name, tensors)
        for state, name in zip(states, ("optimiser", "scaler"), strict=True)
    )
    description = {
        "format": _FORMAT,
        "position": dataclasses.asdict(position),
        "identity": identity,
        "optimiser": optimiser,
        "scaler": scaler,
    }
    write_weights(folder / CHECKPOINT_NAME, tensors, description)


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """The folder's checkpoint, or None where there is none.

    Raises:
        ModelError: It is damaged, or of another version.
    """
    path = folder / CHECKPOINT_NAME
    if not path.exists():
        return None
    tensors, description = read_weights(path)
    try:
        if description["format"] != _FORMAT:
            raise ValueError
        return Checkpoint(
            position=_position(description["position"]),
            identity=description["identity"],
            model={k.removeprefix(_MODEL): v for k, v in tensors.items() if k.startswith(_MODEL)},
            optimiser=join_state(description["optimiser"], tensors),
            scaler=join_state(description["scaler"], tensors),
        )
    except (KeyError, TypeError, ValueError):
        raise ModelError(
            f"The checkpoint {path.name} was written by another version of osteoscope; train in a "
            "new folder, or continue with the version that began."
        ) from None


def restore(checkpoint: Checkpoint, model: nn.Module, optimiser: Optimizer) -> None:
    """Put the checkpoint's values into a network and its optimiser.

    Raises:
        ModelError: They do not fit it.
    """
    load_into(model, checkpoint.model)
    try:
        optimiser.load_state_dict(dict(checkpoint.optimiser))
    except (ValueError, KeyError):
        raise ModelError(
            "The checkpoint's optimiser does not fit this one; train in a new folder."
        ) from None
    for parameter, state in optimiser.state.items():
        for key, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                # The memory order of the weights: sums run in another order otherwise, and the
                # last bit could differ from that of an unbroken run.
                state[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def load_into(model: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Copy values into a network, in the memory order and on the device that it has.

    Raises:
        ModelError: A name or shape does not fit.
    """
    try:
        model.load_state_dict(dict(values), strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split("\n", 1)[-1].split())
        raise ModelError(
            f"The weights do not fit the network: {reason:.200}; make the network that they were "
            "trained in."
        ) from None


def best_weights(folder: Path, epoch: int) -> Path:
    """The file of an epoch's weights, counted from 0."""
    return folder / f"best-{epoch:04d}.safetensors"


def drop_other_bests(folder: Path, epoch: int) -> None:
    """Remove the weights of epochs that are best no more.

    Called once the checkpoint names the new one: a kill in between leaves one file too many, never
    one too few.
    """
    for path in folder.glob("best-*.safetensors"):
        if path != best_weights(folder, epoch):
            path.unlink(missing_ok=True)


def _position(values: dict[str, Any]) -> Position:
    history = tuple(EpochRecord(**record) for record in values.pop("history"))
    return Position(**values, history=history)
