"""Whether acting on the probability helps more than treating everyone or no one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

THRESHOLDS: tuple[float, ...] = tuple(percent / 100 for percent in range(1, 100))


@dataclass(frozen=True, eq=False)
class DecisionCurve:
    """Net benefit by threshold probability, of the model and of treating all; of none it is 0.

    Args:
        name: The class that is acted upon.
        threshold: (m,) in (0, 1).
        net_benefit: (m,) of the model.
        low: (m,) lower end of its 95 % interval.
        high: (m,) upper end.
        treat_all: (m,) of treating everyone.
    """

    name: str
    threshold: NDArray[np.float64]
    net_benefit: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    treat_all: NDArray[np.float64]


def net_benefit(
    probability: NDArray[np.float64],
    positive: NDArray[np.bool_],
    thresholds: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """``TP/n - FP/n * t/(1 - t)``, where t or more counts as positive.

    True positives per subject, less the false ones at the price at which t makes both equal
    (Vickers & Elkin, Med Decis Making 2006;26:565). It holds for the share of positives in these
    rows; a cohort with another share needs its own.

    Args:
        probability: (n,) of the class that is acted upon.
        positive: (n,) truth.
        thresholds: (m,) each in (0, 1).
        weights: (n, b) weight of each row in each draw.

    Returns:
        (m, b).
    """
    price = (thresholds / (1 - thresholds))[:, None]
    gain = np.where(positive, 1.0, -price)
    # Probabilities are often rounded to the digits of a threshold, and must reach it then.
    treated = probability >= thresholds[:, None] - 1e-12
    return np.asarray(((treated * gain) @ weights) / weights.sum(axis=0))
