"""Statistics that a few strange values move little: weighted quantiles and robust spread."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError

MAD_TO_SD = 1.4826
"""The SD of a normal distribution over its median absolute deviation."""

_MOST_STEPS = 100_000


def weighted_quantiles(
    values: NDArray[np.float64], weights: NDArray[np.float64], levels: tuple[float, ...]
) -> tuple[float, ...]:
    """Quantiles of a weighted sample: the inverse of its distribution, averaged at its steps.

    Args:
        values: (n,) finite.
        weights: (n,) not negative, with a positive sum.
        levels: Levels in [0, 1].

    Raises:
        InputError: No weight, or a level outside [0, 1].
    """
    if not weights.size or weights.min() < 0 or weights.sum() <= 0:
        raise InputError("A weighted quantile needs weights that are not negative and not all 0.")
    if any(not 0.0 <= level <= 1.0 for level in levels):
        raise InputError(f"Quantile levels lie within 0 to 1, not {levels}.")
    ordered, shares = _distribution(values, weights)
    cumulative = np.cumsum(shares)
    # A step that is met up to the rounding of float32 weights counts as met, else weights that
    # are equal on paper would not average.
    slack = 1e-6 * cumulative[-1]
    result = []
    for level in levels:
        target = level * cumulative[-1]
        low = min(int(np.searchsorted(cumulative, target - slack)), len(ordered) - 1)
        high = min(int(np.searchsorted(cumulative, target + slack, side="right")), len(ordered) - 1)
        result.append(float(ordered[low] + ordered[high]) / 2)
    return tuple(result)


def _distribution(
    values: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The values in rising order with their weights; equal whole or half values in one step.

    HU are whole and their medians whole or half, so that counting replaces most sorting.
    """
    doubled = values * 2.0
    start, stop = float(doubled.min()), float(doubled.max())
    if stop - start < _MOST_STEPS and bool(np.all(doubled == np.rint(doubled))):
        counted = np.bincount((doubled - start).astype(np.intp), weights=weights)
        shares = np.asarray(counted, dtype=np.float64)
        met = np.flatnonzero(shares)
        return np.asarray((met + start) / 2.0, dtype=np.float64), shares[met]
    order = np.argsort(values, kind="stable")
    return values[order], weights[order]


def robust_centre_and_sd(
    values: NDArray[np.floating[Any]], weights: NDArray[np.floating[Any]]
) -> tuple[float, float]:
    """Weighted median and 1.4826 times the weighted median absolute deviation.

    Args:
        values: Any shape.
        weights: The same shape, not negative, not all zero.

    >>> robust_centre_and_sd(np.array([1.0, 2.0, 3.0, 99.0]), np.array([1.0, 1.0, 1.0, 0.0]))
    (2.0, 1.4826)
    """
    used = weights > 0
    data, share = values[used].astype(np.float64), weights[used].astype(np.float64)
    (centre,) = weighted_quantiles(data, share, (0.5,))
    (deviation,) = weighted_quantiles(np.abs(data - centre), share, (0.5,))
    return centre, MAD_TO_SD * deviation
