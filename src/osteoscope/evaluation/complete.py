"""All that a report holds: the evaluation, its parts, its rivals and its conformal sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from osteoscope.core.errors import InputError
from osteoscope.core.predictions import Predictions
from osteoscope.evaluation.compare import Comparison, compare
from osteoscope.evaluation.conformal import METHODS, SetReport, conformal_report
from osteoscope.evaluation.estimates import Evaluation
from osteoscope.evaluation.evaluate import MIN_DRAWS, evaluate
from osteoscope.evaluation.subgroups import Subgroup, subgroups


@dataclass(frozen=True)
class EvaluationConfig:
    """How to evaluate.

    Args:
        groups: Columns by which the cohort is parted, see
            :func:`osteoscope.evaluation.subgroups.subgroups`.
        positive: The class that decisions are about; the last if not given.
        draws: Of every bootstrap, at least 100.
        seed: Of every bootstrap.
        coverage: That conformal sets are asked for, in (0, 1).
    """

    groups: tuple[str, ...] = ()
    positive: str | None = None
    draws: int = 10_000
    seed: int = 0
    coverage: float = 0.9

    def __post_init__(self) -> None:
        if self.draws < MIN_DRAWS:
            raise InputError(f"A 95 % interval needs {MIN_DRAWS} draws or more, not {self.draws}.")
        if not 0 < self.coverage < 1:
            raise InputError(f"The coverage must lie between 0 and 1, not at {self.coverage}.")
        if self.seed < 0:
            raise InputError(f"A seed is a whole number from 0, not {self.seed}.")


@dataclass(frozen=True, eq=False)
class CompleteEvaluation:
    """What :func:`evaluate_completely` finds.

    Args:
        rows: The rows that were evaluated.
        evaluation: Of all of them.
        subgroups: Of each column's parts, in the order asked for.
        comparisons: With each rival, by its name.
        conformal: One for each method; empty where no validation part was there to fit to.
        config: As given.
    """

    rows: Predictions
    evaluation: Evaluation
    subgroups: tuple[Subgroup, ...]
    comparisons: Mapping[str, Comparison]
    conformal: tuple[SetReport, ...]
    config: EvaluationConfig


def evaluate_completely(
    predictions: Predictions,
    config: EvaluationConfig | None = None,
    *,
    against: Mapping[str, Predictions] | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> CompleteEvaluation:
    """Evaluate, by subgroups too, compare with each rival, and test conformal sets.

    Args:
        predictions: The ``test`` part is evaluated, the ``validation`` part fits conformal sets.
        config: How; the defaults if not given.
        against: Other models' predictions of the same subjects, by a name to call them by.
        on_stage: Called with the name of each stage before it begins.

    Raises:
        InputError: A class or column does not exist, or a rival is about other subjects.
    """
    config = config or EvaluationConfig()
    say = on_stage or (lambda _: None)
    say("evaluating")
    evaluation = evaluate(
        predictions, draws=config.draws, seed=config.seed, positive=config.positive
    )
    parts: list[Subgroup] = []
    for column in config.groups:
        say(f"evaluating by {column}")
        parts += subgroups(
            predictions,
            column,
            draws=config.draws,
            seed=config.seed,
            positive=config.positive,
        )
    comparisons = {}
    for name, other in (against or {}).items():
        say(f"comparing with {name}")
        comparisons[name] = compare(
            predictions, other, draws=config.draws, seed=config.seed, positive=config.positive
        )
    say("testing conformal sets")
    reports = [
        conformal_report(predictions, config.coverage, method, by_class)
        for method in METHODS
        for by_class in (False, True)
    ]
    return CompleteEvaluation(
        rows=predictions.reported(),
        evaluation=evaluation,
        subgroups=tuple(parts),
        comparisons=comparisons,
        conformal=tuple(report for report in reports if report is not None),
        config=config,
    )
