"""What a cohort table may say of a subject: T-score, WHO class, age, sex and site."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeVar

from osteoscope.core.who import WHO_CLASSES, who_class

T = TypeVar("T")

Record = Mapping[Hashable, object]
"""A row of the table: cell by column."""

_T_SCORES, _AGES_YEARS, _LONGEST_SITE = (-12.0, 12.0), (0.0, 130.0), 64
_SEXES: Mapping[str, Literal["F", "M"]] = MappingProxyType(
    {"f": "F", "female": "F", "m": "M", "male": "M"}
)


@dataclass(frozen=True)
class SubjectLabels:
    """What is known of a subject; None where the table does not say.

    Args:
        t_score: DXA T-score.
        class_index: Into ``WHO_CLASSES``, from the class or else from the T-score.
        age_years: Age at the scan.
        sex: ``F`` or ``M``.
        site: Hospital or scanner, for splits and subgroups.
    """

    t_score: float | None = None
    class_index: int | None = None
    age_years: float | None = None
    sex: Literal["F", "M"] | None = None
    site: str | None = None


def label_problems(records: Sequence[Record]) -> list[str]:
    """One phrase a bad cell; row numbers count the header as row 1, as spreadsheets do.

    Args:
        records: The table's rows, cell by column; columns may be missing, cells empty.
    """
    phrases = []
    for number, record in enumerate(records, start=2):
        bad = {
            column: words
            for column, (reads, words) in _CELLS.items()
            if not _is_empty(record.get(column)) and reads(record[column]) is None
        }
        phrases += [f"row {number}: {column} must be {words}" for column, words in bad.items()]
        if not bad and (contradiction := _contradiction(record)):
            phrases.append(f"row {number}: {contradiction}")
    return phrases


def labels_of(record: Record) -> SubjectLabels:
    """The labels of a row in which :func:`label_problems` found nothing."""
    t_score = _cell(record, "t_score", _t_score)
    index = _cell(record, "class", _class_index)
    return SubjectLabels(
        t_score=t_score,
        class_index=who_class(t_score) if index is None and t_score is not None else index,
        age_years=_cell(record, "age_years", _age_years),
        sex=_cell(record, "sex", _sex),
        site=_cell(record, "site", _site),
    )


def _contradiction(record: Record) -> str | None:
    t_score = _cell(record, "t_score", _t_score)
    index = _cell(record, "class", _class_index)
    if t_score is None or index is None or index == who_class(t_score):
        return None
    return (
        f"class {WHO_CLASSES[index]} contradicts t_score {t_score:g}, which is "
        f"{WHO_CLASSES[who_class(t_score)]} by WHO; correct one or leave it empty"
    )


def _cell(record: Record, column: str, reads: Callable[[object], T | None]) -> T | None:
    value = record.get(column)
    return None if _is_empty(value) else reads(value)


def _is_empty(value: object) -> bool:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    return not str(value).strip() or str(value) in ("NaT", "<NA>")


def _number(value: object, limits: tuple[float, float]) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if limits[0] <= number <= limits[1] else None


def _t_score(value: object) -> float | None:
    return _number(value, _T_SCORES)


def _age_years(value: object) -> float | None:
    return _number(value, _AGES_YEARS)


def _class_index(value: object) -> int | None:
    name = str(value).strip().lower()
    return WHO_CLASSES.index(name) if name in WHO_CLASSES else None


def _sex(value: object) -> Literal["F", "M"] | None:
    return _SEXES.get(str(value).strip().lower())


def _site(value: object) -> str | None:
    name = str(value).strip()
    return name if len(name) <= _LONGEST_SITE and name.isprintable() else None


_CELLS: Mapping[str, tuple[Callable[[object], object], str]] = MappingProxyType(
    {
        "t_score": (_t_score, f"a number from {_T_SCORES[0]:g} to {_T_SCORES[1]:g}, or empty"),
        "class": (_class_index, f"{', '.join(WHO_CLASSES[:2])} or {WHO_CLASSES[2]}, or empty"),
        "age_years": (_age_years, "a number of years from 0 to 130, or empty"),
        "sex": (_sex, "F or M, or empty"),
        "site": (_site, f"a name of at most {_LONGEST_SITE} characters, or empty"),
    }
)
"""How each column's cell is read (None where it cannot be), and what it must be."""
