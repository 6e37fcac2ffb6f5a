"""Cohort tables: one row a scan, checked as a whole before any work begins."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from osteoscope.core.errors import InputError
from osteoscope.io.subject_labels import SubjectLabels, label_problems, labels_of

if TYPE_CHECKING:
    import pandas as pd

TABLE_SUFFIXES = (".csv", ".xlsx", ".parquet")
_ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_MAX_LISTED = 20
_AS_TEXT = {"subject_id": str, "site": str}
"""Columns whose leading zeros are part of a name."""


@dataclass(frozen=True)
class CohortScan:
    """One row of a cohort table.

    Args:
        subject_id: Name of the subject's folder in the output; letters, digits, ``._-``.
        image: The scan: a file, a folder or an archive.
        segmentation: Label file or folder of masks, where there is one.
        subregions: TPTBox subregion file, where there is one.
    """

    subject_id: str
    image: Path
    segmentation: Path | None = None
    subregions: Path | None = None


@dataclass(frozen=True)
class LabelledScan:
    """One row of a cohort table with what is known of the subject; None is unknown.

    Args:
        scan: Where its files are.
        labels: T-score, class, age, sex and site.
    """

    scan: CohortScan
    labels: SubjectLabels


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV, XLSX or Parquet table, every cell of ``subject_id`` and ``site`` as text.

    Raises:
        InputError: The file is missing, of another kind or cannot be parsed.
    """
    import pandas as pd

    suffix = path.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        raise InputError(
            f"A table is {', '.join(TABLE_SUFFIXES)}, not {suffix or 'without suffix'}."
        )
    if not path.is_file():
        raise InputError(f"The table {path.name} does not exist.")
    try:
        if suffix == ".csv":
            return _read_csv(path)
        if suffix == ".xlsx":
            return pd.read_excel(path, dtype=_AS_TEXT)
        return pd.read_parquet(path)
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"The table {path.name} cannot be read: {reason}.") from None


def _read_csv(path: Path) -> pd.DataFrame:
    """The table; a subject may be called ``NA`` or ``nan``, and is empty only where nothing is."""
    import pandas as pd

    frame = pd.read_csv(path, dtype=_AS_TEXT)
    if "subject_id" in frame.columns:
        named = pd.read_csv(path, usecols=["subject_id"], dtype=str, keep_default_na=False)
        frame["subject_id"] = named["subject_id"].replace("", None)
    return frame


def read_cohort_table(path: Path) -> tuple[CohortScan, ...]:
    """Read and check a cohort table: ``subject_id``, ``image``, optional ``segmentation``,
    ``subregions``; paths relative to the table's folder.

    Returns:
        One :class:`CohortScan` a row, in the table's order.

    Raises:
        InputError: A column is missing or rows are bad; every bad row is named at once.
    """
    frame = _checked_frame(path)
    return tuple(_row(record, path.parent) for record in frame.to_dict(orient="records"))


def read_labelled_cohort(path: Path) -> tuple[LabelledScan, ...]:
    """Read and check a cohort table with what is known of each subject.

    As :func:`read_cohort_table`, with the optional columns ``t_score`` (-12 to 12), ``class``
    (``normal``, ``osteopenia``, ``osteoporosis``), ``age_years`` (0 to 130), ``sex`` (F or M) and
    ``site`` (a name of at most 64 characters). An empty cell is unknown.

    Returns:
        One :class:`LabelledScan` a row, in the table's order.

    Raises:
        InputError: A column is missing or rows are bad, a class and a T-score that contradict
            each other among them; every bad row is named at once.
    """
    frame = _checked_frame(path, label_problems)
    return tuple(
        LabelledScan(_row(record, path.parent), labels_of(record))
        for record in frame.to_dict(orient="records")
    )


def _checked_frame(
    path: Path, more: Callable[[Sequence[Mapping[Hashable, object]]], list[str]] | None = None
) -> pd.DataFrame:
    """The table, once nothing in it is wrong; ``more`` finds what else may be."""
    frame = read_table(path)
    missing = [name for name in ("subject_id", "image") if name not in frame.columns]
    if missing:
        raise InputError(
            f"The table {path.name} lacks the column {missing[0]!r}; a cohort table has "
            "subject_id and image, and may have segmentation and subregions."
        )
    if frame.empty:
        raise InputError(f"The table {path.name} has no rows.")
    problems = _problems(frame, path.parent)
    if more is not None:
        problems += more(frame.to_dict(orient="records"))
    if problems:
        shown = "; ".join(problems[:_MAX_LISTED])
        rest = f"; and {len(problems) - _MAX_LISTED} more" if len(problems) > _MAX_LISTED else ""
        raise InputError(f"The table {path.name} has bad rows: {shown}{rest}.")
    return frame


def _problems(frame: pd.DataFrame, folder: Path) -> list[str]:
    """One phrase a bad cell; row numbers count the header as row 1, as spreadsheets do."""
    import pandera.errors
    import pandera.pandas as pa

    def exists(cell: object) -> bool:
        try:
            return (folder / str(cell)).exists()
        except OSError:  # no file system takes such a name
            return False

    path_exists = pa.Check(exists, element_wise=True, error="names a path that does not exist")
    schema = pa.DataFrameSchema(
        {
            "subject_id": pa.Column(
                None,
                [
                    pa.Check(
                        lambda ids: ids.astype(str).str.fullmatch(_ID_PATTERN),
                        error="must be 1 to 64 letters, digits, '.', '_' or '-', and not begin "
                        "with a sign",
                    ),
                    pa.Check(
                        lambda ids: ~ids.duplicated(keep=False),
                        error="stands in more than one row; give each scan its own",
                    ),
                ],
            ),
            "image": pa.Column(None, path_exists),
            "segmentation": pa.Column(None, path_exists, nullable=True, required=False),
            "subregions": pa.Column(None, path_exists, nullable=True, required=False),
        }
    )
    try:
        schema.validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        cases = errors.failure_cases
        phrases = []
        for column, check, index in zip(
            cases["column"], cases["check"], cases["index"], strict=True
        ):
            words = "is empty" if str(check) == "not_nullable" else str(check)
            row = f"row {int(index) + 2}: " if index is not None and index == index else ""
            phrases.append(f"{row}{column} {words}")
        return list(dict.fromkeys(phrases))
    return []


def _row(record: Mapping[Hashable, object], folder: Path) -> CohortScan:
    def path_of(column: str) -> Path | None:
        cell = record.get(column)
        return folder / cell if isinstance(cell, str) and cell else None

    return CohortScan(
        subject_id=str(record["subject_id"]),
        image=folder / str(record["image"]),
        segmentation=path_of("segmentation"),
        subregions=path_of("subregions"),
    )
