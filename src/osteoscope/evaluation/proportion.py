"""The interval of a share, where resampling cannot give one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from osteoscope.core.measurement import Z95


def wilson_interval(
    share: ArrayLike, n: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wilson's 95 % score interval of a share; sound also at 0 and 1, where bootstraps collapse.

    Wilson, J Am Stat Assoc 1927;22:209, without continuity correction.

    Args:
        share: Observed, in [0, 1].
        n: Independent trials, more than 0.

    Returns:
        Lower and upper ends, in [0, 1].

    >>> [round(float(end), 4) for end in wilson_interval(0.8, 10)]
    [0.4902, 0.9433]
    """
    p, n = np.asarray(share, dtype=np.float64), np.asarray(n, dtype=np.float64)
    middle = p + Z95**2 / (2 * n)
    half = Z95 * np.sqrt(p * (1 - p) / n + (Z95 / (2 * n)) ** 2)
    scale = 1 + Z95**2 / n
    low, high = (middle - half) / scale, (middle + half) / scale
    # At the ends rounding would leave 1e-17 beside the exact 0 and 1.
    return np.where(p == 0, 0.0, low), np.where(p == 1, 1.0, high)
