"""The stratified bootstrap as counts: how often each row stands in each draw."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_CHUNK_COUNTS = 1_000_000
"""Counts of rows held at once: 8 MB, so that a chunk of draws stays near the core's cache."""
_MIN_FINITE = 0.9
"""Draws in which a statistic must exist, as a share; with fewer its interval is withheld."""


def draw_counts(
    subject_id: NDArray[np.str_], truth: NDArray[np.int64], *, draws: int, seed: int
) -> Iterator[NDArray[np.float64]]:
    """Draws of a stratified bootstrap of whole subjects, in chunks.

    Within each stratum as many subjects as it has are drawn with replacement. A subject's
    stratum is the highest class index among its rows, so that with one row a subject each class
    keeps its size in every draw: the intervals are then conditional on how many subjects of each
    class there are. All rows of a subject have the same count, since they are not independent
    (Davison & Hinkley, Bootstrap Methods and their Application, 1997, section 3.8).

    Args:
        subject_id: (n,).
        truth: (n,) class index.
        draws: How many, at least 1.
        seed: The same seed gives the same counts.

    Yields:
        Counts (n, b), float64 with whole values, the b of all chunks adding up to ``draws``.
    """
    subjects, subject = np.unique(subject_id, return_inverse=True)
    stratum = np.full(len(subjects), -1)
    np.maximum.at(stratum, subject, truth)
    members = [np.flatnonzero(stratum == s) for s in np.unique(stratum)]
    rng = np.random.default_rng(seed)
    size = max(1, min(draws, _CHUNK_COUNTS // len(subject_id)))
    for start in range(0, draws, size):
        b = min(size, draws - start)
        column = np.arange(b)
        counts = np.zeros((len(subjects), b))
        for inside in members:
            drawn = rng.integers(0, len(inside), size=(len(inside), b))
            flat = np.bincount((drawn * b + column).ravel(), minlength=len(inside) * b)
            counts[inside] = flat.reshape(len(inside), b)
        yield counts if len(subjects) == len(subject_id) and _in_order(subject) else counts[subject]


def percentile_interval(
    values: NDArray[np.float64], level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends of the percentile bootstrap interval.

    Args:
        values: (draws, ...) the statistic in each draw; nan where a draw has no such statistic.
        level: Coverage, in (0, 1).

    Returns:
        Lower and upper ends, of the trailing shape; nan where fewer than nine draws in ten have
        the statistic.
    """
    tails = [0.5 - level / 2, 0.5 + level / 2]
    finite = np.isfinite(values)
    if finite.all():
        low, high = np.quantile(values, tails, axis=0)
        return low, high
    enough = finite.mean(axis=0) >= _MIN_FINITE
    # A column without any value would warn; its ends are taken away below.
    usable = np.where(finite.any(axis=0), np.where(finite, values, np.nan), 0.0)
    low, high = np.nanquantile(usable, tails, axis=0)
    return np.where(enough, low, np.nan), np.where(enough, high, np.nan)


def bootstrap_p(differences: NDArray[np.float64]) -> float:
    """Two-sided p of a paired bootstrap: twice the smaller share of draws on one side of 0.

    Draws at exactly 0 count to both sides, and one draw is added to each, so that p is never 0
    (Davison & Hinkley 1997, section 4.2).

    Args:
        differences: (draws,) difference in each draw; nan is left out.

    Returns:
        p in (0, 1]; nan without any draw.
    """
    finite = differences[np.isfinite(differences)]
    if not finite.size:
        return float("nan")
    fewer = min(int((finite <= 0).sum()), int((finite >= 0).sum()))
    return min(1.0, 2 * (fewer + 1) / (finite.size + 1))


def _in_order(subject: NDArray[np.int64]) -> bool:
    return bool((np.diff(subject) == 1).all())
