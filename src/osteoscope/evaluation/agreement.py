"""How far predicted T-scores lie from measured ones: error, bias and limits of agreement."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.measurement import Z95
from osteoscope.evaluation.confusion import ratio


def bland_altman(
    difference: NDArray[np.float64], weights: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Mean absolute error, bias, SD of the differences and their 95 % limits of agreement.

    Limits are ``bias -+ 1.96 SD``, the SD with n - 1 (Bland & Altman, Lancet 1986;327:307). They
    take differences as near normal and as wide at every value; the plot shows whether they are.

    Args:
        difference: (n,) predicted less measured; nan is left out.
        weights: (n, b) weight of each row in each draw; counts, for the n - 1 to have a meaning.

    Returns:
        ``mae``, ``bias``, ``sd``, ``loa_low``, ``loa_high``, each (b,); nan where a draw has too
        few rows.
    """
    known = np.isfinite(difference)
    d, w = difference[known], weights[known]
    total = w.sum(axis=0)
    bias = ratio(d @ w, total)
    # Around a fixed middle, sums of squares keep their digits.
    middle = float(d.mean()) if d.size else 0.0
    squares = (d - middle) ** 2 @ w - total * np.nan_to_num(bias - middle) ** 2
    sd = np.sqrt(np.maximum(ratio(squares, total - 1), 0.0))
    return {
        "mae": ratio(np.abs(d) @ w, total),
        "bias": bias,
        "sd": sd,
        "loa_low": bias - Z95 * sd,
        "loa_high": bias + Z95 * sd,
    }
