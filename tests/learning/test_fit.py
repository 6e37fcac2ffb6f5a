"""One fit: what it computes, what it chooses, what it tells and what it refuses."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from osteoscope.core.errors import InputError, ModelError
from osteoscope.learning.devices import is_first_process
from osteoscope.learning.epoch_plan import plan_epoch
from osteoscope.learning.fit import fit
from osteoscope.learning.fit_config import FitConfig
from osteoscope.learning.optimisers import OptimiserConfig
from osteoscope.learning.predict import predict
from osteoscope.learning.progress import FitProgress
from osteoscope.learning.seeding import mix, seed_step
from osteoscope.learning.weights_file import read_weights

from .toy_fit import (
    OPTIMISERS,
    ToyObjective,
    files_in,
    same_weights,
    toy_batches,
    toy_config,
    toy_network,
)

ADAMW = OPTIMISERS["adamw"]


def plain_loop(model: nn.Module, config: FitConfig, rule: OptimiserConfig) -> list[float]:
    """The same training as a person would write it; the loss of each epoch."""
    data, objective = toy_batches(), ToyObjective()
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=0.1, betas=rule.betas, weight_decay=rule.weight_decay
    )
    losses, step, steps = [], 0, config.epochs * math.ceil(len(data) / config.batch_size)
    for epoch in range(config.epochs):
        model.train()
        summed = 0.0
        batches = np.array_split(data.order(epoch, config.seed), steps // config.epochs)
        for number, indices in enumerate(batches):
            generator = seed_step(torch.device("cpu"), config.seed, epoch, number, 0)
            optimiser.param_groups[0]["lr"] = (
                rule.learning_rate * (1 + math.cos(math.pi * step / steps)) / 2
            )
            optimiser.zero_grad()
            loss = objective.loss(model, data.batch(indices), generator)
            loss.backward()
            optimiser.step()
            summed += loss.item() * len(indices)
            step += 1
        losses.append(summed / len(data))
    return losses


@pytest.mark.parametrize("channels_last", [False, True])
def test_it_is_the_plain_loop(tmp_path: Path, channels_last: bool) -> None:
    config = toy_config(epochs=3, channels_last=channels_last)
    plain, ours = toy_network(), toy_network()
    losses = plain_loop(plain, config, ADAMW)
    result = fit(
        ours, ToyObjective(), toy_batches(), None, config, optimiser=ADAMW, folder=tmp_path
    )
    assert [record.loss for record in result.history] == pytest.approx(losses, rel=1e-5)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-5, atol=1e-6)
    assert result.best_epoch == 2
    assert not ours.training


@pytest.mark.parametrize("name", OPTIMISERS)
def test_every_optimiser_learns_and_leaves_the_chosen_epoch(tmp_path: Path, name: str) -> None:
    model, data = toy_network(dropout=0.0), toy_batches()
    config = toy_config(epochs=12)
    result = fit(
        model,
        ToyObjective(),
        data,
        toy_batches(seed=6),
        config,
        optimiser=OPTIMISERS[name],
        folder=tmp_path,
    )
    losses = [record.metrics["loss"] for record in result.history]
    assert result.best_epoch == int(np.argmin(losses))
    assert min(losses) < 0.9 * losses[0]
    outputs = predict(model, ToyObjective(), toy_batches(seed=6), config)
    assert ToyObjective().score(outputs)["loss"] == pytest.approx(min(losses), rel=1e-5)
    assert dict(result.metrics) == dict(result.history[result.best_epoch].metrics)
    stored, described = read_weights(result.weights)
    assert described["epoch"] == result.best_epoch
    assert all(torch.equal(stored[k], v) for k, v in model.state_dict().items())
    assert files_in(tmp_path) == {"checkpoint.safetensors", result.weights.name}


def test_the_same_seed_gives_the_same_weights_and_another_one_others(tmp_path: Path) -> None:
    models = []
    for number, seed in enumerate((1, 1, 2)):
        torch.manual_seed(number)  # The caller's own randomness must not matter, nor be changed.
        models.append(toy_network())
        before = torch.get_rng_state()
        fit(
            models[-1],
            ToyObjective(),
            toy_batches(),
            None,
            toy_config(seed=seed),
            optimiser=ADAMW,
            folder=tmp_path / str(number),
        )
        assert torch.equal(before, torch.get_rng_state())
    assert same_weights(models[0], models[1])
    assert not same_weights(models[0], models[2])


@pytest.mark.parametrize("name", ["adamw", "sam"])
def test_pieces_of_a_batch_are_the_batch(tmp_path: Path, name: str) -> None:
    # Without noise, dropout and batch statistics, which differ between pieces.
    states = []
    for pieces in (1, 2, 3, 50):
        model = toy_network(norm=False, dropout=0.0)
        fit(
            model,
            ToyObjective(noise=0.0),
            toy_batches(),
            None,
            toy_config(accumulate=pieces, clip_norm=0.5),
            optimiser=OPTIMISERS[name],
            folder=tmp_path / str(pieces),
        )
        states.append(model.state_dict())
    for state in states[1:]:
        for key, value in states[0].items():
            torch.testing.assert_close(state[key], value, rtol=1e-4, atol=1e-6)


def test_clipping_bounds_the_gradient(tmp_path: Path) -> None:
    sgd = OptimiserConfig(
        "sgd", learning_rate=1.0, momentum=0.0, weight_decay=0.0, schedule="constant"
    )
    moved = {}
    for norm in (None, 1e-3):
        model, start = toy_network(), toy_network()
        fit(
            model,
            ToyObjective(),
            toy_batches(5),
            None,
            toy_config(epochs=1, clip_norm=norm),
            optimiser=sgd,
            folder=tmp_path / str(norm),
        )
        pairs = zip(model.parameters(), start.parameters(), strict=True)
        moved[norm] = math.sqrt(sum(float(((a - b) ** 2).sum().detach()) for a, b in pairs))
    assert moved[1e-3] == pytest.approx(1e-3, rel=1e-3)
    assert moved[None] > 1e-2


def test_sam_counts_each_batch_once_in_the_running_statistics(tmp_path: Path) -> None:
    tiny = replace(OPTIMISERS["sam"], learning_rate=1e-12)
    still = replace(OPTIMISERS["adamw"], learning_rate=1e-12)
    models = []
    for rule in (tiny, still):
        models.append(toy_network())
        fit(
            models[-1],
            ToyObjective(),
            toy_batches(),
            None,
            toy_config(epochs=1),
            optimiser=rule,
            folder=tmp_path / rule.name,
        )
    ours, plain = (model.state_dict() for model in models)
    torch.testing.assert_close(ours["1.running_mean"], plain["1.running_mean"])
    assert ours["1.num_batches_tracked"] == plain["1.num_batches_tracked"] == 5


def test_schedule_free_statistics_belong_to_the_averaged_weights(tmp_path: Path) -> None:
    # One batch an epoch and no noise: momentum brings the statistics a tenth of the way each pass.
    model, data = toy_network(dropout=0.0), toy_batches(5)
    rule = replace(OPTIMISERS["schedulefree-adamw"], learning_rate=0.05)
    fit(
        model,
        ToyObjective(noise=0.0),
        data,
        None,
        toy_config(epochs=40, channels_last=False),
        optimiser=rule,
        folder=tmp_path,
    )
    with torch.no_grad():
        true_mean = model[0](data.images).mean(dim=(0, 2, 3, 4))
    torch.testing.assert_close(model[1].running_mean, true_mean, rtol=0.1, atol=0.02)


def test_frozen_parameters_stay(tmp_path: Path) -> None:
    model, start = toy_network(), toy_network()
    for parameter in model[0].parameters():
        parameter.requires_grad_(False)
    fit(model, ToyObjective(), toy_batches(), None, toy_config(), optimiser=ADAMW, folder=tmp_path)
    assert torch.equal(model[0].weight, start[0].weight)
    assert not torch.equal(model[-1].weight, start[-1].weight)


@dataclass(frozen=True)
class Scripted(ToyObjective):
    """Metrics from a list rather than from the network; a fake for the choice of an epoch."""

    values: tuple[float, ...] = ()
    seen: list[Tensor] = field(default_factory=list)

    def outputs(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {
            **super().outputs(model, batch),
            "bias": model[-1].bias.expand(len(batch["images"]), 2),
        }

    def score(self, outputs: dict[str, NDArray]) -> dict[str, float]:
        assert len(outputs["classes"]) == 7
        self.seen.append(torch.from_numpy(outputs["bias"][0]))
        return {"auc": self.values[len(self.seen) - 1]}


@pytest.mark.parametrize(
    ("values", "mode", "patience", "best", "epochs"),
    [
        ((0.5, 0.7, 0.6, 0.7, 0.9, 0.8), "max", 0, 4, 6),
        ((0.5, 0.7, 0.6, 0.7, 0.9, 0.8), "max", 2, 1, 4),
        ((0.5, 0.7, 0.6, 0.7, 0.9, 0.8), "max", 3, 4, 6),
        ((0.5, 0.7, 0.6, 0.4, 0.9, 0.8), "min", 0, 3, 6),
        ((math.nan, 0.2, math.nan, 0.3, 0.1, 0.1), "max", 2, 3, 6),
        ((0.5, 0.5, 0.5, 0.5, 0.5, 0.5), "max", 1, 0, 2),
    ],
)
def test_validation_chooses_the_epoch_and_stops(
    tmp_path: Path, values: tuple[float, ...], mode: str, patience: int, best: int, epochs: int
) -> None:
    objective = Scripted(values=values)
    config = toy_config(epochs=6, select="auc", select_mode=mode, patience=patience)
    model, twice = toy_network(), toy_network()
    data = (toy_batches(), toy_batches(7))
    result = fit(model, objective, *data, config, optimiser=ADAMW, folder=tmp_path)
    assert (result.best_epoch, len(result.history)) == (best, epochs)
    assert result.stopped_early == (epochs < 6)
    assert torch.equal(model[-1].bias, objective.seen[best])
    again = fit(twice, objective, *data, config, optimiser=ADAMW, folder=tmp_path)
    assert len(objective.seen) == epochs  # Nothing is trained or validated once more.
    assert same_weights(model, twice)
    assert again.best_epoch == best


def test_progress_tells_where_the_fit_stands(tmp_path: Path) -> None:
    told: list[FitProgress] = []
    config = toy_config(epochs=3)
    result = fit(
        toy_network(),
        ToyObjective(),
        toy_batches(),
        toy_batches(7),
        config,
        optimiser=ADAMW,
        folder=tmp_path,
        on_progress=told.append,
    )
    ends = [event for event in told if event.step == event.steps and event.metrics]
    assert [event.epoch for event in told] == sorted(event.epoch for event in told)
    assert {event.steps for event in told} == {5}
    for record in result.history:
        assert any(e.epoch == record.epoch and e.loss == pytest.approx(record.loss) for e in ends)
    assert told[-1].seconds_left == 0
    assert told[0].seconds_left > 0
    assert told[-1].best_epoch == result.best_epoch


def test_a_fit_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fit(
        toy_network(),
        ToyObjective(),
        toy_batches(),
        toy_batches(7),
        toy_config(epochs=1),
        optimiser=ADAMW,
        folder=tmp_path,
    )
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("changes", "objective", "words"),
    [
        ({"select": "auc"}, ToyObjective(), "Unknown metric 'auc' to select an epoch by"),
        ({"precision": "16-mixed"}, ToyObjective(), "needs a CUDA device"),
        ({"accelerator": "cuda", "devices": 99}, ToyObjective(), "wants 99 CUDA"),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, changes: dict, objective: ToyObjective, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        fit(
            toy_network(),
            objective,
            toy_batches(),
            toy_batches(7),
            toy_config(**changes),
            optimiser=ADAMW,
            folder=tmp_path,
        )


def test_a_metric_that_is_never_a_number_is_said(tmp_path: Path) -> None:
    objective = Scripted(values=(math.nan, math.nan))
    with pytest.raises(ModelError, match="was not a number in any epoch"):
        fit(
            toy_network(),
            objective,
            toy_batches(),
            toy_batches(7),
            toy_config(epochs=2, select="auc"),
            optimiser=ADAMW,
            folder=tmp_path,
        )


def test_a_loss_that_is_no_number_ends_the_fit(tmp_path: Path) -> None:
    data = toy_batches()
    data.images[3] = math.inf
    with pytest.raises(ModelError, match="The training loss became nan in epoch 1"):
        fit(
            toy_network(),
            ToyObjective(),
            data,
            None,
            toy_config(),
            optimiser=ADAMW,
            folder=tmp_path,
        )
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_bfloat16_agrees_roughly(tmp_path: Path) -> None:
    histories = []
    for precision in ("32-true", "bf16-mixed"):
        result = fit(
            toy_network(),
            ToyObjective(),
            toy_batches(),
            toy_batches(7),
            toy_config(epochs=2, precision=precision),
            optimiser=ADAMW,
            folder=tmp_path / precision,
        )
        histories.append([record.loss for record in result.history])
    assert histories[0] != histories[1]
    assert histories[0] == pytest.approx(histories[1], rel=0.05)


@pytest.mark.parametrize("samples", [1, 5, 8, 9, 17, 311])
def test_batches_of_an_epoch_are_even_and_complete(samples: int) -> None:
    plan = plan_epoch(np.arange(samples), 8)
    sizes = [len(part) for part in plan]
    assert np.array_equal(np.concatenate(plan), np.arange(samples))
    assert max(sizes) <= 8
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1, not 0"),
        ({"batch_size": 2.5}, "batch_size must be a whole number"),
        ({"devices": True}, "devices must be a whole number"),
        ({"precision": "8"}, "Unknown precision '8'"),
        ({"select_mode": "mean"}, "Unknown select_mode"),
        ({"logger": "wandb"}, "Unknown logger 'wandb'; known: tensorboard, mlflow"),
        ({"clip_norm": 0.0}, "clip_norm must be above 0"),
        ({"channels_last": 1}, "channels_last must be true or false"),
        ({"select": ""}, "select must name"),
    ],
)
def test_a_configuration_out_of_range_is_refused(changes: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        toy_config(**changes)


def test_seeds_do_not_collide_nearby() -> None:
    seeds = {
        mix(s, e, k, r) for s in range(4) for e in range(4) for k in range(4) for r in range(4)
    }
    assert len(seeds) == 256
    # Golden: NumPy's SeedSequence promises the same output in every version.
    assert mix(0, 0, 0, 0) == int(np.random.SeedSequence([0] * 4).generate_state(1, "u8")[0]) >> 1


def test_each_logger_writes_the_curve(tmp_path: Path) -> None:
    for name in ("tensorboard", "mlflow"):
        pytest.importorskip(name)
        folder = tmp_path / name
        result = fit(
            toy_network(),
            ToyObjective(),
            toy_batches(),
            toy_batches(7),
            toy_config(epochs=2, logger=name),
            optimiser=ADAMW,
            folder=folder,
        )
        losses = [record.metrics["loss"] for record in result.history]
        assert READERS[name](folder) == pytest.approx(losses, rel=1e-6)


def _tensorboard_curve(folder: Path) -> list[float]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    return [event.value for event in events.Scalars("validation/loss")]


def _mlflow_curve(folder: Path) -> list[float]:
    (path,) = folder.glob("mlflow/*/*/metrics/validation/loss")
    return [float(line.split()[1]) for line in path.read_text().splitlines()]


READERS = {"tensorboard": _tensorboard_curve, "mlflow": _mlflow_curve}


def test_a_logger_that_is_not_installed_names_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mlflow.tracking", None)
    with pytest.raises(InputError, match=r"install osteoscope\[mlflow\]"):
        fit(
            toy_network(),
            ToyObjective(),
            toy_batches(),
            None,
            toy_config(epochs=1, logger="mlflow"),
            optimiser=ADAMW,
            folder=tmp_path,
        )


def test_the_first_process_is_known_before_the_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    two, one = toy_config(devices=2), toy_config()
    for name in ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    assert is_first_process(two)
    for name in ("LOCAL_RANK", "NODE_RANK", "RANK", "SLURM_PROCID"):
        monkeypatch.setenv(name, "0")
        assert is_first_process(two)
        monkeypatch.setenv(name, "1")
        assert not is_first_process(two)
        # A fit of its own on each of a cluster's workers has one process, whatever those say.
        assert is_first_process(one)
        monkeypatch.delenv(name)
