"""What a fit tells while it runs, and what it leaves behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

_SECONDS_BETWEEN = 0.5
"""Reading a loss waits for the device, so it is told twice a second rather than every step."""


@dataclass(frozen=True)
class EpochRecord:
    """One finished epoch.

    Args:
        epoch: Counted from 0.
        loss: Mean training loss over its samples.
        metrics: Of the validation set; empty where there is none.
        learning_rate: At its last step.
        seconds: Training and validation together.
    """

    epoch: int
    loss: float
    metrics: Mapping[str, float]
    learning_rate: float
    seconds: float


@dataclass(frozen=True)
class FitProgress:
    """Where a fit stands.

    Args:
        epoch: Counted from 0.
        epochs: How many at most.
        step: Steps done in this epoch.
        steps: Steps in an epoch.
        loss: Mean training loss of this epoch so far (of this process's share).
        metrics: Of the last validation; empty before the first.
        best_epoch: Chosen so far, or None.
        seconds_left: If no epoch is saved by stopping early; None before the first step.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    metrics: Mapping[str, float]
    best_epoch: int | None
    seconds_left: float | None


@dataclass(frozen=True)
class FitResult:
    """What a fit found; the weights of ``best_epoch`` are in the model.

    Args:
        best_epoch: Counted from 0; chosen on validation, or the last one where there is none.
        metrics: Of the validation set at that epoch.
        history: Every epoch, oldest first.
        stopped_early: Whether ``patience`` ended it.
        weights: The file of the chosen weights.
    """

    best_epoch: int
    metrics: Mapping[str, float]
    history: tuple[EpochRecord, ...]
    stopped_early: bool
    weights: Path


class Clock:
    """Time left and the moments to tell it, from the steps that this process did itself.

    Args:
        steps_left: Steps of the whole fit that are still to do, each with its share of
            validation.
    """

    def __init__(self, steps_left: int) -> None:
        self._start = time.perf_counter()
        self._told = -float("inf")
        self._left = steps_left
        self._done = 0

    def step_done(self) -> None:
        """Count one step."""
        self._done += 1

    def seconds_left(self) -> float | None:
        """An estimate from the mean so far; None before the first step."""
        if not self._done:
            return None
        seconds = time.perf_counter() - self._start
        return seconds / self._done * max(0, self._left - self._done)

    def is_due(self) -> bool:
        """Whether it is time to tell again."""
        now = time.perf_counter()
        if now - self._told < _SECONDS_BETWEEN:
            return False
        self._told = now
        return True


OnProgress = Callable[[FitProgress], None]
