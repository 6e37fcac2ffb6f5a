"""Predictions keep their rules however they are made."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from osteoscope.core.errors import InputError
from osteoscope.core.predictions import Predictions


def made() -> Predictions:
    return Predictions(
        subject_id=np.array(["a", "b", "b"]),
        truth=np.array([0, 1, 1]),
        probabilities=np.array([[0.7, 0.3], [0.2, 0.8], [0.5, 0.5]]),
        classes=("no", "yes"),
        part=np.array(["test", "validation", "test"]),
        groups={"sex": np.array(["F", "M", "M"])},
    )


def test_what_is_not_given_is_unknown_not_invented() -> None:
    found = made()
    assert np.isnan(found.t_score).all()
    assert np.isnan(found.t_score_predicted).all()
    assert found.fold.tolist() == [0, 0, 0]
    assert not found.simulated
    bare = Predictions(found.subject_id, found.truth, found.probabilities, found.classes)
    assert bare.part.tolist() == ["test"] * 3


def test_reported_are_the_test_rows_or_else_all() -> None:
    found = made()
    assert found.reported().subject_id.tolist() == ["a", "b"]
    assert found.n_subjects == 2
    validation = found.select(found.part == "validation")
    assert validation.reported().subject_id.tolist() == ["b"]
    assert validation.groups["sex"].tolist() == ["M"]


def test_every_bad_row_is_named() -> None:
    with pytest.raises(InputError) as error:
        dataclasses.replace(
            made(),
            truth=np.array([0, 2, 1]),
            probabilities=np.array([[1.2, -0.2], [0.2, 0.8], [0.5, 0.6]]),
            part=np.array(["test", "test", "train"]),
        )
    assert str(error.value) == (
        "Predictions have bad rows: row 0: a probability is missing or outside 0 to 1; "
        "row 1: truth 2 is none of the 2 classes; row 2: the probabilities add up to 1.1, not 1; "
        "row 2: part 'train' is neither validation nor test."
    )


def test_two_digits_are_enough() -> None:
    thirds = np.full((3, 3), 0.33)
    found = Predictions(np.array(["a", "b", "c"]), np.arange(3), thirds, ("x", "y", "z"))
    assert found.probabilities.sum() == pytest.approx(2.97)
    with pytest.raises(InputError, match=r"add up to 0\.9"):
        Predictions(np.array(["a"]), np.array([0]), np.full((1, 3), 0.3), ("x", "y", "z"))


def test_shapes_that_do_not_fit_are_refused() -> None:
    found = made()
    with pytest.raises(InputError, match="one column for each of 3 classes"):
        dataclasses.replace(found, classes=("a", "b", "c"))
    with pytest.raises(InputError, match="'sex' has shape"):
        dataclasses.replace(found, groups={"sex": np.array(["F"])})
    with pytest.raises(InputError, match="two or more different classes"):
        dataclasses.replace(found, classes=("yes", "yes"))
    with pytest.raises(InputError, match="no rows"):
        found.select(np.zeros(3, dtype=bool))
