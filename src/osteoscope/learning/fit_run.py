"""A fit in progress: its epochs, its checkpoints, and the epoch that validation chooses."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from osteoscope.core.errors import InputError, ModelError
from osteoscope.learning.checkpoint import (
    Position,
    best_weights,
    drop_other_bests,
    load_into,
    read_checkpoint,
    restore,
    write_checkpoint,
)
from osteoscope.learning.devices import gather, same_buffers_everywhere
from osteoscope.learning.epoch_plan import plan_epoch, share_of
from osteoscope.learning.loggers import Logger, open_logger
from osteoscope.learning.norm_statistics import refresh_statistics
from osteoscope.learning.objective import Batches
from osteoscope.learning.predict import collect
from osteoscope.learning.prefetch import prefetched
from osteoscope.learning.progress import Clock, EpochRecord, FitProgress, FitResult, OnProgress
from osteoscope.learning.run_identity import Identity, check_same_run
from osteoscope.learning.training_step import Learner, train_step
from osteoscope.learning.weights_file import read_weights, write_weights


class FitRun:
    """What a fit works with, and where it stands.

    Args:
        learner: On its device; its values give way to those of a checkpoint in the folder.
        data: Samples to learn from, and those that choose the epoch or None.
        folder: Made if need be.
        identity: Of the fit; a checkpoint of another one is refused.
        on_progress: Called in the first process.
    """

    def __init__(
        self,
        learner: Learner,
        data: tuple[Batches, Batches | None],
        folder: Path,
        identity: Identity,
        on_progress: OnProgress | None,
    ) -> None:
        self.learner = learner
        self.train, self.validation = data
        self.folder = folder
        self.identity = identity
        self.is_first = learner.fabric.is_global_zero
        self.on_progress = on_progress if self.is_first else None
        self.steps = len(plan_epoch(self._order(0), learner.config.batch_size))
        self.position = self._resumed()
        done = self.position.epoch * self.steps + self.position.step
        self.clock = Clock(learner.config.epochs * self.steps - done)
        self.started = time.perf_counter()

    def to_end(self) -> FitResult:
        """Train what is left, then load the chosen weights."""
        config = self.learner.config
        with self._logger() as logger:
            while self.position.epoch < config.epochs and not self.position.stopped_early:
                self.started = time.perf_counter()
                order = plan_epoch(self._order(self.position.epoch), config.batch_size)
                self._train_epoch(order)
                self._close_epoch(order, logger)
        self.learner.fabric.barrier()
        position = self.position
        if position.best_epoch is None:
            raise ModelError(
                f"The validation metric {config.select!r} was not a number in any epoch; is every "
                "class in the validation set? Choose another metric, or a lower learning rate."
            )
        path = best_weights(self.folder, position.best_epoch)
        load_into(self.learner.network, read_weights(path)[0])
        return FitResult(
            best_epoch=position.best_epoch,
            metrics=position.history[position.best_epoch].metrics,
            history=position.history,
            stopped_early=position.stopped_early,
            weights=path,
        )

    def _resumed(self) -> Position:
        """Where the folder's checkpoint stands, its values restored; the beginning without one."""
        fabric = self.learner.fabric
        self.folder.mkdir(parents=True, exist_ok=True)
        checkpoint = read_checkpoint(self.folder)
        # Nobody writes the next checkpoint before everybody has read this one.
        fabric.barrier()
        if checkpoint is None:
            return Position()
        check_same_run(checkpoint.identity, self.identity)
        restore(checkpoint, self.learner.network, self.learner.optimiser)
        fabric.strategy.precision.load_state_dict(dict(checkpoint.scaler))
        return checkpoint.position

    def _order(self, epoch: int) -> NDArray[np.int64]:
        return np.asarray(self.train.order(epoch, self.learner.config.seed), dtype=np.int64)

    def _train_epoch(self, order: list[NDArray[np.int64]]) -> None:
        """The steps of the epoch in progress that are still to do."""
        learner, config = self.learner, self.learner.config
        fabric, epoch, first = learner.fabric, self.position.epoch, self.position.step
        if len(order) != self.steps:
            raise InputError(
                f"Epoch {epoch + 1} has {len(order)} steps and the first had {self.steps}; an "
                "order of samples must have the same length in every epoch."
            )
        learner.network.train()
        if learner.rule.has_modes:
            learner.optimiser.train()  # type: ignore[attr-defined]
        loss_sum = torch.zeros((), dtype=torch.float64, device=fabric.device)
        if self.is_first:
            loss_sum += self.position.loss_sum
        shares = [share_of(fabric, batch) for batch in order[first:]]
        seen = sum(len(batch) for batch in order[:first])
        plan = (share.indices for share in shares)
        batches = prefetched(self.train, plan, fabric.device, config.prefetch)
        for step, (share, batch) in enumerate(zip(shares, batches, strict=True), start=first):
            rate = learner.rule.learning_rate_of(epoch * self.steps + step, self._all_steps())
            loss_sum += train_step(learner, batch, share, (epoch, step), rate)
            seen += share.batch_samples
            self.clock.step_done()
            every = config.checkpoint_every_steps
            if every and (step + 1) % every == 0 and step + 1 < self.steps:
                self._stand_at(step + 1, loss_sum)
                self._save()
            if self.on_progress is not None and self.clock.is_due():
                self._tell(step + 1, loss_sum.item() * fabric.world_size / seen)
        self._stand_at(self.steps, loss_sum)

    def _all_steps(self) -> int:
        return self.learner.config.epochs * self.steps

    def _stand_at(self, step: int, loss_sum: Tensor) -> None:
        """Note a step, with the loss of all processes together."""
        total = sum(gather(self.learner.fabric, loss_sum.item()))
        if not math.isfinite(total):
            raise ModelError(
                f"The training loss became {total} in epoch {self.position.epoch + 1} before step "
                f"{step}; use a lower learning rate, clip_norm, or precision 32-true."
            )
        self.position = dataclasses.replace(self.position, step=step, loss_sum=total)

    def _close_epoch(self, order: list[NDArray[np.int64]], logger: Logger | None) -> None:
        """Validate, keep the weights if they are the best, and write the checkpoint."""
        learner, config = self.learner, self.learner.config
        position, epoch = self.position, self.position.epoch
        if learner.rule.has_modes:
            learner.optimiser.eval()  # type: ignore[attr-defined]
            refresh_statistics(learner, self.train, order, epoch)
        metrics = self._validate()
        record = EpochRecord(
            epoch=epoch,
            loss=position.loss_sum / sum(len(batch) for batch in order),
            metrics=metrics,
            learning_rate=learner.rule.learning_rate_of(
                (epoch + 1) * self.steps - 1, self._all_steps()
            ),
            seconds=time.perf_counter() - self.started,
        )
        best = epoch if self._is_better(metrics) else position.best_epoch
        if best == epoch and self.is_first:
            described = {"epoch": epoch, "metrics": metrics}
            write_weights(best_weights(self.folder, epoch), learner.network.state_dict(), described)
        if learner.rule.has_modes:
            learner.optimiser.train()  # type: ignore[attr-defined]
        waited = epoch - (-1 if best is None else best)
        self.position = Position(
            epoch=epoch + 1,
            history=(*position.history, record),
            best_epoch=best,
            stopped_early=epoch + 1 < config.epochs and 0 < config.patience <= waited,
        )
        self._save()
        if self.is_first and best is not None:
            drop_other_bests(self.folder, best)
        if logger is not None:
            values = {"train/loss": record.loss, "learning_rate": record.learning_rate}
            values |= {f"validation/{name}": value for name, value in metrics.items()}
            logger.log(values, (epoch + 1) * self.steps)
        if self.on_progress is not None:
            self._tell(self.steps, record.loss, epoch)

    def _validate(self) -> dict[str, float]:
        """Metrics of the validation set; empty where there is none."""
        if self.validation is None:
            return {}
        learner = self.learner
        same_buffers_everywhere(learner.fabric, learner.network)
        outputs = collect(
            learner.fabric, learner.network, learner.objective, self.validation, learner.config
        )
        metrics = {name: float(value) for name, value in learner.objective.score(outputs).items()}
        if learner.config.select not in metrics:
            raise InputError(
                f"Unknown metric {learner.config.select!r} to select an epoch by; known: "
                f"{', '.join(metrics)}."
            )
        return metrics

    def _is_better(self, metrics: dict[str, float]) -> bool:
        """Whether the epoch in progress is the best so far; what is no number never is."""
        config, position = self.learner.config, self.position
        if self.validation is None:
            return position.epoch == config.epochs - 1
        value = metrics[config.select]
        if position.best_epoch is None:
            return not math.isnan(value)
        best = position.history[position.best_epoch].metrics[config.select]
        return value > best if config.select_mode == "max" else value < best

    def _save(self) -> None:
        if self.is_first:
            states = (
                self.learner.optimiser.state_dict(),
                self.learner.fabric.strategy.precision.state_dict(),
            )
            write_checkpoint(
                self.folder, self.position, self.identity, self.learner.network, states
            )

    def _tell(self, step: int, loss: float, epoch: int | None = None) -> None:
        assert self.on_progress is not None
        history = self.position.history
        self.on_progress(
            FitProgress(
                epoch=self.position.epoch if epoch is None else epoch,
                epochs=self.learner.config.epochs,
                step=step,
                steps=self.steps,
                loss=loss,
                metrics=history[-1].metrics if history else {},
                best_epoch=self.position.best_epoch,
                seconds_left=self.clock.seconds_left(),
            )
        )

    @contextmanager
    def _logger(self) -> Iterator[Logger | None]:
        name = self.learner.config.logger
        if name is None or not self.is_first:
            yield None
            return
        done = self.position.epoch * self.steps
        logger = open_logger(name, self.folder, done)
        try:
            yield logger
        finally:
            logger.close()
