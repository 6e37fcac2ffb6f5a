"""Sets of classes that hold the true one with a stated probability: split conformal prediction."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError
from osteoscope.core.predictions import Predictions
from osteoscope.core.registry import look_up
from osteoscope.evaluation.estimates import Estimate
from osteoscope.evaluation.proportion import wilson_interval

Thresholds = tuple[float, ...]
"""One for all classes, or one a class."""
EVERY_CLASS = 1.0
"""A threshold that no score exceeds."""
_ROUNDING = 1e-12


def fit_conformal(
    probabilities: NDArray[np.float64],
    truth: NDArray[np.int64],
    coverage: float,
    method: str = "lac",
    class_conditional: bool = False,
) -> Thresholds:
    """The threshold that sets need to hold the true class with at least this probability.

    The score's quantile of rank ``ceil((n + 1) coverage)`` among n validation subjects (Vovk et
    al., 2005; Angelopoulos & Bates, Found Trends Mach Learn 2023, section 1). The promise is
    about the average over future subjects that are exchangeable with these, not about one of
    them; ``class_conditional`` makes it for each true class by itself, at the price of larger
    sets. Where there are too few subjects for the rank, every set holds every class (or that
    class): for 0.90 that is fewer than 9, for 0.95 fewer than 19.

    Args:
        probabilities: (n, k) of subjects that neither training nor testing sees, one row each.
        truth: (n,) class index.
        coverage: In (0, 1).
        method: One of :data:`METHODS`.
        class_conditional: Whether each class gets its own threshold.

    Returns:
        One threshold, or k.

    Raises:
        InputError: Coverage out of range, unknown method, or no subjects.
    """
    if not 0 < coverage < 1:
        raise InputError(f"The coverage must lie between 0 and 1, not at {coverage}.")
    if len(truth) == 0:
        raise InputError("Conformal sets need validation subjects; there are none.")
    scores = look_up(METHODS, method, "conformal method")(probabilities)
    true = scores[np.arange(len(truth)), truth]
    if not class_conditional:
        return (_quantile(true, coverage),)
    return tuple(_quantile(true[truth == c], coverage) for c in range(probabilities.shape[1]))


def prediction_sets(
    probabilities: NDArray[np.float64], thresholds: Thresholds, method: str = "lac"
) -> NDArray[np.bool_]:
    """The classes of each set.

    A set of ``lac`` can be empty: no class is as probable as true ones usually are. A set of
    ``aps`` always holds the most probable class.

    Args:
        probabilities: (n, k).
        thresholds: From :func:`fit_conformal`, with the same method.
        method: One of :data:`METHODS`.

    Returns:
        (n, k), true where the class is in the set.

    Raises:
        InputError: Unknown method, or neither one threshold nor one a class.
    """
    k = probabilities.shape[1]
    if len(thresholds) not in {1, k}:
        raise InputError(f"There must be 1 or {k} conformal thresholds, not {len(thresholds)}.")
    scores = look_up(METHODS, method, "conformal method")(probabilities)
    inside = scores <= np.asarray(thresholds) + _ROUNDING
    if method == "aps":
        inside[np.arange(len(inside)), probabilities.argmax(axis=1)] = True
    return np.asarray(inside)


@dataclass(frozen=True)
class SetReport:
    """How conformal sets did on subjects that they were not fitted to.

    Args:
        method: One of :data:`METHODS`.
        class_conditional: Whether the promise was made for each class.
        promised: Coverage that was asked for.
        coverage: Share of sets that hold the true class, with Wilson's interval.
        by_class: The same among each true class.
        mean_size: Classes in a set.
        single: Share of sets of exactly one class.
        empty: Share of empty sets.
    """

    method: str
    class_conditional: bool
    promised: float
    coverage: Estimate
    by_class: Mapping[str, Estimate]
    mean_size: float
    single: float
    empty: float


def conformal_report(
    predictions: Predictions,
    coverage: float = 0.9,
    method: str = "lac",
    class_conditional: bool = False,
) -> SetReport | None:
    """Fit on each fold's validation part, test on the same fold's test part, pool the folds.

    Intervals count subjects. With several rows a subject the rows are not exchangeable one by
    one, so each subject's first validation row is fitted to.

    Returns:
        None where a fold with a test part lacks a validation part.

    Raises:
        InputError: Coverage out of range or unknown method.
    """
    sets, tested = [], []
    for fold in np.unique(predictions.fold[predictions.part == "test"]):
        inside = predictions.fold == fold
        validation = np.flatnonzero(inside & (predictions.part == "validation"))
        if not validation.size:
            return None
        test = predictions.select(inside & (predictions.part == "test"))
        _, first = np.unique(predictions.subject_id[validation], return_index=True)
        fitted = predictions.select(validation[np.sort(first)])
        thresholds = fit_conformal(
            fitted.probabilities, fitted.truth, coverage, method, class_conditional
        )
        sets.append(prediction_sets(test.probabilities, thresholds, method))
        tested.append(test)
    if not sets:
        return None
    inside = np.concatenate(sets)
    truth = np.concatenate([test.truth for test in tested])
    subjects = np.concatenate([test.subject_id for test in tested])
    held = inside[np.arange(len(truth)), truth]
    size = inside.sum(axis=1)
    return SetReport(
        method=method,
        class_conditional=class_conditional,
        promised=coverage,
        coverage=_coverage("coverage", held, subjects),
        by_class={
            name: _coverage(f"coverage_{name}", held[truth == c], subjects[truth == c])
            for c, name in enumerate(predictions.classes)
            if (truth == c).any()
        },
        mean_size=float(size.mean()),
        single=float((size == 1).mean()),
        empty=float((size == 0).mean()),
    )


def _coverage(name: str, held: NDArray[np.bool_], subjects: NDArray[np.str_]) -> Estimate:
    share = float(held.mean())
    low, high = wilson_interval(share, len(np.unique(subjects)))
    return Estimate(name, share, float(low), float(high), len(held))


def _quantile(scores: NDArray[np.float64], coverage: float) -> float:
    # (n + 1) * 0.9 may come out a rounding above the whole number that it is.
    rank = math.ceil((len(scores) + 1) * coverage - _ROUNDING)
    return EVERY_CLASS if rank > len(scores) else float(np.sort(scores)[rank - 1])


def _lac(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least ambiguous sets: 1 less the probability (Sadinle, Lei & Wasserman, JASA 2019)."""
    return np.asarray(1 - probabilities)


def _aps(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adaptive sets: the probability of this class and of all more probable ones.

    Romano, Sesia & Candes, NeurIPS 2020, without their random part, so that a subject's set does
    not depend on chance; sets are a little larger for it.
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")
    running = np.cumsum(np.take_along_axis(probabilities, order, axis=1), axis=1)
    scores = np.empty_like(running)
    np.put_along_axis(scores, order, running, axis=1)
    return np.minimum(scores, EVERY_CLASS)


METHODS: Mapping[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = MappingProxyType(
    {"lac": _lac, "aps": _aps}
)
"""The score of every class, (n, k) to (n, k); low fits well."""
