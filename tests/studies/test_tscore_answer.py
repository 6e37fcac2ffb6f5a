"""What is chosen on validation subjects, against a cohort whose posterior is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from osteoscope.core.errors import InputError
from osteoscope.studies.tscore.answer import AnswerConfig, ValidationRows, choose_answer

PRIOR = (0.6, 0.3, 0.1)


def _cohort(n: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.str_]]:
    """Log posteriors of three Gaussians under the long-tailed prior, twice too sure."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, size=n, p=PRIOR).astype(np.int64)
    x = truth + rng.normal(0, 0.8, n)
    log_posterior = -((x[:, None] - np.arange(3)) ** 2) / (2 * 0.8**2) + np.log(PRIOR)
    return log_posterior, truth, np.array([f"s{k}" for k in range(n)])


def test_the_balanced_optimum_is_chosen_on_a_long_tail() -> None:
    logits, truth, subjects = _cohort(20_000, 1)
    answer = choose_answer(
        AnswerConfig(tau="validation"), ValidationRows(logits, truth, subjects), PRIOR, PRIOR
    )
    assert answer.tau == 1.0


def test_a_temperature_undoes_too_much_confidence() -> None:
    logits, truth, subjects = _cohort(20_000, 2)
    answer = choose_answer(
        AnswerConfig(), ValidationRows(2 * logits, truth, subjects), PRIOR, PRIOR
    )
    assert answer.temperature == pytest.approx(2.0, rel=0.05)


def test_sets_keep_their_promise_on_fresh_subjects() -> None:
    logits, truth, subjects = _cohort(2_000, 3)
    answer = choose_answer(
        AnswerConfig(coverage=0.9), ValidationRows(logits, truth, subjects), PRIOR, PRIOR
    )
    fresh, answers, _ = _cohort(20_000, 4)
    true = answer.probabilities(fresh)[np.arange(len(answers)), answers]
    assert (1 - true <= answer.thresholds[0]).mean() == pytest.approx(0.9, abs=0.02)


def test_several_rows_of_a_subject_count_once() -> None:
    logits, truth, _ = _cohort(60, 5)
    subjects = np.repeat([f"s{k}" for k in range(20)], 3)
    answer = choose_answer(AnswerConfig(), ValidationRows(logits, truth, subjects), PRIOR, PRIOR)
    assert answer.validation_subjects == 20


def test_of_equal_taus_the_smallest_stands() -> None:
    logits = np.array([[9.0, 0, 0], [0, 9.0, 0], [0, 0, 9.0]])
    answer = choose_answer(
        AnswerConfig(tau="validation", tau_grid=(1.0, 0.5, 0.0)),
        ValidationRows(logits, np.arange(3), np.array(["a", "b", "c"])),
        PRIOR,
        PRIOR,
    )
    assert answer.tau == 0.0


@pytest.mark.parametrize(
    "fields",
    [
        {"tau": -1.0},
        {"reading": "two_temperature", "tau": 0.0},
        {"coverage": 1.0},
        {"tau": "validation", "tau_grid": ()},
    ],
)
def test_a_field_out_of_range_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(InputError):
        AnswerConfig(**fields)  # type: ignore[arg-type]


def test_nothing_to_choose_on_is_refused() -> None:
    empty = np.zeros(0)
    with pytest.raises(InputError, match="validation"):
        choose_answer(
            AnswerConfig(),
            ValidationRows(np.zeros((0, 3)), empty.astype(np.int64), empty.astype(str)),
            PRIOR,
            PRIOR,
        )
