"""The numbers of an evaluation, each with its interval, and the curves beside them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscope.evaluation.calibration import CalibrationCurve
from osteoscope.evaluation.decision_curve import DecisionCurve
from osteoscope.evaluation.roc import RocCurve


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; what does not exist is nan, and ``note`` says why.

    Args:
        name: The metric's name.
        value: Of the rows as they are.
        low: Lower end.
        high: Upper end.
        n: Rows that it rests on.
        note: What is peculiar about it; empty where nothing is.
    """

    name: str
    value: float
    low: float
    high: float
    n: int
    note: str = ""

    def to_json(self) -> dict[str, float | int | str | None]:
        """JSON has no nan: what does not exist is null."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        content: dict[str, float | int | str | None] = {
            key: number if math.isfinite(number) else None for key, number in numbers.items()
        }
        return content | {"n": self.n} | ({"note": self.note} if self.note else {})


@dataclass(frozen=True, eq=False)
class Evaluation(Mapping[str, Estimate]):
    """Estimates by name, and the curves.

    Args:
        estimates: By name, see :func:`osteoscope.evaluation.evaluate.evaluate`.
        classes: Their names.
        positive: Index of the class that decisions are about.
        counts: (k, k) rows by true and predicted class.
        roc: A curve for each class, of two classes the positive one's; without those that no
            row or every row is of.
        calibration: Likewise.
        decision: Of the positive class; None where all or no rows are of it.
        n: Rows.
        n_subjects: Subjects.
        part: ``test`` or ``validation``.
        draws: Of the bootstrap.
        seed: Of the draws.
        simulated: Whether simulated subjects are among them.
    """

    estimates: Mapping[str, Estimate]
    classes: tuple[str, ...]
    positive: int
    counts: NDArray[np.int64]
    roc: tuple[RocCurve, ...]
    calibration: tuple[CalibrationCurve, ...]
    decision: DecisionCurve | None
    n: int
    n_subjects: int
    part: str
    draws: int
    seed: int
    simulated: bool

    def __getitem__(self, name: str) -> Estimate:
        return self.estimates[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.estimates)

    def __len__(self) -> int:
        return len(self.estimates)
