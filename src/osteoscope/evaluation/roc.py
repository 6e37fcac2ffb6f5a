"""The ROC curve of a class with a band, for the page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BAND_FALSE_RATES: NDArray[np.float64] = np.linspace(0.0, 1.0, 41)
"""False positive rates at which the band is given."""


@dataclass(frozen=True, eq=False)
class RocCurve:
    """Sensitivity against false positive rate, one class against the rest.

    Args:
        name: The class.
        false_rate: (m,) corners of the empirical curve, from 0 to 1.
        true_rate: (m,).
        band_low: Lower end of the pointwise 95 % interval of the sensitivity at each of
            :data:`BAND_FALSE_RATES`.
        band_high: Upper end.
    """

    name: str
    false_rate: NDArray[np.float64]
    true_rate: NDArray[np.float64]
    band_low: NDArray[np.float64]
    band_high: NDArray[np.float64]
