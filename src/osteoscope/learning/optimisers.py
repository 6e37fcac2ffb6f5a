"""Optimisers by name: torch's, schedule-free AdamW, and sharpness-aware minimisation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch.nn import Parameter
from torch.optim import Optimizer

from osteoscope.core.errors import InputError
from osteoscope.core.registry import look_up
from osteoscope.learning.schedules import ScheduleName, learning_rate_at

OptimiserName = Literal["adamw", "sgd", "schedulefree-adamw", "sam"]


@dataclass(frozen=True)
class OptimiserConfig:
    """How weights follow their gradients.

    The defaults are the official code's: AdamW, 1e-3, cosine to zero; weight decay torch's.

    Args:
        name: ``adamw``, ``sgd`` (Nesterov), ``schedulefree-adamw`` (Defazio et al., arXiv
            2405.15682) or ``sam`` (around AdamW; Foret et al., ICLR 2021).
        learning_rate: Largest; above 0.
        weight_decay: Decoupled for AdamW, L2 for SGD; at least 0. On every parameter.
        betas: Of AdamW's running means; each in [0, 1).
        momentum: Of ``sgd``; in [0, 1).
        sam_rho: Of ``sam``: radius of the neighbourhood; above 0.
        schedule: ``auto`` is ``cosine``, and ``constant`` for the schedule-free one.
        warmup: Share of all steps over which the learning rate rises; in [0, 1).

    Raises:
        InputError: A value out of its range, or a cosine for the schedule-free optimiser.
    """

    name: OptimiserName = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.9
    sam_rho: float = 0.05
    schedule: ScheduleName = "auto"
    warmup: float = 0.0

    def __post_init__(self) -> None:
        look_up(OPTIMISERS, self.name, "optimiser")
        look_up(dict.fromkeys(get_args(ScheduleName)), self.schedule, "schedule")
        for key in ("learning_rate", "sam_rho"):
            value = getattr(self, key)
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"The optimiser's {key} must be above 0, not {value:g}.")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise InputError(f"A weight decay is 0 or more, not {self.weight_decay:g}.")
        shares = {"momentum": self.momentum, "warmup": self.warmup}
        shares |= {f"betas[{k}]": beta for k, beta in enumerate(self.betas)}
        for key, value in shares.items():
            if not 0.0 <= value < 1.0:
                raise InputError(
                    f"The optimiser's {key} lies in 0 to 1, 1 left out, not {value:g}."
                )
        if self.name == "schedulefree-adamw":
            if self.schedule == "cosine":
                raise InputError(
                    "The schedule-free optimiser takes the place of a falling learning rate; use "
                    "schedule 'auto' or 'constant' with it, not 'cosine'."
                )
            if self.betas[0] == 0.0:
                raise InputError("The schedule-free optimiser needs betas[0] above 0.")

    @property
    def needs_closure(self) -> bool:
        """Whether ``step`` needs a closure that computes the gradients once more (SAM's second
        pass; the first pass's gradients must stand before ``step`` is called)."""
        return self.name == "sam"

    @property
    def has_modes(self) -> bool:
        """Whether ``optimiser.train()`` must precede training and ``optimiser.eval()`` any use of
        the weights: validation, saving, export."""
        return self.name == "schedulefree-adamw"

    def learning_rate_of(self, step: int, steps: int) -> float:
        """Learning rate of step 0 to ``steps`` - 1; to be set on every parameter group before it.

        Raises:
            InputError: The step lies outside the training.
        """
        falls = self.schedule == "cosine" or (self.schedule == "auto" and not self.has_modes)
        return learning_rate_at(
            step,
            steps,
            peak=self.learning_rate,
            schedule="cosine" if falls else "constant",
            warmup=int(self.warmup * steps),
        )


def make_optimiser(config: OptimiserConfig, parameters: Iterable[Parameter]) -> Optimizer:
    """The optimiser of those parameters that want a gradient.

    Args:
        config: Which, and how.
        parameters: A model's; frozen ones are left out.

    Raises:
        InputError: All are frozen, or there are none.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    if not trained:
        raise InputError(
            "There is nothing to train: every parameter is frozen; choose trainable 'head', "
            "'last-stage' or 'all'."
        )
    return OPTIMISERS[config.name](config, trained)


def _adamw(config: OptimiserConfig, parameters: list[Parameter]) -> Optimizer:
    # One kernel over all parameters: an eighth of the time, which a small network notices.
    return torch.optim.AdamW(
        parameters,
        lr=config.learning_rate,
        betas=config.betas,
        weight_decay=config.weight_decay,
        fused=True,
    )


def _sgd(config: OptimiserConfig, parameters: list[Parameter]) -> Optimizer:
    return torch.optim.SGD(
        parameters,
        lr=config.learning_rate,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.momentum > 0,
    )


def _schedule_free(config: OptimiserConfig, parameters: list[Parameter]) -> Optimizer:
    from schedulefree import AdamWScheduleFree

    # Its own warm-up stays off: the learning rate is set from outside, step by step, and the
    # optimiser weighs its average by the largest one met so far.
    optimiser: Optimizer = AdamWScheduleFree(
        parameters,
        lr=config.learning_rate,
        betas=config.betas,
        weight_decay=config.weight_decay,
    )
    return optimiser


def _sam(config: OptimiserConfig, parameters: list[Parameter]) -> Optimizer:
    from pytorch_optimizer.optimizer import SAM

    optimiser: Optimizer = SAM(
        parameters,
        base_optimizer=torch.optim.AdamW,
        rho=config.sam_rho,
        lr=config.learning_rate,
        betas=config.betas,
        weight_decay=config.weight_decay,
    )
    return optimiser


OPTIMISERS: Mapping[str, Callable[[OptimiserConfig, list[Parameter]], Optimizer]] = {
    "adamw": _adamw,
    "sgd": _sgd,
    "schedulefree-adamw": _schedule_free,
    "sam": _sam,
}
"""Makers of optimisers by name."""
