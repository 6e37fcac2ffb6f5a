"""One step of the optimiser: a batch shared by processes, computed in pieces, perhaps twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from osteoscope.learning.epoch_plan import Share
from osteoscope.learning.fit_config import FitConfig
from osteoscope.learning.objective import Batch, Objective
from osteoscope.learning.optimisers import OptimiserConfig
from osteoscope.learning.seeding import seed_step


@dataclass(frozen=True, eq=False)
class Learner:
    """A network that learns, and all that a step of it needs.

    Args:
        fabric: Running.
        network: The plain network, on the device.
        module: The same, wrapped: precision, and the synchronisation of processes.
        optimiser: The plain optimiser.
        stepper: The same, wrapped: the scaling of a 16-bit loss.
        objective: What is learned.
        config: Of the fit.
        rule: Configuration of the optimiser.
    """

    fabric: Fabric
    network: nn.Module
    module: _FabricModule
    optimiser: Optimizer
    stepper: _FabricOptimizer
    objective: Objective
    config: FitConfig
    rule: OptimiserConfig


def train_step(
    learner: Learner, batch: Batch, share: Share, position: tuple[int, int], learning_rate: float
) -> Tensor:
    """Move the weights once.

    Each gradient is the mean over the whole batch's samples, over all processes and pieces.

    Args:
        learner: In training mode.
        batch: This process's part, on the device.
        share: What ``batch`` is a part of.
        position: Epoch and step in it, counted from 0; all randomness follows from them.
        learning_rate: Of this step.

    Returns:
        The loss summed over this process's samples, on the device, 64-bit.
    """
    for group in learner.optimiser.param_groups:
        group["lr"] = learning_rate
    learner.optimiser.zero_grad()
    loss = _gradients(learner, batch, share, position)
    if learner.rule.needs_closure:

        def at_perturbed_weights() -> None:
            with _statistics_held(learner.network):
                _gradients(learner, batch, share, position)
            _clip(learner)

        # SAM scales its first gradient to a fixed length, so that only the second is clipped.
        learner.stepper.step(at_perturbed_weights)
    else:
        _clip(learner)
        learner.stepper.step()
    return loss


def _gradients(learner: Learner, batch: Batch, share: Share, position: tuple[int, int]) -> Tensor:
    """Add the gradients of a batch, and return its summed loss.

    SAM's second pass begins from the same seed, so that it sees the same augmented images.
    """
    fabric, config = learner.fabric, learner.config
    generator = seed_step(fabric.device, config.seed, *position, fabric.global_rank)
    total = torch.zeros((), dtype=torch.float64, device=fabric.device)
    pieces = np.array_split(
        np.arange(len(share.indices)), min(config.accumulate, len(share.indices))
    )
    for number, piece in enumerate(pieces):
        part = batch if len(pieces) == 1 else _cut(batch, piece)
        counted = len(piece) if share.samples else 0
        last = number == len(pieces) - 1
        with fabric.no_backward_sync(learner.module, enabled=fabric.world_size > 1 and not last):
            loss = learner.objective.loss(learner.module, part, generator)
            # Processes average their gradients; the weight makes that the mean over samples.
            fabric.backward(loss * (counted * fabric.world_size / share.batch_samples))
        total += loss.detach().double() * counted
    return total


def _cut(batch: Batch, piece: NDArray[np.int64]) -> Batch:
    first, end = int(piece[0]), int(piece[-1]) + 1
    return {name: tensor[first:end] for name, tensor in batch.items()}


def _clip(learner: Learner) -> None:
    """Bound the norm of the gradient, of all parameters together."""
    if learner.config.clip_norm is None:
        return
    scaler = getattr(learner.fabric.strategy.precision, "scaler", None)
    if scaler is not None:
        # Not Fabric's clipping, which refuses the fused optimisers that torch's scaler can do.
        scaler.unscale_(learner.optimiser)
    clip_grad_norm_(learner.network.parameters(), learner.config.clip_norm)


@contextmanager
def _statistics_held(network: nn.Module) -> Iterator[None]:
    """Keep running statistics from counting a batch twice, the second time at other weights."""
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
