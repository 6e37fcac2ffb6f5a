"""From a trained network's logits to probabilities and sets, chosen on validation subjects only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError
from osteoscope.evaluation.calibrators import (
    READINGS,
    Temperature,
    adjust_logits,
    probabilities,
)
from osteoscope.evaluation.conformal import METHODS, fit_conformal
from osteoscope.studies.tscore.class_shares import adjusted_shares

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AnswerConfig:
    """How logits become an answer.

    Args:
        reading: Of the post-hoc adjustment: see
            :func:`osteoscope.evaluation.calibrators.adjust_logits`; the default is the one that
            the official code evaluates with.
        tau: The paper's tau2, or ``validation``: the entry of ``tau_grid`` with the best macro
            sensitivity on validation subjects, of equals the one nearest to 0.
        tau_grid: What ``validation`` chooses from.
        temperature: ``validation`` fits one by the log loss; ``none`` is 1.
        coverage: Of the conformal sets, in (0, 1).
        sets: Score of the sets.
        class_conditional: Promise the coverage for each class by itself; larger sets.

    Raises:
        InputError: A field is out of its range.
    """

    reading: Literal["subtract", "add", "two_temperature"] = "subtract"
    tau: float | Literal["validation"] = 0.0
    tau_grid: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    temperature: Literal["validation", "none"] = "validation"
    coverage: float = 0.9
    sets: Literal["lac", "aps"] = "lac"
    class_conditional: bool = False

    def __post_init__(self) -> None:
        candidates = self.tau_grid if self.tau == "validation" else (self.tau,)
        least = "above 0" if self.reading == "two_temperature" else "0 or more"
        for tau in candidates:
            if not np.isfinite(tau) or tau < 0 or (tau == 0 and least == "above 0"):
                raise InputError(f"answer.tau must be {least}, not {tau:g}.")
        if not candidates:
            raise InputError("answer.tau_grid must hold a value for tau 'validation'.")
        if not 0 < self.coverage < 1:
            raise InputError(f"answer.coverage must lie between 0 and 1, not {self.coverage:g}.")
        assert self.reading in READINGS
        assert self.sets in METHODS


@dataclass(frozen=True)
class Answer:
    """A chosen way from logits to an answer.

    Args:
        reading: Of the adjustment.
        tau: Its strength.
        prior: (k,) class shares of the training rows.
        temperature: What adjusted logits are divided by.
        coverage: Of the sets.
        sets: Their score.
        thresholds: Of the sets: one, or one a class.
        validation_subjects: How many it was chosen on.
        refers_to: (k,) class shares among which the probabilities hold; None where the reading
            leaves none.
    """

    reading: str
    tau: float
    prior: tuple[float, ...]
    temperature: float
    coverage: float
    sets: str
    thresholds: tuple[float, ...]
    validation_subjects: int
    refers_to: tuple[float, ...] | None

    def probabilities(self, logits: NDArray[np.floating]) -> Floats:
        """(n, k) probabilities of (n, k) logits; NaN rows stay NaN."""
        adjusted = adjust_logits(logits, self.prior, self.tau, self.reading)
        return probabilities(adjusted / self.temperature)


@dataclass(frozen=True, eq=False)
class ValidationRows:
    """What an answer is chosen on.

    Args:
        logits: (n, k) of the validation rows.
        truth: (n,) their classes.
        subjects: (n,) their subjects; sets are fitted to the first row of each.
    """

    logits: NDArray[np.floating]
    truth: NDArray[np.int64]
    subjects: NDArray[np.str_]


def choose_answer(
    config: AnswerConfig,
    rows: ValidationRows,
    prior: tuple[float, ...],
    learned_shares: tuple[float, ...],
) -> Answer:
    """Choose tau, temperature and the sets' threshold on validation rows.

    The epoch was chosen on the same subjects, so that the sets' promise is somewhat optimistic;
    the coverage on test subjects, which the evaluation reports, shows by how much.

    Args:
        config: What to choose.
        rows: Of the validation part.
        prior: (k,) class shares of the training rows.
        learned_shares: (k,) class shares that the logits refer to before any adjustment; see
            :func:`osteoscope.studies.tscore.class_shares.learned_shares`.

    Raises:
        InputError: There are no validation rows.
    """
    logits, truth = rows.logits, rows.truth
    if not len(truth):
        raise InputError("The split has no validation subjects with a known class to choose on.")
    tau = _best_tau(config, logits, truth, prior) if config.tau == "validation" else config.tau
    adjusted = adjust_logits(logits, prior, tau, config.reading)
    refers_to = adjusted_shares(learned_shares, prior, tau, config.reading)
    temperature = 1.0
    if config.temperature == "validation":
        offset = _share_offset(truth, refers_to) if refers_to is not None else 0.0
        temperature = Temperature.fit(adjusted, truth, offset).value
    first = np.sort(np.unique(rows.subjects, return_index=True)[1])
    thresholds = fit_conformal(
        probabilities(adjusted / temperature)[first],
        truth[first],
        config.coverage,
        config.sets,
        config.class_conditional,
    )
    return Answer(
        reading=config.reading,
        tau=tau,
        prior=prior,
        temperature=temperature,
        coverage=config.coverage,
        sets=config.sets,
        thresholds=thresholds,
        validation_subjects=len(first),
        refers_to=refers_to,
    )


def _share_offset(truth: NDArray[np.int64], refers_to: tuple[float, ...]) -> Floats:
    """(k,) logarithm of the rows' class shares, half a row added to each, over ``refers_to``."""
    counts = np.bincount(truth, minlength=len(refers_to)) + 0.5
    return np.asarray(np.log(counts / counts.sum()) - np.log(refers_to))


def _best_tau(
    config: AnswerConfig,
    logits: NDArray[np.floating],
    truth: NDArray[np.int64],
    prior: tuple[float, ...],
) -> float:
    def macro_sensitivity(tau: float) -> float:
        chosen = adjust_logits(logits, prior, tau, config.reading).argmax(axis=1)
        return float(np.mean([(chosen[truth == c] == c).mean() for c in np.unique(truth)]))

    return max(sorted(config.tau_grid), key=macro_sensitivity)
