"""From the classes' numbers of training rows to priors and weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError


def class_prior(counts: Sequence[int]) -> NDArray[np.float64]:
    """(k,) share of each class: n_c / N.

    Args:
        counts: (k,) training rows of each class, all at least 1.

    Raises:
        InputError: A class has no row.
    """
    numbers = _checked(counts)
    return np.asarray(numbers / numbers.sum(), dtype=np.float64)


def inverse_frequency_weights(counts: Sequence[int]) -> NDArray[np.float64]:
    """(k,) weights N / (k n_c).

    Normalised so that their mean over the training rows is 1, and each is 1 where the classes are
    even: the loss keeps its scale and with it the learning rate its meaning. The paper leaves the
    normalisation open ("computed based on the inverse frequency of each class").

    Args:
        counts: (k,) training rows of each class, all at least 1.

    Raises:
        InputError: A class has no row.

    >>> [float(w) for w in inverse_frequency_weights([1, 3])]
    [2.0, 0.6666666666666666]
    """
    numbers = _checked(counts)
    return np.asarray(numbers.sum() / (len(numbers) * numbers), dtype=np.float64)


def effective_number_weights(counts: Sequence[int], beta: float) -> NDArray[np.float64]:
    """(k,) weights proportional to (1 - beta) / (1 - beta^n_c), which add up to k.

    (1 - beta^n) / (1 - beta) is the expected number of samples that are not near-copies of
    others. beta = 0 weighs all classes alike, beta towards 1 by inverse frequency (then up to the
    other normalisation). Source: Cui et al., CVPR 2019, Eq. 2 and section 4, arXiv 1901.05555.

    Args:
        counts: (k,) training rows of each class, all at least 1.
        beta: In [0, 1).

    Raises:
        InputError: A class has no row, or beta lies outside its range.
    """
    if not 0.0 <= beta < 1.0:
        raise InputError(f"The effective number's beta lies in 0 to 1, 1 left out, not {beta:g}.")
    numbers = _checked(counts)
    # expm1 and log1p: 1 - beta^n keeps its digits where beta is close to 1.
    effective = -np.expm1(numbers * np.log1p(beta - 1.0)) if beta > 0 else np.ones_like(numbers)
    weights = 1.0 / effective
    return np.asarray(weights * len(weights) / weights.sum(), dtype=np.float64)


def _checked(counts: Sequence[int]) -> NDArray[np.float64]:
    numbers = np.asarray(counts, dtype=np.float64)
    if numbers.ndim != 1 or numbers.size < 2 or not np.all(np.isfinite(numbers)):
        raise InputError("Class counts are one number a class, for two classes or more.")
    if numbers.min() < 1:
        raise InputError(
            f"Every class needs a training row to be weighed by its number, but the counts are "
            f"{[int(n) for n in numbers]}; use cross_entropy or focal, or another split."
        )
    return numbers
