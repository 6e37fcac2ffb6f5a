"""Losses of a predicted T-score."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from osteoscope.core.errors import InputError
from osteoscope.learning.heads import at_least_float32
from osteoscope.learning.losses.known_mean import known_mean

RegressionName = Literal["huber", "mse"]


def t_score_loss(
    predicted: Tensor, truth: Tensor, *, name: RegressionName = "huber", delta: float = 1.0
) -> Tensor:
    """Mean loss over the rows that have a T-score.

    ``mse``: (predicted - truth)^2. ``huber``: half of that up to ``delta``, then
    delta (|difference| - delta / 2) (Huber, Ann Math Stat 1964;35:73): a wrong label, or a T-score
    raised by degenerative change, pulls no harder than one that is off by delta.

    Args:
        predicted: (b,) T-scores.
        truth: (b,) T-scores, nan where unknown; such a row gives no gradient.
        name: ``huber`` or ``mse``.
        delta: Of ``huber``, in T-score units; above 0.

    Returns:
        () the loss; 0 where no row has a T-score.

    Raises:
        InputError: An unknown name.
    """
    values = at_least_float32(predicted)
    known = torch.isfinite(truth)
    # Filled before the loss is taken: nan times zero would be nan in the gradient.
    filled = torch.where(known, truth.to(values.dtype), values.detach())
    if name == "huber":
        losses = functional.huber_loss(values, filled, reduction="none", delta=delta)
    elif name == "mse":
        losses = functional.mse_loss(values, filled, reduction="none")
    else:
        raise InputError(f"Unknown regression loss {name!r}; known: huber, mse.")
    return known_mean(losses, known)
