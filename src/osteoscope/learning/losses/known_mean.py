"""The mean over the rows whose truth is known."""

from __future__ import annotations

import torch
from torch import Tensor


def known_mean(values: Tensor, known: Tensor) -> Tensor:
    """Mean of ``values`` where ``known``; 0 without gradient where none is.

    Args:
        values: (b,) losses; those of unknown rows may be anything finite.
        known: (b,) whether a row counts.

    Returns:
        () the mean.
    """
    kept = torch.where(known, values, torch.zeros_like(values))
    return kept.sum() / known.sum().clamp(min=1)
