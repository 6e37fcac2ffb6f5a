"""What a network's raw outputs mean: class log-probabilities and, with some heads, a T-score.

A head has no weights of its own. Whatever is learned comes out of the network's last layer, so
that a head can be changed, exported and read back as a name (and one number for ``t-score``).
Classes rise in severity: 0 normal, 1 osteopenia, 2 osteoporosis.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from osteoscope.core.errors import InputError
from osteoscope.core.registry import look_up
from osteoscope.core.who import NORMAL_T, OSTEOPOROSIS_T, WHO_CLASSES

HeadName = Literal["three-class", "corn", "cumulative", "t-score", "joint"]

N_CLASSES = len(WHO_CLASSES)
DEFAULT_RESIDUAL_SD = 0.8
"""SD of a T-score about its prediction before one is fitted, chosen: L1 HU explains some half of
the variance of a spinal T-score, whose SD in a patient cohort is some 1.2 to 1.5."""
SMALLEST_GAP = 0.01
"""Of the cumulative head's two thresholds, in logits. Without one the middle class could be given
a probability of exactly 0 and a loss without end."""


class Head(Protocol):
    """How raw outputs are read."""

    @property
    def name(self) -> str:
        """Its name in :data:`HEADS`."""

    @property
    def outputs(self) -> int:
        """Number of raw outputs that the network must have."""

    def class_logits(self, raw: Tensor) -> Tensor:
        """(b, outputs) -> (b, 3) log-probabilities of the classes, up to a constant a row."""

    def t_score(self, raw: Tensor) -> Tensor | None:
        """(b, outputs) -> (b,) T-scores, or None where the head has none."""


@dataclass(frozen=True)
class ThreeClassHead:
    """One logit a class, softmax: the paper's head."""

    name: str = field(default="three-class", init=False)
    outputs: int = field(default=N_CLASSES, init=False)

    def class_logits(self, raw: Tensor) -> Tensor:
        """The raw outputs themselves."""
        return at_least_float32(raw)

    def t_score(self, raw: Tensor) -> Tensor | None:  # noqa: ARG002
        """None: classes only."""
        return None


@dataclass(frozen=True)
class CornHead:
    """Conditional ordinal regression: raw output k is the logit of P(y > k | y > k - 1).

    The chain rule gives P(y > k) as a product, which cannot rise with k: the ranks are consistent
    without shared weights. Source: Shi, Cao, Raschka, CORN, arXiv 2111.08851 (2021).
    """

    name: str = field(default="corn", init=False)
    outputs: int = field(default=N_CLASSES - 1, init=False)

    def class_logits(self, raw: Tensor) -> Tensor:
        """Exact log-probabilities (each row's probabilities add up to 1)."""
        raw = at_least_float32(raw)
        passed = torch.cumsum(_log_sigmoid(raw), dim=1)
        stopped = _log_sigmoid(-raw)
        return torch.cat([stopped[:, :1], passed[:, :-1] + stopped[:, 1:], passed[:, -1:]], dim=1)

    def t_score(self, raw: Tensor) -> Tensor | None:  # noqa: ARG002
        """None: classes only."""
        return None


@dataclass(frozen=True)
class CumulativeHead:
    """Cumulative logits with ordered thresholds: P(y > 0) = s(a), P(y > 1) = s(a - gap(b)).

    ``a`` and ``b`` are the two raw outputs, s the logistic function and gap(b) = softplus(b) +
    :data:`SMALLEST_GAP`. The thresholds are learned: they stand in the biases of the network's
    last layer. Their distance may depend on the image; where the last layer gives ``b`` no
    weights but its bias, this is McCullagh's proportional-odds model (J R Stat Soc B 1980;42:109)
    with both thresholds free, so that it holds that model as its special case.
    """

    name: str = field(default="cumulative", init=False)
    outputs: int = field(default=2, init=False)

    def class_logits(self, raw: Tensor) -> Tensor:
        """Exact log-probabilities (each row's probabilities add up to 1)."""
        raw = at_least_float32(raw)
        gap = functional.softplus(raw[:, 1]) + SMALLEST_GAP
        return _ordered_log_probabilities(raw[:, 0], gap)

    def t_score(self, raw: Tensor) -> Tensor | None:  # noqa: ARG002
        """None: classes only."""
        return None


