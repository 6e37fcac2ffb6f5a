"""Predictions tables: this package's own, and anybody's with ``subject_id``, ``truth``, ``p_*``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError
from osteoscope.core.predictions import Predictions, listed, row_problems
from osteoscope.core.who import WHO_CLASSES
from osteoscope.io.cohort_table import read_table

if TYPE_CHECKING:
    import pandas as pd

_PREFIX = "p_"
_T_SCORES = ("t_score", "t_score_predicted")
_OWN = ("subject_id", "fold", "part", "truth", "simulated", *_T_SCORES)
_TRUE = {"true": True, "1": True, "1.0": True, "yes": True}
_FALSE = {"false": False, "0": False, "0.0": False, "no": False, "": False}


def read_predictions(path: Path) -> Predictions:
    """Read a table of predictions (CSV, XLSX or Parquet).

    Needed are ``subject_id``, ``truth`` (a class's name, or its position among the ``p_``
    columns from 0) and a column ``p_<class>`` a class. One single ``p_<class>`` stands for two
    classes, the other being ``not <class>``. ``fold``, ``part``, ``t_score``,
    ``t_score_predicted`` and ``simulated`` are read where they stand; every other column becomes
    a group. The WHO classes are put into rising severity; others keep the columns' order.

    Raises:
        InputError: A column is missing or rows are bad; every bad row is named, counting the
            header as row 1 as spreadsheets do.
    """
    frame = read_table(path)
    named = [c for c in frame.columns if isinstance(c, str) and c.startswith(_PREFIX) and c != "p_"]
    for column, present in (
        ("subject_id", "subject_id" in frame.columns),
        ("truth", "truth" in frame.columns),
        ("p_<class>", bool(named)),
    ):
        if not present:
            raise InputError(
                f"The table {path.name} lacks the column {column!r}; a table of predictions has "
                "subject_id, truth and one column p_<class> for each class."
            )
    if frame.empty:
        raise InputError(f"The table {path.name} has no rows.")
    classes = tuple(column[len(_PREFIX) :] for column in named)
    phrases: list[tuple[int, str]] = []
    probabilities = np.column_stack([_numbers(frame, name, phrases) for name in named])
    if len(classes) == 1:
        classes = (f"not {classes[0]}", classes[0])
        probabilities = np.column_stack([1 - probabilities[:, 0], probabilities[:, 0]])
    truth = _class_indices(frame["truth"], classes, phrases)
    part = _texts(frame, "part", "test")
    _empty_cells(frame, "subject_id", phrases)
    fold, t_score, t_predicted = (_numbers(frame, name, phrases) for name in ("fold", *_T_SCORES))
    simulated = _flags(frame, phrases)
    # What could not be read is said once, as unreadable.
    said = {row for row, _ in phrases}
    checked = row_problems(np.where(truth < 0, 0, truth), probabilities, part)
    phrases += [(row, words) for row, words in checked if row not in said]
    if phrases:
        rows = [f"row {row + 2}: {words}" for row, words in sorted(phrases)]
        raise InputError(f"The table {path.name} has bad rows: {listed(rows)}")
    order = _rising(classes)
    others = [c for c in frame.columns if c not in _OWN and c not in named]
    return Predictions(
        subject_id=frame["subject_id"].astype(str).to_numpy(dtype=np.str_),
        truth=np.argsort(order)[truth],
        probabilities=probabilities[:, order],
        classes=tuple(classes[i] for i in order),
        fold=np.nan_to_num(fold).astype(np.int64),
        part=part,
        t_score=t_score,
        t_score_predicted=t_predicted,
        groups={str(name): _group(frame[name]) for name in others},
        simulated=simulated,
    )


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write predictions as CSV or Parquet, so that :func:`read_predictions` gives them back.

    The file is written beside its place and renamed: an older one stays whole until then.

    Raises:
        InputError: The suffix is neither ``.csv`` nor ``.parquet``, or a group has the name of
            another column.
        OSError: The folder may not be written or has no room.
    """
    import pandas as pd

    suffix = path.suffix.lower()
    if suffix not in {".csv", ".parquet"}:
        raise InputError(f"Predictions are written as .csv or .parquet, not {suffix or path.name}.")
    columns: dict[str, Any] = {
        "subject_id": predictions.subject_id,
        "fold": predictions.fold,
        "part": predictions.part,
        "truth": np.asarray(predictions.classes)[predictions.truth],
    }
    for index, name in enumerate(predictions.classes):
        columns[f"{_PREFIX}{name}"] = predictions.probabilities[:, index]
    columns["t_score"] = predictions.t_score
    columns["t_score_predicted"] = predictions.t_score_predicted
    columns["simulated"] = np.full(len(predictions), predictions.simulated)
    for name, values in predictions.groups.items():
        if name in columns or name.startswith(_PREFIX):
            raise InputError(f"A group may not be called {name!r}; that column has a meaning.")
        columns[name] = values
    frame = pd.DataFrame(columns)
    partial = path.with_name(f".{path.name}.partial")
    if suffix == ".csv":
        frame.to_csv(partial, index=False, lineterminator="\n")
    else:
        frame.to_parquet(partial, index=False)
    partial.replace(path)


