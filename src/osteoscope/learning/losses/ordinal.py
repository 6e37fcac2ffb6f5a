"""CORN's loss of conditional logits."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from osteoscope.learning.heads import at_least_float32


def corn_loss(raw: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy of the tasks "beyond rank k?", each on the rows that reached rank k.

    Summed over tasks and rows and divided by the number of (task, row) pairs, as published. The
    negative log-likelihood of :class:`~osteoscope.learning.heads.CornHead` is the same sum
    divided by the number of rows. Source: Shi, Cao, Raschka, arXiv 2111.08851 (2021), the loss of
    the conditional training subsets.

    Args:
        raw: (b, k - 1) conditional logits of P(y > j | y > j - 1).
        target: (b,) ranks 0 to k - 1; rows of rank -1 (unknown) do not count.

    Returns:
        () the loss; 0 where no row is known.
    """
    logits = at_least_float32(raw)
    ranks = torch.arange(logits.shape[1], device=logits.device)
    reached = target.unsqueeze(1) >= ranks
    beyond = (target.unsqueeze(1) > ranks).to(logits.dtype)
    values = functional.binary_cross_entropy_with_logits(logits, beyond, reduction="none")
    kept = torch.where(reached, values, torch.zeros_like(values))
    return kept.sum() / reached.sum().clamp(min=1)
