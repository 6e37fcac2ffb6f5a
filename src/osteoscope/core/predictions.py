"""What a classifier said of subjects whose truth is known: the rows that evaluation works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError

PARTS = ("validation", "test")
"""Selection (epoch, tau, threshold, calibrator) may see the first and never the second."""

_ROUNDED_TO = 0.01
"""Tables often hold probabilities of two digits, each wrong by half of this."""
_MAX_LISTED = 20


@dataclass(frozen=True, eq=False)
class Predictions:
    """Class probabilities, and T-scores where there are any, one row a prediction.

    A subject may have several rows (vertebrae, scans); resampling then draws whole subjects.

    Args:
        subject_id: (n,) text.
        truth: (n,) index into ``classes``.
        probabilities: (n, k), each in [0, 1], rows adding up to 1 within the rounding of two
            digits.
        classes: The k names, at least two; rising severity where they have an order.
        fold: (n,) number of the fold that made the row; all 0 where not given.
        part: (n,) ``validation`` or ``test``; all ``test`` where not given.
        t_score: (n,) true T-score, nan where unknown; all nan where not given.
        t_score_predicted: (n,) predicted T-score, nan where there is none.
        groups: Further columns of n entries, by which subgroups can be formed.
        simulated: Whether any row is of a simulated subject.

    Raises:
        InputError: Lengths differ or a row cannot be used; every bad row is named by its
            position from 0.
    """

    subject_id: NDArray[np.str_]
    truth: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    classes: tuple[str, ...]
    fold: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    part: NDArray[np.str_] = field(default_factory=lambda: np.zeros(0, np.str_))
    t_score: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    t_score_predicted: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    groups: Mapping[str, NDArray[Any]] = field(default_factory=lambda: MappingProxyType({}))
    simulated: bool = False

    def __post_init__(self) -> None:
        n = len(self.subject_id)
        self._set("subject_id", np.asarray(self.subject_id, dtype=np.str_))
        self._set("truth", np.asarray(self.truth, dtype=np.int64))
        self._set("probabilities", np.asarray(self.probabilities, dtype=np.float64))
        self._set("fold", _filled(self.fold, n, 0, np.int64))
        self._set("part", _filled(self.part, n, "test", np.str_))
        self._set("t_score", _filled(self.t_score, n, np.nan, np.float64))
        self._set("t_score_predicted", _filled(self.t_score_predicted, n, np.nan, np.float64))
        groups = {name: np.asarray(column) for name, column in self.groups.items()}
        self._set("groups", MappingProxyType(groups))
        self._check_shapes(n)
        problems = row_problems(self.truth, self.probabilities, self.part)
        if problems:
            raise InputError(
                "Predictions have bad rows: "
                + listed([f"row {row}: {words}" for row, words in problems])
            )

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _check_shapes(self, n: int) -> None:
        if n == 0:
            raise InputError("Predictions have no rows; give at least one subject.")
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            raise InputError(
                f"Predictions need two or more different classes, not {list(self.classes)}."
            )
        if self.probabilities.shape != (n, len(self.classes)):
            raise InputError(
                f"Probabilities have shape {self.probabilities.shape}, not one row for each of "
                f"{n} subjects and one column for each of {len(self.classes)} classes."
            )
        columns = {
            "truth": self.truth,
            "fold": self.fold,
            "part": self.part,
            "t_score": self.t_score,
            "t_score_predicted": self.t_score_predicted,
            **self.groups,
        }
        for name, column in columns.items():
            if column.shape != (n,):
                raise InputError(f"The column {name!r} has shape {column.shape}, not ({n},).")

    def __len__(self) -> int:
        return len(self.subject_id)

    @property
    def n_subjects(self) -> int:
        """How many different subjects there are."""
        return len(np.unique(self.subject_id))

    def select(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Predictions:
        """The rows of a mask or of positions, in that order.

        Raises:
            InputError: No row is left.
        """
        return Predictions(
            subject_id=self.subject_id[rows],
            truth=self.truth[rows],
            probabilities=self.probabilities[rows],
            classes=self.classes,
            fold=self.fold[rows],
            part=self.part[rows],
            t_score=self.t_score[rows],
            t_score_predicted=self.t_score_predicted[rows],
            groups={name: column[rows] for name, column in self.groups.items()},
            simulated=self.simulated,
        )

    def reported(self) -> Predictions:
        """The rows that a report is about: those of the test part; without any, validation's."""
        test = self.part == "test"
        return self.select(test) if test.any() else self


def row_problems(
    truth: NDArray[np.int64], probabilities: NDArray[np.float64], part: NDArray[np.str_]
) -> list[tuple[int, str]]:
    """Every row that cannot be used, with the rule that it breaks.

    Args:
        truth: (n,) class index.
        probabilities: (n, k).
        part: (n,).

    Returns:
        Position from 0 and a phrase, in the order of the rows.
    """
    k = probabilities.shape[1]
    total = probabilities.sum(axis=1)
    with np.errstate(invalid="ignore"):
        inside = np.all((probabilities >= 0) & (probabilities <= 1), axis=1)
        whole = np.asarray(np.abs(total - 1) <= 0.5 * _ROUNDED_TO * k + 1e-9)
    known = np.asarray((truth >= 0) & (truth < k))
    named = np.isin(part, PARTS)
    bad = ~(inside & whole & known & named)
    problems = []
    for row in np.flatnonzero(bad):
        if not known[row]:
            problems.append((int(row), f"truth {truth[row]} is none of the {k} classes"))
        if not inside[row]:
            problems.append((int(row), "a probability is missing or outside 0 to 1"))
        elif not whole[row]:
            problems.append((int(row), f"the probabilities add up to {total[row]:.3g}, not 1"))
        if not named[row]:
            problems.append((int(row), f"part {str(part[row])!r} is neither validation nor test"))
    return problems


def listed(phrases: list[str]) -> str:
    """The phrases as one, the first twenty in full."""
    more = len(phrases) - _MAX_LISTED
    return "; ".join(phrases[:_MAX_LISTED]) + (f"; and {more} more" if more > 0 else "") + "."


def _filled(column: object, n: int, default: object, dtype: type) -> NDArray[Any]:
    array: NDArray[Any] = np.asarray(column, dtype=dtype)
    return array if array.size else np.full(n, default).astype(dtype)
