"""The loss of a head: one configuration for every head, one function of the raw outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

from torch import Tensor

from osteoscope.core.errors import InputError
from osteoscope.core.registry import look_up
from osteoscope.learning.heads import CornHead, Head, TScoreHead
from osteoscope.learning.losses.class_loss import CLASS_LOSSES, ClassLossName, class_loss
from osteoscope.learning.losses.ordinal import corn_loss
from osteoscope.learning.losses.regression import RegressionName, t_score_loss

TrainingLoss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(raw (b, outputs), class_index (b,) with -1 unknown, t_score (b,) with nan unknown) -> ()."""


@dataclass(frozen=True)
class LossConfig:
    """What training minimises.

    Args:
        name: Class loss; the default is the one that the official code trains with.
        tau: Of ``logit_adjusted``: the paper's tau1; at least 0.
        gamma: Of ``focal``; at least 0. The default is its paper's.
        beta: Of ``effective_number``; in [0, 1). The default is one of its paper's, and fits
            classes of some tens to thousands of rows.
        regression: Loss of the T-score, for the heads ``t-score`` and ``joint``.
        huber_delta: Of ``huber``, in T-score units; above 0.
        t_score_weight: What the T-score's loss is multiplied by in ``joint``; at least 0.

    Raises:
        InputError: A value out of its range.
    """

    name: ClassLossName = "logit_adjusted"
    tau: float = 1.0
    gamma: float = 2.0
    beta: float = 0.999
    regression: RegressionName = "huber"
    huber_delta: float = 1.0
    t_score_weight: float = 1.0

    def __post_init__(self) -> None:
        look_up(CLASS_LOSSES, self.name, "class loss")
        look_up(dict.fromkeys(get_args(RegressionName)), self.regression, "regression loss")
        for key in ("tau", "gamma", "t_score_weight"):
            value = getattr(self, key)
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"The loss's {key} must be 0 or more, not {value:g}.")
        if not 0.0 <= self.beta < 1.0:
            raise InputError(f"The loss's beta lies in 0 to 1, 1 left out, not {self.beta:g}.")
        if not (math.isfinite(self.huber_delta) and self.huber_delta > 0):
            raise InputError(f"The loss's huber_delta must be above 0, not {self.huber_delta:g}.")


def training_loss(config: LossConfig, head: Head, class_counts: Sequence[int]) -> TrainingLoss:
    """The loss of a head's raw outputs.

    - ``three-class``: the class loss of the logits.
    - ``corn`` with ``cross_entropy``: CORN's own loss; with another class loss, that loss of its
      log-probabilities (``logit_adjusted`` then learns the balanced posterior by way of CORN).
    - ``cumulative``: the class loss of its log-probabilities; with ``cross_entropy`` that is the
      likelihood of the cumulative model.
    - ``t-score``: the regression loss alone: a row with a class and no T-score teaches nothing,
      and nothing balances the classes but the sampling and a later adjustment.
    - ``joint``: the class loss plus ``t_score_weight`` times the regression loss.

    A row without a class (-1) or without a T-score (nan) gives no gradient to that part; each part
    is the mean over the rows that have it.

    Args:
        config: What to minimise.
        head: How the raw outputs are read.
        class_counts: (3,) rows of each class in the training set.

    Raises:
        InputError: A class without a row where the loss needs its count.
    """

    def regression(raw: Tensor, t_score: Tensor) -> Tensor:
        predicted = head.t_score(raw)
        assert predicted is not None
        return t_score_loss(predicted, t_score, name=config.regression, delta=config.huber_delta)

    if isinstance(head, TScoreHead):
        return lambda raw, _index, t_score: regression(raw, t_score)
    if isinstance(head, CornHead) and config.name == "cross_entropy":
        return lambda raw, index, _t_score: corn_loss(raw, index)
    classes = class_loss(
        config.name, class_counts, tau=config.tau, gamma=config.gamma, beta=config.beta
    )
    if head.name != "joint":
        return lambda raw, index, _t_score: classes(head.class_logits(raw), index)
    return lambda raw, index, t_score: (
        classes(head.class_logits(raw), index) + config.t_score_weight * regression(raw, t_score)
    )
