"""The same evaluation in parts of the cohort, withheld where a part is too small."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError
from osteoscope.core.predictions import Predictions
from osteoscope.evaluation.estimates import Estimate, Evaluation
from osteoscope.evaluation.evaluate import evaluate

MIN_SUBJECTS = 20
"""A group of fewer is named with its size, and nothing is said of it."""
MIN_OF_CLASS = 5
"""A metric that needs a class is withheld in a group with fewer rows of it."""
MAX_GROUPS = 12
"""A column of more different numbers is cut into thirds; one of more different texts refused."""

_NEEDS_ITS_CLASS = ("auc", "auprc", "sensitivity")
_NEEDS_EVERY_CLASS = ("macro_auc", "macro_sensitivity", "macro_specificity")


@dataclass(frozen=True, eq=False)
class Subgroup:
    """One part of the cohort.

    Args:
        column: By which the cohort was parted.
        name: The part: the column's value, or ``no value``.
        n: Rows.
        n_subjects: Subjects.
        evaluation: Of the part; None where it has fewer than :data:`MIN_SUBJECTS` subjects.
    """

    column: str
    name: str
    n: int
    n_subjects: int
    evaluation: Evaluation | None


def subgroups(
    predictions: Predictions,
    column: str,
    *,
    draws: int = 10_000,
    seed: int = 0,
    positive: str | None = None,
) -> list[Subgroup]:
    """Evaluate each part of a cohort by itself.

    Differences between parts are seldom real where there are many: the intervals, not the values,
    are what can be compared.

    Args:
        predictions: The ``test`` part counts, as in
            :func:`osteoscope.evaluation.evaluate.evaluate`.
        column: A name in ``predictions.groups``, or ``fold``.
        draws: Of the bootstrap, at least 100.
        seed: The same seed gives the same intervals.
        positive: The class that decisions are about; the last if not given.

    Raises:
        InputError: There is no such column, or it has too many different texts.
    """
    rows = predictions.reported()
    return [
        _subgroup(rows.select(inside), column, name, (draws, seed, positive))
        for name, inside in _parts(rows, column)
    ]


def _subgroup(
    part: Predictions, column: str, name: str, options: tuple[int, int, str | None]
) -> Subgroup:
    draws, seed, positive = options
    evaluation = None
    if part.n_subjects >= MIN_SUBJECTS:
        evaluation = _without_rare(part, evaluate(part, draws=draws, seed=seed, positive=positive))
    return Subgroup(column, name, len(part), part.n_subjects, evaluation)


def _parts(rows: Predictions, column: str) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    known = {**rows.groups, "fold": rows.fold}
    if column not in known:
        raise InputError(f"There is no column {column!r} to group by; there are {_names(known)}.")
    values = known[column]
    if values.dtype.kind not in "biuf":
        texts = values.astype(np.str_)
        words = sorted(set(texts.tolist()), key=lambda text: (text == "", text))
        if len(words) > MAX_GROUPS:
            raise InputError(
                f"The column {column!r} has {len(words)} different texts, which are too many "
                f"groups; give one with at most {MAX_GROUPS}."
            )
        yield from ((word or "no value", texts == word) for word in words)
        return
    numbers = values.astype(np.float64)
    given = np.isfinite(numbers)
    levels = np.unique(numbers[given])
    if len(levels) <= MAX_GROUPS:
        yield from ((f"{level:g}", numbers == level) for level in levels)
    else:
        lower, upper = np.quantile(numbers[given], [1 / 3, 2 / 3])
        yield f"up to {lower:.4g}", given & (numbers <= lower)
        yield f"{lower:.4g} to {upper:.4g}", given & (numbers > lower) & (numbers <= upper)
        yield f"above {upper:.4g}", given & (numbers > upper)
    if not given.all():
        yield "no value", ~given


def _names(known: dict[str, NDArray[np.generic]]) -> str:
    return ", ".join(sorted(known))


def _without_rare(part: Predictions, evaluation: Evaluation) -> Evaluation:
    """Estimates that rest on a handful of one class are taken away, with the reason."""
    sizes = np.bincount(part.truth, minlength=len(part.classes))
    estimates = dict(evaluation.estimates)
    for c, name in enumerate(part.classes):
        if sizes[c] >= MIN_OF_CLASS:
            continue
        reason = f"withheld: {sizes[c]} of {name}, fewer than {MIN_OF_CLASS}"
        for key, estimate in evaluation.items():
            its_own = key.startswith(_NEEDS_ITS_CLASS) and key.endswith(f"_{name}")
            if its_own or key in _NEEDS_EVERY_CLASS:
                estimates[key] = Estimate(key, math.nan, math.nan, math.nan, estimate.n, reason)
    return dataclasses.replace(evaluation, estimates=estimates)
