"""How long, on what and by which measure a network is fitted: one frozen configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from osteoscope.core.errors import InputError

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
ACCELERATORS = ("auto", "cpu", "cuda")
LOGGERS = ("tensorboard", "mlflow")
MODES = ("max", "min")

_WHERE_IT_RUNS = (
    "accelerator",
    "devices",
    "nodes",
    "accumulate",
    "checkpoint_every_steps",
    "logger",
    "channels_last",
    "prefetch",
)
"""Fields that change where and how fast the same numbers are computed, not which."""


@dataclass(frozen=True)
class FitConfig:
    """Options of a fit.

    Args:
        epochs: Passes through the training samples, at least 1.
        batch_size: Samples that one step of the optimiser sees, over all devices and pieces
            together: the same fit on one device, on eight, or in pieces.
        precision: ``32-true``, ``bf16-mixed`` or ``16-mixed`` (CUDA only).
        accelerator: ``auto`` (CUDA where there is one), ``cpu`` or ``cuda``.
        devices: Processes on each node, one a device; with ``cpu`` these are plain processes.
        nodes: Computers that take part; a cluster's launcher starts the program on each.
        select: Validation metric that chooses the epoch and stops early.
        select_mode: Whether the largest (``max``) or the smallest (``min``) is best.
        patience: Epochs without a better one before the fit stops; 0 never stops early.
        seed: Of the order of samples, of augmentation and of dropout.
        checkpoint_every_steps: Steps between two checkpoints within an epoch; 0 writes them at
            the end of each epoch only.
        accumulate: Pieces that a device's share of a batch is computed in, for less memory.
        clip_norm: Largest norm of the gradient, or None.
        logger: ``tensorboard`` or ``mlflow``, into a folder beside the checkpoint, or None.
        channels_last: Keep the network's weights channels-last in memory. Faster or slower, by
            network and device: ``benchmarks/fit_step.py`` measures it.
        prefetch: Batches read ahead by a thread, at least 1.

    Raises:
        InputError: A field is outside its range.
    """

    epochs: int = 100
    batch_size: int = 8
    precision: str = "32-true"
    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
    select: str = "auc"
    select_mode: str = "max"
    patience: int = 0
    seed: int = 0
    checkpoint_every_steps: int = 0
    accumulate: int = 1
    clip_norm: float | None = None
    logger: str | None = None
    channels_last: bool = False
    prefetch: int = 2

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "devices", "nodes", "accumulate", "prefetch"):
            _check_whole(name, getattr(self, name), 1)
        for name in ("patience", "seed", "checkpoint_every_steps"):
            _check_whole(name, getattr(self, name), 0)
        _check_named("precision", self.precision, PRECISIONS)
        _check_named("accelerator", self.accelerator, ACCELERATORS)
        _check_named("select_mode", self.select_mode, MODES)
        if not isinstance(self.channels_last, bool):
            raise InputError(f"channels_last must be true or false, not {self.channels_last!r}.")
        if not isinstance(self.select, str) or not self.select:
            raise InputError("select must name a validation metric, such as auc.")
        if self.logger is not None:
            _check_named("logger", self.logger, LOGGERS)
        if self.clip_norm is not None and not _is_positive(self.clip_norm):
            raise InputError(f"clip_norm must be above 0, not {self.clip_norm!r}.")

    @property
    def processes(self) -> int:
        """Processes that share a batch."""
        return self.devices * self.nodes

    def identity(self) -> Mapping[str, Any]:
        """The fields that decide which numbers come out.

        Where it runs may change between an interruption and a resumption (then the weights agree
        to rounding only), these may not.
        """
        chosen = (f.name for f in fields(self) if f.name not in _WHERE_IT_RUNS)
        return {name: getattr(self, name) for name in chosen}


def _check_whole(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"{name} must be a whole number of at least {least}, not {value!r}.")


def _check_named(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"Unknown {name} {value!r}; known: {', '.join(known)}.")


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value > 0
