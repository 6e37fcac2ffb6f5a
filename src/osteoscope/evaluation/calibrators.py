"""Changing a trained classifier's logits afterwards: temperature, and the classes' prior."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError
from osteoscope.core.registry import look_up

TEMPERATURES: tuple[float, float] = (0.05, 20.0)
"""The range in which a temperature is looked for."""


@dataclass(frozen=True)
class Temperature:
    """One number by which all logits are divided: it changes how sure, never which class.

    Guo et al., ICML 2017, section 4.2.

    Args:
        value: More than 0; above 1 makes probabilities more even.
    """

    value: float

    def __post_init__(self) -> None:
        if not 0 < self.value < np.inf:
            raise InputError(f"A temperature must be more than 0 and finite, not {self.value}.")

    @classmethod
    def fit(
        cls,
        logits: NDArray[np.floating],
        truth: NDArray[np.int64],
        offset: NDArray[np.floating] | float = 0.0,
    ) -> Temperature:
        """The temperature of the least log loss, within :data:`TEMPERATURES`.

        Args:
            logits: (n, k) of the validation part only; finite.
            truth: (n,) class index.
            offset: (k,) added after the division: the logarithm of the validation part's class
                shares over those that the logits refer to, where the two differ. Else a difference
                of shares would be taken for too much or too little confidence.

        Raises:
            InputError: No rows, or a logit is not finite.
        """
        # Deployed models import this file to apply a temperature, and are to start without SciPy.
        from scipy.optimize import minimize_scalar

        z = np.asarray(logits, dtype=np.float64)
        if z.ndim != 2 or len(z) == 0 or len(z) != len(truth) or not np.isfinite(z).all():
            raise InputError(
                f"A temperature is fitted to finite logits of validation subjects, (n, k), and "
                f"their n truths; these have shapes {z.shape} and {np.shape(truth)}."
            )
        rows = np.arange(len(z))

        def loss(log_temperature: float) -> float:
            scaled = z / np.exp(log_temperature) + offset
            return float(-_log_softmax(scaled)[rows, truth].mean())

        low, high = np.log(TEMPERATURES)
        found = minimize_scalar(loss, bounds=(low, high), method="bounded")
        return cls(float(np.exp(found.x)))

    def apply(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Logits (..., k) divided by the temperature."""
        return np.asarray(logits, dtype=np.float64) / self.value


def probabilities(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Softmax over the last axis."""
    return np.exp(_log_softmax(np.asarray(logits, dtype=np.float64)))


def adjust_logits(
    logits: NDArray[np.floating],
    prior: NDArray[np.floating] | tuple[float, ...],
    tau: float,
    reading: str = "subtract",
) -> NDArray[np.float64]:
    """Post-hoc logit adjustment, in each reading that the MedConv paper and code leave open.

    - ``subtract``: ``logits - tau log prior``, as ``train.py`` evaluates. With tau 1 and logits
      that are log posteriors, the largest is the class of least balanced error (Menon et al.,
      ICLR 2021, eq. 9): the sound one, and the default.
    - ``add``: ``logits + tau log prior``, as ``test.py`` sweeps; it favours frequent classes.
    - ``two_temperature``: the paper's equation 2 for more than two classes. Logits of majority
      classes (prior of an even share or more) are divided by tau1 = 1, of minority classes by
      tau2 = ``tau``. Unlike the others it depends on a constant that is added to all logits of a
      row, which changes no probability before.

    Args:
        logits: (..., k).
        prior: (k,) shares of the classes in training, each more than 0, adding up to 1.
        tau: 0 or more; more than 0 for ``two_temperature``. 0 leaves the first two as they are.
        reading: One of :data:`READINGS`.

    Raises:
        InputError: Unknown reading, or prior or tau out of range.
    """
    z, pi = np.asarray(logits, dtype=np.float64), np.asarray(prior, dtype=np.float64)
    if pi.shape != z.shape[-1:] or not (pi > 0).all() or abs(float(pi.sum()) - 1) > 1e-6:
        raise InputError(
            f"The prior must hold a share above 0 for each of {z.shape[-1]} classes and add up to "
            f"1, not {pi.tolist()}."
        )
    adjust = look_up(READINGS, reading, "reading of the logit adjustment")
    if not 0 <= tau < np.inf or (tau == 0 and reading == "two_temperature"):
        raise InputError(f"tau must be 0 or more, above 0 for two_temperature; it is {tau}.")
    return adjust(z, pi, tau)


def _log_softmax(z: NDArray[np.float64]) -> NDArray[np.float64]:
    # The largest logit taken away first, so that no exponential overflows.
    shifted = z - z.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def _subtract(
    z: NDArray[np.float64], prior: NDArray[np.float64], tau: float
) -> NDArray[np.float64]:
    return z - tau * np.log(prior)


def _add(z: NDArray[np.float64], prior: NDArray[np.float64], tau: float) -> NDArray[np.float64]:
    return z + tau * np.log(prior)


def _two_temperature(
    z: NDArray[np.float64], prior: NDArray[np.float64], tau: float
) -> NDArray[np.float64]:
    even = 1 / len(prior)
    return z / np.where(prior < even - 1e-12, tau, 1.0)


READINGS: Mapping[
    str, Callable[[NDArray[np.float64], NDArray[np.float64], float], NDArray[np.float64]]
] = MappingProxyType({"subtract": _subtract, "add": _add, "two_temperature": _two_temperature})
"""Each reading of the adjustment by name."""
