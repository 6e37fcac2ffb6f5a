"""How subjects are divided: the paper's way, stratified folds, nested folds, or site by site.

Every scheme takes one entry a subject and sorts the subjects first, so that neither the order of
a table nor the number of rows a subject has changes who goes where.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np

from osteoscope.core.errors import InputError
from osteoscope.core.split import Fold, Split

PAPER_PER_CLASS = 13
"""MedConv holds out 13 subjects of each class for validation and 13 of each for the test."""
VALIDATION_SHARE = 0.15
"""Share of those who are not tested that validates, where a scheme does not fix it; chosen."""

_Groups = dict[int, list[str]]
"""Subjects by class, shuffled."""


def paper_split(
    subjects: Sequence[str],
    class_index: Sequence[int],
    seed: int,
    per_class: int = PAPER_PER_CLASS,
) -> Split:
    """The MedConv paper's division: as many of each class to validate and to test, the rest train.

    With the paper's 46/136/207 subjects, 20/110/181 train. The paper reports validation and test
    subjects together, after choosing epoch and τ on them; here those who test never select.

    Args:
        subjects: One entry a subject.
        class_index: Class of each, 0 or above.
        seed: 0 or above.
        per_class: Subjects of each class to validate, and as many to test; 1 or more.

    Raises:
        InputError: A class is unknown, or too small to leave one subject for training.
    """
    if per_class < 1:
        raise InputError(f"per_class must be at least 1, not {per_class}.")
    groups = _shuffled(subjects, class_index, seed)
    _at_least(groups, 2 * per_class + 1, f"to hold out twice {per_class} and train")
    test = _sorted(group[:per_class] for group in groups.values())
    validation = _sorted(group[per_class : 2 * per_class] for group in groups.values())
    train = _sorted(group[2 * per_class :] for group in groups.values())
    return Split("paper", seed, (Fold(train, validation, test),))


def stratified_kfold(
    subjects: Sequence[str],
    class_index: Sequence[int],
    folds: int,
    seed: int,
    validation_share: float = VALIDATION_SHARE,
) -> Split:
    """Every subject is tested once; each class is spread over the folds as evenly as it goes.

    Test parts differ by one subject of a class at most, and by one subject in all.

    Args:
        subjects: One entry a subject.
        class_index: Class of each, 0 or above.
        folds: 2 or more; each class needs as many subjects, and one more.
        seed: 0 or above.
        validation_share: Share of those not tested that validate, of each class, at least one.

    Raises:
        InputError: A class is unknown or too small, or a number is out of range.
    """
    groups = _shuffled(subjects, class_index, seed)
    made = []
    for test, rest in _dealt(groups, folds):
        train, validation = _validated(rest, validation_share)
        made.append(Fold(train, validation, _sorted(test.values())))
    return Split("kfold", seed, tuple(made))


def holdout(
    subjects: Sequence[str],
    class_index: Sequence[int],
    folds: int,
    seed: int,
    validation_share: float = VALIDATION_SHARE,
) -> Split:
    """One fold of :func:`stratified_kfold`: a share ``1 / folds`` of each class is tested.

    For a cohort that is large enough to be divided once; validation and test keep the cohort's
    class shares, so that what is calibrated on them is calibrated for its like.

    Args:
        subjects: One entry a subject.
        class_index: Class of each, 0 or above.
        folds: 2 or more.
        seed: 0 or above.
        validation_share: Share of those not tested that validate.

    Raises:
        InputError: As for :func:`stratified_kfold`.
    """
    whole = stratified_kfold(subjects, class_index, folds, seed, validation_share)
    return Split("holdout", seed, whole.folds[:1])


def nested_kfold(
    subjects: Sequence[str],
    class_index: Sequence[int],
    folds: int,
    seed: int,
    inner_folds: int,
    *,
    validation_share: float = VALIDATION_SHARE,
) -> Split:
    """Stratified folds whose untested subjects are divided again, to choose among models.

    Each inner fold validates on its own part of the outer fold's train and validation subjects;
    together the inner folds validate on everyone once, and none sees the test.

    Args:
        subjects: One entry a subject.
        class_index: Class of each, 0 or above.
        folds: Outer folds, 2 or more.
        seed: 0 or above.
        inner_folds: Inner folds of each, 2 or more.
        validation_share: As in :func:`stratified_kfold`.

    Raises:
        InputError: A class is unknown or too small, or a number is out of range.
    """
    groups = _shuffled(subjects, class_index, seed)
    made = []
    for test, rest in _dealt(groups, folds):
        train, validation = _validated(rest, validation_share)
        inner = tuple(
            Fold(_sorted(others.values()), _sorted(part.values()), ())
            for part, others in _dealt(rest, inner_folds)
        )
        made.append(Fold(train, validation, _sorted(test.values()), inner))
    return Split("nested", seed, tuple(made))


def by_site(
    subjects: Sequence[str],
    class_index: Sequence[int],
    sites: Sequence[str],
    seed: int,
    *,
    validation_share: float = VALIDATION_SHARE,
) -> Split:
    """One fold a site: its subjects are tested by what the other sites taught.

    Args:
        subjects: One entry a subject.
        class_index: Class of each, 0 or above.
        sites: Site of each; none is empty. The folds follow the sites' sorted names.
        seed: 0 or above.
        validation_share: Share of the other sites' subjects that validate, of each class.

    Raises:
        InputError: A site is unknown, there is only one, a class is unknown or is too small
            without one of the sites, or a number is out of range.
    """
    if len(sites) != len(subjects):
        raise InputError("There is not one site for each subject.")
    unknown = sum(not site for site in sites)
    if unknown:
        raise InputError(f"{unknown} subject(s) have no site; a split by site needs each one's.")
    names = sorted(set(sites))
    if len(names) < 2:
        raise InputError("All subjects are of one site; a split by site needs two or more.")
    groups = _shuffled(subjects, class_index, seed)
    site_of = dict(zip(subjects, sites, strict=True))
    made = []
    for name in names:
        rest = {c: [s for s in group if site_of[s] != name] for c, group in groups.items()}
        _at_least(rest, 2, f"to train and to validate without site {name!r:.40}")
        train, validation = _validated(rest, validation_share)
        test = tuple(sorted(s for s, site in site_of.items() if site == name))
        made.append(Fold(train, validation, test))
    return Split("site", seed, tuple(made))


def _shuffled(subjects: Sequence[str], class_index: Sequence[int], seed: int) -> _Groups:
    """The subjects of each class in an order that the seed alone decides."""
    if len(subjects) != len(class_index):
        raise InputError("There is not one class for each subject.")
    if len(set(subjects)) < len(subjects):
        raise InputError(
            "A subject stands in the list twice; give each one once, however many rows it has."
        )
    unknown = sum(index < 0 for index in class_index)
    if unknown:
        raise InputError(f"{unknown} subject(s) have no class; leave them out of a split.")
    if not subjects:
        raise InputError("There are no subjects to divide.")
    if seed < 0:
        raise InputError(f"A seed must be 0 or above, not {seed}.")
    class_of = {s: int(c) for s, c in zip(subjects, class_index, strict=True)}
    groups: _Groups = {index: [] for index in sorted(set(class_of.values()))}
    for subject in sorted(class_of):
        groups[class_of[subject]].append(subject)
    rng = np.random.default_rng(seed)
    return {
        index: [group[i] for i in rng.permutation(len(group))] for index, group in groups.items()
    }


def _dealt(groups: _Groups, folds: int) -> list[tuple[_Groups, _Groups]]:
    """For each fold its part of every class, and the rest."""
    if folds < 2:
        raise InputError(f"Folds must be 2 or more, not {folds}.")
    _at_least(groups, folds + 1, f"for {folds} folds to train, validate and test")
    # Dealt like cards, one class after the other without a new start: no fold gets every leftover.
    fold_of: dict[str, int] = {}
    for number, subject in enumerate(chain.from_iterable(groups.values())):
        fold_of[subject] = number % folds
    return [
        (
            {c: [s for s in group if fold_of[s] == fold] for c, group in groups.items()},
            {c: [s for s in group if fold_of[s] != fold] for c, group in groups.items()},
        )
        for fold in range(folds)
    ]


def _validated(groups: _Groups, share: float) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Train and validation: of each class that share, rounded, but one on either side at least."""
    if not 0.0 < share < 1.0:
        raise InputError(f"The validation's share must lie between 0 and 1, not {share:g}.")
    counts = {
        index: min(max(1, round(share * len(group))), len(group) - 1)
        for index, group in groups.items()
    }
    validation = _sorted(group[: counts[index]] for index, group in groups.items())
    train = _sorted(group[counts[index] :] for index, group in groups.items())
    return train, validation


def _at_least(groups: _Groups, count: int, what_for: str) -> None:
    for index, group in groups.items():
        if len(group) < count:
            raise InputError(
                f"Class {index} has {len(group)} subjects, and at least {count} are needed "
                f"{what_for}."
            )


def _sorted(groups: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(sorted(chain.from_iterable(groups)))
