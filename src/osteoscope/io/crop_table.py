"""The table of a store of crops: one row a crop, typed columns, as CSV that any program reads."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError
from osteoscope.core.who import WHO_CLASSES, who_class
from osteoscope.io.csv_table import write_csv

Row = dict[str, Any]

COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "row": "int",
        "subject_id": "str",
        "level": "str",
        "t_score": "float",
        "class_index": "int",
        "age_years": "float",
        "sex": "str",
        "site": "str",
        "l1_hu": "float",
        "virtual_dxa_t": "float",
        "image_digest": "str",
        "simulated": "bool",
    }
)
"""The columns that every store has, with their kind. ``t_score``, ``age_years``, ``l1_hu`` (the
trabecular median of the row's own level) and ``virtual_dxa_t`` are nan where unknown or withheld,
``class_index`` is -1, texts are empty."""

UNKNOWN_CLASS = -1

_EMPTY: Mapping[str, Any] = {"int": UNKNOWN_CLASS, "float": math.nan, "str": "", "bool": False}
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "int": int, "float": (int, float), "str": str, "bool": bool
}  # fmt: skip
_SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_LONGEST_TEXT = 2000
_AGE_YEARS = (0.0, 130.0)


def checked_row(row: Mapping[str, Any]) -> Row:
    """A row with every required column, unknown ones filled with their word for unknown.

    Args:
        row: At least ``subject_id`` and ``level``; further columns may hold numbers, texts,
            booleans or None. ``class_index`` follows from ``t_score`` where it is not given;
            ``row`` is set when the store is finished.

    Raises:
        InputError: A value is of the wrong kind or range, or class and T-score contradict.
    """
    plain = {name: _plain(name, value) for name, value in row.items() if name != "row"}
    whole: Row = {}
    for name, kind in COLUMNS.items():
        if name != "row":
            whole[name] = _of_kind(name, plain.pop(name, None), kind)
    if not _SUBJECT.fullmatch(whole["subject_id"]) or not whole["level"]:
        raise InputError(
            "A row of a store needs a level and a subject_id of 1 to 64 letters, digits, '.', '_' "
            "or '-'."
        )
    if whole["sex"] not in ("F", "M", ""):
        raise InputError("The sex of a store's row must be F, M or empty.")
    if not (math.isnan(age := whole["age_years"]) or _AGE_YEARS[0] <= age <= _AGE_YEARS[1]):
        raise InputError(f"An age must lie in 0 to 130 years, not {age:g}.")
    whole["class_index"] = _class_index(whole["t_score"], whole["class_index"])
    for name in plain:
        if not _NAME.fullmatch(name):
            raise InputError(f"A column's name is lower-case letters, digits and _, not {name!r}.")
    return whole | plain


def _class_index(t_score: float, class_index: int) -> int:
    if not UNKNOWN_CLASS <= class_index < len(WHO_CLASSES):
        raise InputError(f"A class index must lie in -1 to 2, not {class_index}.")
    if math.isnan(t_score):
        return class_index
    expected = who_class(t_score)
    if class_index not in (UNKNOWN_CLASS, expected):
        raise InputError(
            f"A T-score of {t_score:g} is {WHO_CLASSES[expected]} by WHO, but the row's class is "
            f"{WHO_CLASSES[class_index]}; correct one of them."
        )
    return expected


def _plain(name: str, value: Any) -> Any:
    """The value as Python's own type; nan, which JSON does not have, as None."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not math.isfinite(value):
        if math.isinf(value):
            raise InputError(f"The column {name} holds finite numbers or nothing, not {value}.")
        return None
    if isinstance(value, str) and (len(value) > _LONGEST_TEXT or not value.isprintable()):
        raise InputError(f"A text in the column {name} is too long or holds control characters.")
    if value is not None and not isinstance(value, bool | int | float | str):
        raise InputError(f"The column {name} holds numbers or texts, not {type(value).__name__}.")
    return value


def _of_kind(name: str, value: Any, kind: str) -> Any:
    if value is None:
        return _EMPTY[kind]
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "bool"):
        raise InputError(f"The column {name} holds {kind}, not {type(value).__name__}.")
    return float(value) if isinstance(value, int) and kind == "float" else value


def column_kinds(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Kind of every column of checked rows: the required ones first, then in order of appearance.

    Raises:
        InputError: A column mixes texts and numbers.
    """
    kinds = dict(COLUMNS)
    for name in dict.fromkeys(name for row in rows for name in row):
        if name not in kinds:
            found = {type(row.get(name)) for row in rows} - {type(None)}
            kinds[name] = _kind(
                name, found, complete=all(row.get(name) is not None for row in rows)
            )
    return kinds


def _kind(name: str, found: set[type], *, complete: bool) -> str:
    if found == {str}:
        return "str"
    if found == {bool} and complete:
        return "bool"
    if found == {int} and complete:
        return "int"
    if found <= {int, float}:  # nothing known at all is numbers, for unknown texts are empty
        return "float"
    raise InputError(f"The column {name} mixes kinds of values; give it one.")


def write_crop_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Write checked rows as CSV, numbered from 0; nan and None are empty cells.

    Returns:
        Kind of every column.

    Raises:
        InputError: A column mixes kinds.
        OSError: The folder cannot be written.
    """
    kinds = column_kinds(rows)
    numbered = [{**row, "row": number} for number, row in enumerate(rows)]
    write_csv(path, [{name: _cell(row.get(name)) for name in kinds} for row in numbered])
    return kinds


def _cell(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def parse_crop_table(content: bytes, kinds: Mapping[str, str]) -> Mapping[str, NDArray[Any]]:
    """The columns of a table, read-only arrays of one length.

    Args:
        content: The CSV's bytes.
        kinds: Kind of each column, in the table's order.

    Raises:
        InputError: The table has other columns, or a cell does not fit its column.
    """
    try:
        lines = list(csv.reader(io.StringIO(content.decode("utf-8"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        raise InputError(
            "The store's table.csv is no CSV table; prepare the store again."
        ) from None
    if not lines or lines[0] != list(kinds):
        raise InputError(
            "The store's table.csv has other columns than its store.json; prepare it again."
        )
    body = lines[1:]
    if any(len(line) != len(kinds) for line in body):
        raise InputError("A row of the store's table.csv is incomplete; prepare the store again.")
    table = {}
    for place, (name, kind) in enumerate(kinds.items()):
        table[name] = _column(name, kind, [line[place] for line in body])
        table[name].setflags(write=False)
    return MappingProxyType(table)


def _column(name: str, kind: str, cells: list[str]) -> NDArray[Any]:
    try:
        if kind == "str":
            return np.array(cells, dtype=np.str_)
        if kind == "bool":
            return np.array([{"True": True, "False": False}[cell] for cell in cells], dtype=bool)
        if kind == "float":
            return np.array([float(cell) if cell else math.nan for cell in cells])
        return np.array([int(cell) for cell in cells], dtype=np.int64)
    except (ValueError, KeyError, OverflowError):
        raise InputError(
            f"The column {name} of the store's table.csv holds what is no {kind}; prepare the "
            "store again."
        ) from None