@dataclass(frozen=True)
class TScoreHead:
    """The T-score itself; classes follow from the two cut-offs and the residuals' spread.

    A patient's T is taken as logistic about the prediction, so that
    P(T < c) = s((c - prediction) * pi / (sqrt(3) * residual_sd)): closed forms that neither
    overflow nor lose the tails, with tails somewhat heavier than a normal's, as residuals of
    regression usually have. DXA prints T with one decimal; no continuity correction is made.

    Args:
        residual_sd: SD of true minus predicted T on validation subjects; see
            :meth:`fitted`. Positive, in T-score units.

    Raises:
        InputError: It is not positive and finite.
    """

    residual_sd: float = DEFAULT_RESIDUAL_SD
    name: str = field(default="t-score", init=False)
    outputs: int = field(default=1, init=False)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.residual_sd) and self.residual_sd > 0):
            raise InputError(
                f"The SD of a T-score's residuals must be above 0, not {self.residual_sd:g}."
            )

    def class_logits(self, raw: Tensor) -> Tensor:
        """Exact log-probabilities (each row's probabilities add up to 1)."""
        scale = self.residual_sd * math.sqrt(3.0) / math.pi
        upper = (NORMAL_T - at_least_float32(raw)[:, 0]) / scale
        gap = torch.full_like(upper, (NORMAL_T - OSTEOPOROSIS_T) / scale)
        return _ordered_log_probabilities(upper, gap)

    def t_score(self, raw: Tensor) -> Tensor | None:
        """The raw output."""
        return at_least_float32(raw)[:, 0]

    def fitted(self, predicted: NDArray[np.floating], truth: NDArray[np.floating]) -> TScoreHead:
        """The same head with the spread of these residuals, of validation subjects only.

        Args:
            predicted: (n,) predicted T-scores.
            truth: (n,) true ones; subjects without one (nan) are left out.

        Returns:
            A head whose ``residual_sd`` is the root mean squared residual: a bias of the network
            widens it too, for then the cut-offs are as uncertain.

        Raises:
            InputError: Fewer than three subjects have both, or all residuals are 0.
        """
        residuals = np.asarray(truth, dtype=np.float64) - np.asarray(predicted, dtype=np.float64)
        known = residuals[np.isfinite(residuals)]
        if known.size < 3:
            raise InputError(
                "The spread of T-score residuals needs 3 validation subjects or more with a "
                f"T-score, not {known.size}."
            )
        return dataclasses.replace(self, residual_sd=float(np.sqrt(np.mean(known**2))))


@dataclass(frozen=True)
class JointHead:
    """Three class logits and a T-score beside them, as JointViT trains them: (b, 4).

    The classes come from the logits alone; the T-score teaches the shared layers and is reported.
    """

    name: str = field(default="joint", init=False)
    outputs: int = field(default=N_CLASSES + 1, init=False)

    def class_logits(self, raw: Tensor) -> Tensor:
        """The first three raw outputs."""
        return at_least_float32(raw)[:, :N_CLASSES]

    def t_score(self, raw: Tensor) -> Tensor | None:
        """The fourth raw output."""
        return at_least_float32(raw)[:, N_CLASSES]


HEADS: Mapping[str, Head] = {
    "three-class": ThreeClassHead(),
    "corn": CornHead(),
    "cumulative": CumulativeHead(),
    "t-score": TScoreHead(),
    "joint": JointHead(),
}
"""Heads by name, ready to use."""


def create_head(name: str) -> Head:
    """The head of that name.

    Raises:
        InputError: The name is unknown; the message lists the known ones.

    >>> create_head("joint").outputs
    4
    """
    return look_up(HEADS, name, "head")


def at_least_float32(values: Tensor) -> Tensor:
    """Half precision as float32; anything else as it is.

    Logarithms of small probabilities do not fit into the half precision that a mixed-precision
    training hands over.
    """
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _log_sigmoid(values: Tensor) -> Tensor:
    # torch's own logsigmoid becomes log(sigmoid) in ONNX, which is -inf from -104 on.
    return -functional.softplus(-values)


def _ordered_log_probabilities(upper: Tensor, gap: Tensor) -> Tensor:
    """(b, 3) log-probabilities from logit P(y > 0) = ``upper``, logit P(y > 1) = ``upper - gap``.

    With a = upper, c = upper - gap the middle one is s(a) - s(c) = s(a) s(-c) (1 - exp(-gap)),
    which loses no digits however far out a and c lie.
    """
    lower = upper - gap
    between = torch.log(-torch.expm1(-gap))
    return torch.stack(
        [
            _log_sigmoid(-upper),
            _log_sigmoid(upper) + _log_sigmoid(-lower) + between,
            _log_sigmoid(lower),
        ],
        dim=1,
    )
