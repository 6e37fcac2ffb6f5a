"""The stores of the paper's tables, and the one split that all of them share.

Table III compares two segmenters. A crop that fails with one of them would give each its own test
patients, and the difference of the patients would pass for one of the segmenters; so both are
divided alike, over the subjects that both have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from osteoscope.core.errors import InputError
from osteoscope.core.split import Split
from osteoscope.io.crop_store import CropStore
from osteoscope.studies.tscore.splits import (
    Subjects,
    default_split_of,
    read_split,
    store_subjects,
)


@dataclass(frozen=True, eq=False)
class TableCohort:
    """Whom tables are made of.

    Args:
        folders: Of the stores: the first segmenter's, then the second's.
        stores: The same, open.
        split: Of all stores alike.
        left_out: A store: its subjects of known class that are not in the split.
    """

    folders: tuple[Path, ...]
    stores: tuple[CropStore, ...]
    split: Split
    left_out: tuple[int, ...]

    @property
    def simulated(self) -> bool:
        """Whether a store holds simulated subjects."""
        return any(store.simulated for store in self.stores)


def open_cohort(folders: Sequence[Path], split: Path | None) -> TableCohort:
    """Open the stores and divide the subjects that they share.

    Args:
        folders: One store, or two of the same patients.
        split: A split file; None makes the paper's split (seed 0) of the subjects of known class
            that every store has.

    Raises:
        InputError: No store or more than two; the stores have no subject in common or disagree on
            a subject's class; the split names a subject who is not in every store with a class.
    """
    if not 1 <= len(folders) <= 2:
        raise InputError("Give one store, or two (Table III's segmenters).")
    stores = tuple(CropStore.open(folder) for folder in folders)
    subjects = [store_subjects(store) for store in stores]
    shared = _shared(subjects)
    chosen = default_split_of(shared, 0) if split is None else _checked(read_split(split), subjects)
    return TableCohort(
        folders=tuple(folders),
        stores=stores,
        split=chosen,
        left_out=tuple(len(set(found.names) - chosen.subjects) for found in subjects),
    )


def _shared(subjects: Sequence[Subjects]) -> Subjects:
    """Those who are in every store."""
    first, others = subjects[0], subjects[1:]
    everywhere = set(first.names).intersection(*(other.names for other in others))
    if not everywhere:
        raise InputError(
            "The two stores have no subject of known class in common; Table III compares two "
            "segmenters on the same patients."
        )
    classes = dict(zip(first.names, first.class_index, strict=True))
    for other in others:
        differing = sum(
            name in everywhere and classes[name] != index
            for name, index in zip(other.names, other.class_index, strict=True)
        )
        if differing:
            raise InputError(
                f"{differing} subject(s) have another class in the second store than in the "
                "first; prepare both from one cohort table."
            )
    kept = [k for k, name in enumerate(first.names) if name in everywhere]
    return Subjects(
        names=tuple(first.names[k] for k in kept),
        class_index=tuple(first.class_index[k] for k in kept),
        sites=tuple(first.sites[k] for k in kept),
        n_without_class=first.n_without_class,
    )


def _checked(split: Split, subjects: Sequence[Subjects]) -> Split:
    for number, found in enumerate(subjects, start=1):
        strangers = len(split.subjects - set(found.names))
        if strangers:
            which = f"store {number}" if len(subjects) > 1 else "the store"
            raise InputError(
                f"The split names {strangers} subject(s) who have no crop of known class in "
                f"{which}; give a split of subjects that every store has, or none."
            )
    return split
