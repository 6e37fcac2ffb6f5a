"""Killed at any step and started again, a fit ends with the weights of an unbroken one."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn

from osteoscope.core.errors import InputError
from osteoscope.learning.checkpoint import read_checkpoint
from osteoscope.learning.fit import fit

from .killed_fit import die_at_loss, die_at_rename, fit_toy, killed
from .toy_fit import (
    OPTIMISERS,
    ToyObjective,
    files_in,
    same_weights,
    toy_batches,
    toy_config,
    toy_network,
)

# Losses in 4 epochs of 5 steps: SAM computes two a step, the schedule-free optimiser five more an
# epoch for the running statistics.
LOSSES = {"adamw": 20, "sgd": 20, "schedulefree-adamw": 40, "sam": 40}


@pytest.fixture(scope="module", params=LOSSES)
def unbroken(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("unbroken")
    return request.param, fit_toy(folder, request.param, ToyObjective()), files_in(folder)


def test_killed_at_random_steps(unbroken: tuple[str, nn.Module, set[str]], tmp_path: Path) -> None:
    name, model, files = unbroken
    chance = random.Random(name)
    # Killed three times, each time after some steps of its own.
    for least, most in ((1, LOSSES[name] // 3), (0, 6), (0, 6)):
        losses = chance.randint(least, most)
        assert killed(die_at_loss, tmp_path, name, losses), f"not killed after {losses} losses"
    checkpoint = read_checkpoint(tmp_path)
    assert checkpoint is None or checkpoint.position.epoch < 4
    assert same_weights(model, fit_toy(tmp_path, name, ToyObjective()))
    assert files_in(tmp_path) == files


@pytest.mark.parametrize("renames", [0, 2, 5, 6])
def test_killed_while_writing(tmp_path: Path, renames: int) -> None:
    # An epoch renames two checkpoints within it, the best weights, and the checkpoint at its end.
    whole = fit_toy(tmp_path / "whole", "adamw", ToyObjective())
    folder = tmp_path / "killed"
    assert killed(die_at_rename, folder, "adamw", renames)
    assert any(name.endswith(".partial") for name in files_in(folder))
    assert same_weights(whole, fit_toy(folder, "adamw", ToyObjective()))
    assert files_in(folder) == files_in(tmp_path / "whole")


def test_how_often_checkpoints_are_written_changes_nothing(tmp_path: Path) -> None:
    often = fit_toy(tmp_path / "often", "schedulefree-adamw", ToyObjective())
    seldom = toy_network()
    fit(
        seldom,
        ToyObjective(),
        toy_batches(),
        toy_batches(7),
        toy_config(),
        optimiser=OPTIMISERS["schedulefree-adamw"],
        folder=tmp_path / "seldom",
    )
    assert same_weights(often, seldom)


def test_another_fit_is_not_continued(tmp_path: Path) -> None:
    adamw = OPTIMISERS["adamw"]
    given = {
        "model": toy_network(), "objective": ToyObjective(), "train": toy_batches(),
        "validation": toy_batches(7), "config": toy_config(epochs=1),
        "optimiser": adamw, "folder": tmp_path,
    }  # fmt: skip
    fit(**given)
    frozen = toy_network()
    frozen[0].weight.requires_grad_(False)
    others = {
        "fit.epochs": {"config": toy_config(epochs=2)},
        "fit.seed": {"config": toy_config(epochs=1, seed=9)},
        "optimiser.learning_rate": {"optimiser": replace(adamw, learning_rate=0.5)},
        "optimiser.name": {"optimiser": replace(adamw, name="sam")},
        "objective": {"objective": ToyObjective(digest="another")},
        "training data": {"train": replace(toy_batches(), digest="another")},
        "validation data": {"validation": replace(toy_batches(7), digest="another")},
        "network": {"model": frozen},
    }
    for key, change in others.items():
        with pytest.raises(InputError, match=f"a checkpoint of another fit: its {key} is"):
            fit(**{**given, **change})
    # Where it runs may change.
    fit(**{**given, "config": toy_config(epochs=1, accumulate=2, channels_last=False)})
