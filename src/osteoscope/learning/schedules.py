"""The learning rate as a pure function of the step, so that resuming needs no state."""

from __future__ import annotations

import math
from typing import Literal

from osteoscope.core.errors import InputError

ScheduleName = Literal["auto", "cosine", "constant"]


def learning_rate_at(
    step: int, steps: int, *, peak: float, schedule: Literal["cosine", "constant"], warmup: int = 0
) -> float:
    """Learning rate of a step.

    During the warm-up peak (step + 1) / (warmup + 1); then ``constant``: peak; ``cosine``: peak
    (1 + cos(pi (step - warmup) / (steps - warmup))) / 2, which would reach 0 at ``steps``, one
    after the last (Loshchilov and Hutter, SGDR, ICLR 2017, Eq. 5, without restarts). The official
    code follows the same curve epoch by epoch.

    Args:
        step: From 0.
        steps: All steps of the training; at least 1.
        peak: Largest learning rate.
        schedule: ``cosine`` or ``constant``.
        warmup: Steps of the warm-up, fewer than ``steps``.

    Raises:
        InputError: A step, or a warm-up, outside the training.

    >>> [round(learning_rate_at(s, 4, peak=1.0, schedule="cosine"), 3) for s in range(4)]
    [1.0, 0.854, 0.5, 0.146]
    """
    if not 0 <= step < steps:
        raise InputError(f"A step of the learning rate lies in 0 to {steps - 1}, not {step}.")
    if not 0 <= warmup < steps:
        raise InputError(f"A warm-up of {warmup} steps does not fit a training of {steps}.")
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    if schedule == "constant":
        return peak
    return peak * 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / (steps - warmup)))
