"""A class loss by its name, made for a training set's class counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from osteoscope.core.errors import InputError
from osteoscope.core.registry import look_up
from osteoscope.learning.heads import at_least_float32
from osteoscope.learning.losses import class_losses
from osteoscope.learning.losses.class_weights import (
    class_prior,
    effective_number_weights,
    inverse_frequency_weights,
)
from osteoscope.learning.losses.known_mean import known_mean

ClassLossName = Literal[
    "cross_entropy", "logit_adjusted", "inverse_frequency", "focal", "effective_number"
]

ClassLoss = Callable[[Tensor, Tensor], Tensor]
"""(b, k) logits and (b,) class indices to one number; rows of class -1 (unknown) do not count."""

_RowLoss = Callable[[Tensor, Tensor], Tensor]


def class_loss(
    name: str,
    class_counts: Sequence[int],
    *,
    tau: float = 1.0,
    gamma: float = 2.0,
    beta: float = 0.999,
) -> ClassLoss:
    """The mean over the rows of known class of the loss of that name.

    The mean is over the rows, weighted or not: a batch with few minority rows weighs them no more.

    Args:
        name: One of :data:`CLASS_LOSSES`.
        class_counts: (k,) rows of each class in the training set.
        tau: Of ``logit_adjusted``: the paper's tau1; at least 0.
        gamma: Of ``focal``; at least 0.
        beta: Of ``effective_number``; in [0, 1).

    Raises:
        InputError: The name is unknown, a parameter out of its range, or a class without a row
            where the loss needs its count.
    """
    build = look_up(CLASS_LOSSES, name, "class loss")
    if tau < 0 or gamma < 0:
        raise InputError(f"A loss's tau and gamma are at least 0, not {tau:g} and {gamma:g}.")
    rows = build(class_counts, {"tau": tau, "gamma": gamma, "beta": beta})

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        known = target >= 0
        values = rows(at_least_float32(logits), target.clamp(min=0))
        return known_mean(values, known)

    return loss


def _cross_entropy(_counts: Sequence[int], _given: Mapping[str, float]) -> _RowLoss:
    return class_losses.cross_entropy


def _logit_adjusted(counts: Sequence[int], given: Mapping[str, float]) -> _RowLoss:
    log_prior, tau = np.log(class_prior(counts)), given["tau"]
    return lambda z, y: class_losses.logit_adjusted(z, y, _like(log_prior, z), tau)


def _inverse_frequency(counts: Sequence[int], _given: Mapping[str, float]) -> _RowLoss:
    weights = inverse_frequency_weights(counts)
    return lambda z, y: class_losses.weighted_binary_cross_entropy(z, y, _like(weights, z))


def _focal(_counts: Sequence[int], given: Mapping[str, float]) -> _RowLoss:
    gamma = given["gamma"]
    return lambda z, y: class_losses.focal(z, y, gamma)


def _effective_number(counts: Sequence[int], given: Mapping[str, float]) -> _RowLoss:
    weights = effective_number_weights(counts, given["beta"])
    return lambda z, y: class_losses.weighted_cross_entropy(z, y, _like(weights, z))


def _like(values: NDArray[np.float64], logits: Tensor) -> Tensor:
    return logits.new_tensor(values.tolist())


CLASS_LOSSES: Mapping[str, Callable[[Sequence[int], Mapping[str, float]], _RowLoss]] = {
    "cross_entropy": _cross_entropy,
    "logit_adjusted": _logit_adjusted,
    "inverse_frequency": _inverse_frequency,
    "focal": _focal,
    "effective_number": _effective_number,
}
"""Makers of the row losses by name."""
