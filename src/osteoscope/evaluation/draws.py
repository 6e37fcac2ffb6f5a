"""What every draw of the bootstrap gives, collected over its chunks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.predictions import Predictions
from osteoscope.evaluation.calibration import calibration_gaps
from osteoscope.evaluation.decision_curve import THRESHOLDS, net_benefit
from osteoscope.evaluation.metrics import ALL, Metric, metrics
from osteoscope.evaluation.ranking import rank_positives, sensitivity_at
from osteoscope.evaluation.resampling import draw_counts
from osteoscope.evaluation.roc import BAND_FALSE_RATES


@dataclass(frozen=True, eq=False)
class Draws:
    """Values by draw, the last axis.

    Args:
        metrics: (draws,) by metric.
        gaps: (bins, draws) calibration gaps by class, under :data:`ALL` those of whichever class
            is the most probable.
        sensitivities: (rates, draws) by class, at each of :data:`BAND_FALSE_RATES`.
        net_benefit: (thresholds, draws) of the positive class.
    """

    metrics: dict[Metric, NDArray[np.float64]]
    gaps: dict[int, NDArray[np.float64]]
    sensitivities: dict[int, NDArray[np.float64]]
    net_benefit: NDArray[np.float64]


def draw(
    rows: Predictions, shown: tuple[int, ...], positive: int, *, draws: int, seed: int
) -> Draws:
    """Compute everything in every draw.

    Args:
        rows: What is evaluated.
        shown: Classes with numbers of their own.
        positive: Class that decisions are about.
        draws: How many.
        seed: Of the draws.
    """
    chunks = [
        _of(rows, shown, positive, weights)
        for weights in draw_counts(rows.subject_id, rows.truth, draws=draws, seed=seed)
    ]
    first = chunks[0]
    return Draws(
        metrics={m: np.concatenate([c.metrics[m] for c in chunks]) for m in first.metrics},
        gaps={k: np.concatenate([c.gaps[k] for c in chunks], axis=1) for k in first.gaps},
        sensitivities={
            k: np.concatenate([c.sensitivities[k] for c in chunks], axis=1)
            for k in first.sensitivities
        },
        net_benefit=np.concatenate([c.net_benefit for c in chunks], axis=1),
    )


def stated_and_happened(rows: Predictions, c: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Probability and outcome of a class; under :data:`ALL` of whichever is the most probable."""
    if c == ALL:
        return rows.probabilities.max(axis=1), rows.probabilities.argmax(axis=1) == rows.truth
    return rows.probabilities[:, c], rows.truth == c


def _of(
    rows: Predictions, shown: tuple[int, ...], positive: int, weights: NDArray[np.float64]
) -> Draws:
    probabilities, truth = rows.probabilities, rows.truth
    ranked = {c: rank_positives(probabilities[:, c], truth == c, weights) for c in shown}
    return Draws(
        metrics=metrics(rows, weights, shown),
        gaps={c: calibration_gaps(*stated_and_happened(rows, c), weights) for c in (ALL, *shown)},
        sensitivities={
            c: np.stack([sensitivity_at(ranked[c], 1 - rate) for rate in BAND_FALSE_RATES])
            for c in shown
        },
        net_benefit=net_benefit(
            probabilities[:, positive], truth == positive, np.array(THRESHOLDS), weights
        ),
    )