def _rising(classes: tuple[str, ...]) -> list[int]:
    """The positions of the classes in the order in which they are kept."""
    if set(classes) == set(WHO_CLASSES):
        return [classes.index(name) for name in WHO_CLASSES]
    return list(range(len(classes)))


def _numbers(frame: pd.DataFrame, name: str, phrases: list[tuple[int, str]]) -> NDArray[np.float64]:
    """A column as numbers, nan where a cell is empty or the column is not there."""
    import pandas as pd

    if name not in frame.columns:
        return np.full(len(frame), np.nan)
    numbers = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64)
    given = frame[name].notna().to_numpy()
    for row in np.flatnonzero(given & ~np.isfinite(numbers)):
        phrases.append((int(row), f"{name} is {str(frame[name].iloc[row])!r}, not a number"))
    return numbers


def _class_indices(
    column: pd.Series[Any], classes: tuple[str, ...], phrases: list[tuple[int, str]]
) -> NDArray[np.int64]:
    by_word = {str(index): index for index in range(len(classes))}
    if len(classes) == 2:
        by_word |= {"False": 0, "True": 1}
    by_word |= {name: index for index, name in enumerate(classes)}
    indices = np.full(len(column), -1, dtype=np.int64)
    for row, cell in enumerate(column):
        # A column with an empty cell turns 1 into 1.0.
        whole = isinstance(cell, float) and cell.is_integer()
        word = str(int(cell)) if whole else str(cell).strip()
        indices[row] = by_word.get(word, -1)
        if cell is None or cell != cell:
            phrases.append((row, "truth is empty"))
        elif indices[row] < 0:
            phrases.append((row, f"truth {word!r} is none of {', '.join(classes)}"))
    return indices


def _empty_cells(frame: pd.DataFrame, name: str, phrases: list[tuple[int, str]]) -> None:
    for row in np.flatnonzero(frame[name].isna().to_numpy()):
        phrases.append((int(row), f"{name} is empty"))


def _texts(frame: pd.DataFrame, name: str, default: str) -> NDArray[np.str_]:
    if name not in frame.columns:
        return np.full(len(frame), default)
    return frame[name].fillna(default).astype(str).to_numpy(dtype=np.str_)


def _flags(frame: pd.DataFrame, phrases: list[tuple[int, str]]) -> bool:
    if "simulated" not in frame.columns:
        return False
    words = frame["simulated"].fillna("").astype(str).str.strip().str.lower()
    for row, word in enumerate(words):
        if word not in _TRUE and word not in _FALSE:
            phrases.append((row, f"simulated is {word!r}, neither true nor false"))
    return any(word in _TRUE for word in words)


def _group(column: pd.Series[Any]) -> NDArray[Any]:
    """Numbers as they are, everything else as text, empty where a cell is."""
    import pandas as pd

    if pd.api.types.is_integer_dtype(column) and column.notna().all():
        return column.to_numpy(dtype=np.int64)
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        numbers: NDArray[Any] = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return numbers
    return column.astype(object).where(column.notna(), "").astype(str).to_numpy(dtype=np.str_)
