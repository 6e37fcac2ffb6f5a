"""Parts of a cohort, and when nothing is said of them."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from osteoscope.core.errors import InputError
from osteoscope.evaluation import evaluate
from osteoscope.evaluation.subgroups import MIN_SUBJECTS, subgroups
from tests.evaluation.made_predictions import made_predictions


def test_each_part_is_evaluated_by_itself() -> None:
    made = made_predictions(200)
    women, men = subgroups(made, "sex", draws=100)
    assert (women.name, men.name) == ("F", "M")
    assert women.n + men.n == 200
    alone = evaluate(made.select(made.groups["sex"] == "F"), draws=100)
    assert women.evaluation is not None
    assert women.evaluation["accuracy"] == alone["accuracy"]


def test_small_parts_are_named_and_withheld() -> None:
    made = made_predictions(100)
    site = np.where(np.arange(100) < MIN_SUBJECTS - 1, "small", "large")
    large, small = subgroups(dataclasses.replace(made, groups={"site": site}), "site", draws=100)
    assert (small.n, small.evaluation) == (MIN_SUBJECTS - 1, None)
    assert large.evaluation is not None


def test_metrics_of_a_rare_class_are_withheld_with_the_reason() -> None:
    made = made_predictions(100)
    severe = np.flatnonzero(made.truth == 2)
    kept = np.setdiff1d(np.arange(100), severe[4:])
    part = made.select(kept)
    (found,) = subgroups(
        dataclasses.replace(part, groups={"site": np.full(len(part), "a")}), "site", draws=100
    )
    assert found.evaluation is not None
    for name in ("auc_osteoporosis", "macro_auc", "sensitivity_at_specificity_90_osteoporosis"):
        assert math.isnan(found.evaluation[name].value)
        assert found.evaluation[name].note == "withheld: 4 of osteoporosis, fewer than 5"
    assert math.isfinite(found.evaluation["specificity_osteoporosis"].value)
    assert math.isfinite(found.evaluation["auc_normal"].value)


def test_many_numbers_are_cut_into_thirds() -> None:
    made = made_predictions(150)
    age = np.linspace(40, 90, 150)
    age[:25] = np.nan
    parts = subgroups(dataclasses.replace(made, groups={"age": age}), "age", draws=100)
    assert [p.name.split()[0] for p in parts] == ["up", "62.26", "above", "no"]
    assert sum(p.n for p in parts) == 150
    assert parts[-1].n == 25


def test_folds_and_few_numbers_are_parts() -> None:
    made = made_predictions(90)
    folds = subgroups(dataclasses.replace(made, fold=np.arange(90) % 3), "fold", draws=100)
    assert [(p.name, p.n) for p in folds] == [("0", 30), ("1", 30), ("2", 30)]


def test_columns_that_cannot_be_used_are_refused() -> None:
    made = made_predictions(30)
    with pytest.raises(InputError, match="there are fold, sex"):
        subgroups(made, "site")
    many = dataclasses.replace(made, groups={"name": made.subject_id})
    with pytest.raises(InputError, match="30 different texts"):
        subgroups(many, "name")
