"""Splits: partitions by subject, stratified, deterministic, frozen by their hash."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osteoscope.core.errors import InputError
from osteoscope.core.split import Fold, Split
from osteoscope.core.split_schemes import (
    by_site,
    holdout,
    nested_kfold,
    paper_split,
    stratified_kfold,
)

Cohort = tuple[list[str], list[int]]


@st.composite
def cohorts(draw: st.DrawFn, smallest: int = 8) -> Cohort:
    """Subjects in any order, every class with at least ``smallest``."""
    counts = draw(st.lists(st.integers(smallest, 30), min_size=2, max_size=3))
    classes = [c for c, count in enumerate(counts) for _ in range(count)]
    names = [f"s{number}" for number in range(len(classes))]
    order = draw(st.permutations(range(len(classes))))
    return [names[i] for i in order], [classes[i] for i in order]


def per_class(part: tuple[str, ...], cohort: Cohort) -> Counter[int]:
    class_of = dict(zip(*cohort, strict=True))
    return Counter(class_of[subject] for subject in part)


def shuffled(cohort: Cohort) -> Cohort:
    pairs = sorted(zip(*cohort, strict=True), key=lambda pair: pair[0][::-1])
    return [name for name, _ in pairs], [index for _, index in pairs]


def austinspine() -> Cohort:
    classes = [2] * 46 + [1] * 136 + [0] * 207
    return [f"p{number:03d}" for number in range(389)], classes


def test_the_paper_s_numbers() -> None:
    """reference/medconv.md: 13 of each class twice; 20, 110 and 181 remain to train."""
    cohort = austinspine()
    (fold,) = paper_split(*cohort, seed=1).folds
    assert per_class(fold.validation, cohort) == {0: 13, 1: 13, 2: 13}
    assert per_class(fold.test, cohort) == {0: 13, 1: 13, 2: 13}
    assert per_class(fold.train, cohort) == {2: 20, 1: 110, 0: 181}
    assert paper_split(*cohort, seed=2).folds[0].test != fold.test


@given(cohorts(), st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_the_paper_s_split_is_a_partition(cohort: Cohort, seed: int) -> None:
    split = paper_split(*cohort, seed=seed, per_class=3)
    (fold,) = split.folds
    assert sorted((*fold.train, *fold.validation, *fold.test)) == sorted(cohort[0])
    assert set(per_class(fold.test, cohort).values()) == {3}
    assert paper_split(*shuffled(cohort), seed=seed, per_class=3) == split


@given(cohorts(), st.integers(2, 6), st.integers(0, 100), st.floats(0.05, 0.5))
@settings(max_examples=25, deadline=None)
def test_folds_test_everyone_once_and_are_stratified_within_one(
    cohort: Cohort, folds: int, seed: int, share: float
) -> None:
    split = stratified_kfold(*cohort, folds, seed, validation_share=share)
    tested = [subject for fold in split.folds for subject in fold.test]
    assert sorted(tested) == sorted(cohort[0])
    sizes = [len(fold.test) for fold in split.folds]
    assert max(sizes) - min(sizes) <= 1
    everyone = Counter(cohort[1])
    for index in everyone:
        counts = [per_class(fold.test, cohort)[index] for fold in split.folds]
        assert max(counts) - min(counts) <= 1
    for fold in split.folds:
        assert sorted((*fold.train, *fold.validation, *fold.test)) == sorted(cohort[0])
        train, validation = per_class(fold.train, cohort), per_class(fold.validation, cohort)
        for index in everyone:
            rest = train[index] + validation[index]
            assert train[index] >= 1
            assert validation[index] >= 1
            assert abs(validation[index] - share * rest) <= 1
    assert stratified_kfold(*shuffled(cohort), folds, seed, validation_share=share) == split


@given(cohorts(), st.integers(2, 3), st.integers(2, 4), st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_inner_folds_divide_what_is_not_tested(
    cohort: Cohort, folds: int, inner: int, seed: int
) -> None:
    split = nested_kfold(*cohort, folds, seed, inner)
    for fold in split.folds:
        rest = {*fold.train, *fold.validation}
        assert len(fold.inner) == inner
        validated = [subject for part in fold.inner for subject in part.validation]
        assert sorted(validated) == sorted(rest)
        for part in fold.inner:
            assert {*part.train, *part.validation} == rest
            assert not {*part.train, *part.validation} & set(fold.test)
            assert len(per_class(part.validation, cohort)) == len(set(cohort[1]))
    assert nested_kfold(*shuffled(cohort), folds, seed, inner) == split


@given(cohorts(), st.integers(0, 100), st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_a_site_is_tested_by_what_the_others_taught(cohort: Cohort, seed: int, random: Any) -> None:
    # Two subjects of each class at a site of their own leave enough at the other.
    sites = ["b"] * len(cohort[0])
    for index in set(cohort[1]):
        for place in random.sample([i for i, c in enumerate(cohort[1]) if c == index], 2):
            sites[place] = "a"
    split = by_site(*cohort, sites, seed)
    assert len(split.folds) == 2
    for fold, site in zip(split.folds, ("a", "b"), strict=True):
        assert set(fold.test) == {s for s, at in zip(cohort[0], sites, strict=True) if at == site}
        assert sorted((*fold.train, *fold.validation, *fold.test)) == sorted(cohort[0])


def test_a_holdout_is_one_fold_with_the_cohort_s_shares() -> None:
    names, classes = [f"s{k}" for k in range(100)], [0] * 60 + [1] * 30 + [2] * 10
    split = holdout(names, classes, 5, 3, 0.25)
    assert len(split.folds) == 1
    of = dict(zip(names, classes, strict=True))
    fold = split.folds[0]
    assert Counter(of[s] for s in fold.test) == {0: 12, 1: 6, 2: 2}
    assert Counter(of[s] for s in fold.validation) == {0: 12, 1: 6, 2: 2}
    assert len(fold.train) == 60


def test_a_seed_decides() -> None:
    cohort = austinspine()
    assert stratified_kfold(*cohort, 5, 3) == stratified_kfold(*cohort, 5, 3)
    assert stratified_kfold(*cohort, 5, 3) != stratified_kfold(*cohort, 5, 4)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda s, c: paper_split([*s, "p000"], [*c, 0], 0), "stands in the list twice"),
        (lambda s, c: paper_split(s, [-1, *c[1:]], 0), r"1 subject\(s\) have no class"),
        (lambda s, c: paper_split(s, c[1:], 0), "not one class for each"),
        (lambda s, c: paper_split(s[:0], c[:0], 0), "no subjects"),
        (
            lambda s, c: paper_split(s, c, 0, per_class=23),
            "Class 2 has 46 subjects, and at least 47",
        ),
        (lambda s, c: paper_split(s, c, 0, per_class=0), "at least 1"),
        (lambda s, c: paper_split(s, c, -1), "0 or above"),
        (lambda s, c: stratified_kfold(s, c, 1, 0), "2 or more"),
        (lambda s, c: stratified_kfold(s, c, 46, 0), "for 46 folds"),
        (lambda s, c: stratified_kfold(s, c, 5, 0, validation_share=0.0), "between 0 and 1"),
        (lambda s, c: nested_kfold(s, c, 5, 0, 1), "2 or more"),
        (lambda s, c: nested_kfold(s, c, 5, 0, 40), "for 40 folds"),
        (lambda s, c: by_site(s, c, ["a"] * 389, 0), "all subjects are of one site|All subjects"),
        (lambda s, c: by_site(s, c, [""] + ["a"] * 388, 0), "have no site"),
        (lambda s, c: by_site(s, c, ["a"], 0), "not one site"),
        (lambda s, c: by_site(s, c, ["a"] * 46 + ["b"] * 343, 0), "without site 'a'"),
    ],
)
def test_what_cannot_be_divided_says_why(make: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        make(*austinspine())
    assert "p000" not in str(caught.value)


def test_a_subject_on_two_sides_is_refused() -> None:
    with pytest.raises(InputError, match="two of its parts"):
        Fold(("a", "b"), ("c",), ("a",))
    with pytest.raises(InputError, match="two of its parts"):
        Fold(("a", "a"), ("c",), ("d",))
    with pytest.raises(InputError, match="to train on"):
        Fold((), ("c",), ("d",))


@pytest.mark.parametrize(
    "inner",
    [
        Fold(("a",), ("b",), ("t",)),
        Fold(("a",), (), ()),
        Fold(("a",), ("b", "t"), ()),
    ],
)
def test_inner_folds_that_see_the_test_or_lose_someone_are_refused(inner: Fold) -> None:
    with pytest.raises(InputError, match="inner fold"):
        Fold(("a",), ("b",), ("t",), (inner,))


def test_folds_are_over_the_same_subjects() -> None:
    with pytest.raises(InputError, match="different subjects"):
        Split("kfold", 0, (Fold(("a",), (), ()), Fold(("b",), (), ())))
    with pytest.raises(InputError, match="at least one fold"):
        Split("kfold", 0, ())


@given(cohorts(), st.integers(0, 10))
@settings(max_examples=10, deadline=None)
def test_the_file_gives_the_split_back(cohort: Cohort, seed: int) -> None:
    split = nested_kfold(*cohort, 2, seed, 2)
    again = Split.from_json(split.to_json())
    assert again == split
    assert again.digest == split.digest


def changed(**change: Any) -> str:
    stored = json.loads(paper_split(*austinspine(), seed=0).to_json())
    return json.dumps(stored | change)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "describes no split"),
        ("{}", "describes no split"),
        (changed(version=2), "is of version 2"),
        (changed(seed=1), "differs from its digest"),
        (changed(seed=True), "lacks its scheme"),
        (changed(seed="1"), "lacks its scheme"),
        (changed(folds={}), "lacks its scheme"),
        (changed(folds=[]), "at least one fold"),
        (changed(folds=[1]), "A fold has exactly"),
        (changed(folds=[{"train": "ab", "validation": [], "test": [], "inner": []}]), "train part"),
        (changed(folds=[{"train": ["a"], "validation": [], "test": [], "inner": 1}]), "are a list"),
        (
            changed(folds=[{"train": ["a"], "validation": ["a"], "test": [], "inner": []}]),
            "stand in",
        ),
        (changed(more=1), "differs from its digest"),
        (changed(digest="sha256:0"), "differs from its digest"),
        (paper_split(*austinspine(), seed=0).to_json().replace('"p001"', '"q001"'), "differs from"),
    ],
)
def test_a_file_that_was_changed_is_one_sentence(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        Split.from_json(text)
    assert "\n" not in str(caught.value)
