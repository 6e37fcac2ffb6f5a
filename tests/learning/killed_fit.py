"""Fits that die in the middle, for real; they run in processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from osteoscope.learning.fit import fit
from osteoscope.learning.objective import Batch

from .toy_fit import OPTIMISERS, ToyObjective, toy_batches, toy_config, toy_network


@dataclass(frozen=True)
class MortalObjective(ToyObjective):
    """Kills its process when it has computed a number of losses."""

    losses: int = 1
    done: tuple[list[int], ...] = ([],)

    def loss(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
        if len(self.done[0]) == self.losses:
            os.kill(os.getpid(), signal.SIGKILL)
        self.done[0].append(1)
        return super().loss(model, batch, generator)


def fit_toy(folder: Path, name: str, objective: ToyObjective) -> nn.Module:
    """The fit of the tests of resuming: 4 epochs of 5 steps, a checkpoint every 2 of them."""
    model = toy_network()
    fit(
        model,
        objective,
        toy_batches(),
        toy_batches(7),
        toy_config(checkpoint_every_steps=2),
        optimiser=OPTIMISERS[name],
        folder=folder,
    )
    return model


def die_at_loss(folder: Path, name: str, losses: int) -> None:
    """A fit that is killed before its loss of that number."""
    fit_toy(folder, name, MortalObjective(losses=losses))


def die_at_rename(folder: Path, name: str, renames: int) -> None:
    """A fit that is killed with a new file written and not yet renamed."""
    rename, done = Path.replace, []

    def mortal(self: Path, target: Path) -> Path:
        if len(done) == renames:
            os.kill(os.getpid(), signal.SIGKILL)
        done.append(1)
        return rename(self, target)

    Path.replace = mortal
    fit_toy(folder, name, ToyObjective())


def killed(dying: object, *arguments: object) -> bool:
    """Run a function in a process of its own; whether it was killed rather than ended."""
    # A server that has imported everything once forks the processes: seconds less for each.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=dying, args=arguments)
    process.start()
    process.join(timeout=120)
    return process.exitcode == -signal.SIGKILL
