"""Who is trained on, who selects and who is tested: by subject, made once, with a hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from osteoscope.core.errors import InputError

_FORMAT, _VERSION = "osteoscope-split", 1
_FOLD_KEYS = ("train", "validation", "test", "inner")


@dataclass(frozen=True)
class Fold:
    """One division of the subjects.

    Args:
        train: Subjects whose crops train.
        validation: Subjects that choose the epoch, τ and the calibrator.
        test: Subjects that are only reported on; nothing that selects may see them.
        inner: Folds of train and validation together, for choosing among models; their ``test``
            is empty.

    Raises:
        InputError: A subject stands in two parts or twice in one, nobody is trained on, or an
            inner fold tests, or holds other subjects than train and validation.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    inner: tuple[Fold, ...] = ()

    def __post_init__(self) -> None:
        everyone = (*self.train, *self.validation, *self.test)
        if len(set(everyone)) < len(everyone):
            count = len(everyone) - len(set(everyone))
            raise InputError(
                f"{count} subject(s) of a fold stand in two of its parts or twice in one; a "
                "subject belongs to one part."
            )
        if not self.train:
            raise InputError("A fold without subjects to train on cannot be used.")
        chosen_from = {*self.train, *self.validation}
        for fold in self.inner:
            if fold.test or fold.inner or {*fold.train, *fold.validation} != chosen_from:
                raise InputError(
                    "An inner fold divides its outer fold's train and validation subjects, all of "
                    "them, and tests nobody."
                )

    @property
    def subjects(self) -> frozenset[str]:
        """Everybody in it."""
        return frozenset((*self.train, *self.validation, *self.test))


@dataclass(frozen=True)
class Split:
    """Every fold of one scheme.

    Args:
        scheme: How it was made, for example ``kfold``.
        seed: What it was drawn from.
        folds: One or more, all over the same subjects.

    Raises:
        InputError: There is no fold, or the folds are over different subjects.
    """

    scheme: str
    seed: int
    folds: tuple[Fold, ...]

    def __post_init__(self) -> None:
        if not self.folds:
            raise InputError("A split has at least one fold.")
        if any(fold.subjects != self.folds[0].subjects for fold in self.folds):
            raise InputError("The folds of a split are over different subjects.")

    @property
    def subjects(self) -> frozenset[str]:
        """Everybody in it."""
        return self.folds[0].subjects

    @property
    def digest(self) -> str:
        """SHA-256 of the split's canonical JSON: the same division, the same digest."""
        canonical = json.dumps(self._content(), sort_keys=True, separators=(",", ":"))
        return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"

    def to_json(self) -> str:
        """The split as a file that :meth:`from_json` reads, its digest in it."""
        return json.dumps(self._content() | {"digest": self.digest}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Split:
        """Read a split.

        Raises:
            InputError: The text is no split, is of an unknown version, was changed since it was
                made (its digest does not fit), or divides nobody properly.
        """
        try:
            stored = json.loads(text)
        except (ValueError, RecursionError):
            raise InputError("The split is not valid JSON; make it again.") from None
        if not isinstance(stored, dict) or stored.get("format") != _FORMAT:
            raise InputError("The file describes no split; make one with osteoscope tscore split.")
        if stored.get("version") != _VERSION:
            raise InputError(
                f"The split is of version {stored.get('version')!r:.20}, and this osteoscope reads "
                f"version {_VERSION}; make it again, or update osteoscope."
            )
        split = _split_of(cls, stored)
        if stored.get("digest") != split.digest or set(stored) != {*split._content(), "digest"}:
            raise InputError(
                "The split differs from its digest: it was changed by hand or damaged; a split is "
                "made once, so take the original or make another."
            )
        return split

    def _content(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "version": _VERSION,
            "scheme": self.scheme,
            "seed": self.seed,
            "folds": [_fold_dict(fold) for fold in self.folds],
        }


def _fold_dict(fold: Fold) -> dict[str, Any]:
    return {
        "train": list(fold.train),
        "validation": list(fold.validation),
        "test": list(fold.test),
        "inner": [_fold_dict(inner) for inner in fold.inner],
    }


def _split_of(kind: type[Split], stored: Mapping[str, Any]) -> Split:
    scheme, seed, folds = stored.get("scheme"), stored.get("seed"), stored.get("folds")
    if (
        not isinstance(scheme, str)
        or not isinstance(seed, int)
        or isinstance(seed, bool)
        or not isinstance(folds, list)
    ):
        raise InputError("The split lacks its scheme, its seed or its folds; make it again.")
    return kind(scheme, seed, tuple(_fold_of(fold) for fold in folds))


def _fold_of(stored: object, inner: bool = False) -> Fold:
    if not isinstance(stored, dict) or set(stored) != set(_FOLD_KEYS):
        raise InputError(f"A fold has exactly {', '.join(_FOLD_KEYS)}; make the split again.")
    for name in _FOLD_KEYS[:3]:
        part = stored[name]
        if not isinstance(part, list) or not all(isinstance(s, str) for s in part):
            raise InputError(f"The {name} part of a fold is no list of subjects; make it again.")
    if not isinstance(stored["inner"], list) or (inner and stored["inner"]):
        raise InputError("Inner folds are a list and have none themselves; make the split again.")
    return Fold(
        tuple(stored["train"]),
        tuple(stored["validation"]),
        tuple(stored["test"]),
        tuple(_fold_of(fold, inner=True) for fold in stored["inner"]),
    )
