"""What needs no network: L1 attenuation, with age and sex, and virtual DXA, as class predictors.

Each is a multinomial logistic regression on standardised variables. Its logits refer to the class
shares of the training rows; whoever compares it with a network moves them to the network's. A
subject that lacks a variable gets no prediction: it is counted, not filled in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError, ModelError

Floats = NDArray[np.float64]

BASELINES: dict[str, tuple[str, ...]] = {
    "L1 attenuation": ("l1_hu",),
    "L1 attenuation, age and sex": ("l1_hu", "age_years", "female"),
    "virtual DXA": ("virtual_dxa_t",),
}
"""Name to variables."""
MIN_OF_A_CLASS = 5
"""Training subjects of each class below which nothing is fitted; chosen."""
_RIDGE_C = 1.0
"""Inverse strength of the ridge penalty, scikit-learn's default. Without one, twenty subjects of
the rarest class that happen to be of one sex make sex decide everything."""


@dataclass(frozen=True, eq=False)
class Baseline:
    """A fitted baseline.

    Args:
        name: Key of ``BASELINES``.
        mean: (v,) of the training rows.
        sd: (v,) of the training rows.
        weights: (k, v) of the standardised variables.
        offsets: (k,) of the classes.
        shares: (k,) class shares that the logits refer to: of the training rows fitted to.
    """

    name: str
    mean: Floats
    sd: Floats
    weights: Floats
    offsets: Floats
    shares: tuple[float, ...]

    def logits(self, table: Mapping[str, NDArray[np.generic]]) -> Floats:
        """(n, k) class logits; NaN in the rows that lack a variable."""
        values = (_variables(table, self.name) - self.mean) / self.sd
        return np.asarray(values @ self.weights.T + self.offsets)


def fit_baseline(
    name: str,
    table: Mapping[str, NDArray[np.generic]],
    class_index: NDArray[np.int64],
    classes: int,
) -> Baseline | None:
    """Fit a baseline to the training rows.

    Args:
        name: Key of ``BASELINES``.
        table: Columns of the training rows, as in a store.
        class_index: (n,) class of each.
        classes: Number of classes k.

    Returns:
        The baseline; None where a variable is missing in so many rows that a class keeps fewer
        than ``MIN_OF_A_CLASS``, or does not vary.

    Raises:
        ModelError: scikit-learn, of the extra ``train``, is not installed.
    """
    try:
        from sklearn.linear_model import LogisticRegression
    except ModuleNotFoundError:
        raise ModelError("Baselines need the extra 'train': osteoscope[train].") from None
    values = _variables(table, name)
    known = np.isfinite(values).all(axis=1)
    counts = np.bincount(class_index[known], minlength=classes)
    if counts.min() < MIN_OF_A_CLASS:
        return None
    mean, sd = values[known].mean(axis=0), values[known].std(axis=0)
    # Everybody of one sex says nothing about sex; its weight is then zero.
    sd = np.where(sd > 0, sd, np.inf)
    if not np.isfinite(sd[0]):
        return None
    model = LogisticRegression(C=_RIDGE_C, max_iter=1000)
    model.fit((values[known] - mean) / sd, class_index[known])
    weights, offsets = np.asarray(model.coef_), np.asarray(model.intercept_)
    if classes == 2:  # scikit-learn then gives the second class's logit only
        weights, offsets = np.vstack([-weights, weights]) / 2, np.append(-offsets, offsets) / 2
    shares = tuple((counts / counts.sum()).tolist())
    return Baseline(name, mean, sd, weights, offsets, shares)


def _variables(table: Mapping[str, NDArray[np.generic]], name: str) -> Floats:
    """(n, v) values; NaN where unknown."""
    if name not in BASELINES:
        raise InputError(f"Unknown baseline {name!r}; known: {', '.join(BASELINES)}.")
    return np.stack([_variable(table, variable) for variable in BASELINES[name]], axis=1)


def _variable(table: Mapping[str, NDArray[np.generic]], variable: str) -> Floats:
    if variable != "female":
        return np.asarray(table[variable], dtype=np.float64)
    sex = table["sex"].astype(str)
    return np.where(sex == "F", 1.0, np.where(sex == "M", 0.0, np.nan))
