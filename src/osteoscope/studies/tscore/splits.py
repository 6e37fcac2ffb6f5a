"""Divide a store's subjects by a named scheme, once, into a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from osteoscope.core.errors import InputError
from osteoscope.core.registry import look_up
from osteoscope.core.split import Split
from osteoscope.core.split_schemes import (
    PAPER_PER_CLASS,
    VALIDATION_SHARE,
    by_site,
    holdout,
    nested_kfold,
    paper_split,
    stratified_kfold,
)
from osteoscope.core.who import WHO_CLASSES
from osteoscope.io.crop_store import CropStore

_LARGEST_SPLIT = 1 << 28


@dataclass(frozen=True)
class SplitOptions:
    """How subjects are divided; each scheme takes what it needs.

    Args:
        scheme: ``paper``, ``kfold``, ``holdout``, ``nested`` or ``site``.
        seed: 0 or above.
        folds: Folds of ``kfold``, outer folds of ``nested``; ``holdout`` tests one of so many.
        inner_folds: Inner folds of ``nested``.
        per_class: Subjects of each class that ``paper`` holds out twice.
        validation_share: Share of the untested subjects that validates; ``paper`` fixes its own.
    """

    scheme: str = "paper"
    seed: int = 0
    folds: int = 5
    inner_folds: int = 4
    per_class: int = PAPER_PER_CLASS
    validation_share: float = VALIDATION_SHARE


@dataclass(frozen=True)
class Subjects:
    """The subjects of a store, one entry each however many rows they have.

    Args:
        names: Those whose class is known.
        class_index: Theirs.
        sites: Theirs; empty where unknown.
        n_without_class: Subjects that no split can hold.
    """

    names: tuple[str, ...]
    class_index: tuple[int, ...]
    sites: tuple[str, ...]
    n_without_class: int


def store_subjects(store: CropStore) -> Subjects:
    """Who is in a store.

    Raises:
        InputError: The rows of a subject disagree on its class or its site, or nobody has a class.
    """
    names, first, inverse = np.unique(
        store.column("subject_id"), return_index=True, return_inverse=True
    )
    for column in ("class_index", "site"):
        values = store.column(column)
        differing = np.unique(inverse[values != values[first][inverse]]).size
        if differing:
            raise InputError(
                f"The rows of {differing} subject(s) of the store differ in {column}; correct the "
                "cohort table and prepare it again."
            )
    classes, sites = store.column("class_index")[first], store.column("site")[first]
    known = classes >= 0
    if not known.any():
        raise InputError(
            "No subject of the store has a class; give t_score or class in the cohort table and "
            "prepare it again."
        )
    return Subjects(
        tuple(names[known].tolist()),
        tuple(classes[known].tolist()),
        tuple(sites[known].tolist()),
        int(np.count_nonzero(~known)),
    )


def make_split(store: CropStore, options: SplitOptions) -> Split:
    """Divide a store's subjects; those without a class are in no part.

    Raises:
        InputError: Unknown scheme, a class or a site too small, or a number out of range.
    """
    divide = look_up(SCHEMES, options.scheme, "split scheme")
    return divide(store_subjects(store), options)


def default_split(store: CropStore, seed: int) -> Split:
    """:func:`default_split_of` everybody in a store whose class is known.

    Raises:
        InputError: A class has fewer than three subjects, or nobody has a class.
    """
    return default_split_of(store_subjects(store), seed)


def default_split_of(subjects: Subjects, seed: int) -> Split:
    """The paper's split; of a cohort too small for it, with a third of the smallest class held out
    for validation and a third for the test.

    Args:
        subjects: One or more.
        seed: 0 or above.

    Raises:
        InputError: A class has fewer than three subjects.
    """
    counts = np.bincount(subjects.class_index, minlength=len(WHO_CLASSES))
    smallest = int(counts[counts > 0].min())
    enough = smallest > 2 * PAPER_PER_CLASS
    per_class = PAPER_PER_CLASS if enough else max(1, smallest // 3)
    return _paper(subjects, SplitOptions("paper", seed, per_class=per_class))


def _paper(subjects: Subjects, options: SplitOptions) -> Split:
    return paper_split(subjects.names, subjects.class_index, options.seed, options.per_class)


def _kfold(subjects: Subjects, options: SplitOptions) -> Split:
    return stratified_kfold(
        subjects.names,
        subjects.class_index,
        options.folds,
        options.seed,
        validation_share=options.validation_share,
    )


def _holdout(subjects: Subjects, options: SplitOptions) -> Split:
    return holdout(
        subjects.names,
        subjects.class_index,
        options.folds,
        options.seed,
        options.validation_share,
    )


def _nested(subjects: Subjects, options: SplitOptions) -> Split:
    return nested_kfold(
        subjects.names,
        subjects.class_index,
        options.folds,
        options.seed,
        options.inner_folds,
        validation_share=options.validation_share,
    )


def _site(subjects: Subjects, options: SplitOptions) -> Split:
    return by_site(
        subjects.names,
        subjects.class_index,
        subjects.sites,
        options.seed,
        validation_share=options.validation_share,
    )


SCHEMES: Mapping[str, Callable[[Subjects, SplitOptions], Split]] = MappingProxyType(
    {"paper": _paper, "kfold": _kfold, "holdout": _holdout, "nested": _nested, "site": _site}
)
"""Every scheme by the name that ``--scheme`` takes."""


def write_split(path: Path, split: Split) -> None:
    """Write a split to a file that is made once.

    Raises:
        InputError: The file holds something else, or the folder cannot be written.
    """
    if path.exists():
        try:
            same = read_split(path) == split
        except InputError:
            same = False
        if same:
            return
        raise InputError(
            f"{path.name} exists and holds another split or something else; a split is made once: "
            "choose another name, or delete it."
        )
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(split.to_json(), encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise InputError(f"The split {path.name} cannot be written: {error.strerror}.") from None


def read_split(path: Path) -> Split:
    """The split of a file.

    Raises:
        InputError: The file cannot be read, is no split or was changed since it was made.
    """
    try:
        if path.stat().st_size > _LARGEST_SPLIT:
            raise InputError(f"The file {path.name} is too large to be a split.")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise InputError(
            f"The split {path.name} cannot be read; make one with osteoscope tscore split."
        ) from None
    return Split.from_json(text)
