"""Calibration from a table that the user keeps: one line a scanner and tube voltage."""

from __future__ import annotations

import csv
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from osteoscope.core.errors import InputError
from osteoscope.core.volume import KVP_TOLERANCE, Acquisition
from osteoscope.densitometry.calibration.line import MINERALS, Calibration, Mineral

_REQUIRED = (
    "scanner_model", "kvp", "mineral", "slope_mg_cm3_per_hu", "slope_se", "intercept_mg_cm3",
    "intercept_se",
)  # fmt: skip
_OPTIONAL = ("kernel", "correlation", "source")


@dataclass(frozen=True)
class TableRow:
    """One calibrated scanner.

    Args:
        scanner_model: As the file's header writes it; compared without regard to case and space.
        kvp: Peak tube voltage.
        mineral: ``HA`` or ``K2HPO4``.
        slope_mg_cm3_per_hu: Positive.
        slope_se: Standard error of the slope.
        intercept_mg_cm3: Density at 0 HU.
        intercept_se: Standard error of the intercept.
        kernel: The reconstruction kernel it holds for; empty where it holds for all.
        correlation: Of slope and intercept, -1 to 1; None where unknown.
        source: Where the line comes from.
    """

    scanner_model: str
    kvp: float
    mineral: Mineral
    slope_mg_cm3_per_hu: float
    slope_se: float
    intercept_mg_cm3: float
    intercept_se: float
    kernel: str = ""
    correlation: float | None = None
    source: str = ""


def read_calibration_table(path: Path) -> tuple[TableRow, ...]:
    """The rows of a calibration table, checked.

    Args:
        path: CSV with the columns ``scanner_model, kvp, mineral, slope_mg_cm3_per_hu, slope_se,
            intercept_mg_cm3, intercept_se`` and, by choice, ``kernel, correlation, source``; or
            TOML with the same keys in ``[[calibration]]`` tables.

    Raises:
        InputError: The file cannot be read, a column is missing or unknown, or any value is not
            usable; every bad row is named at once.
    """
    try:
        if path.suffix.lower() == ".toml":
            records = tomllib.loads(path.read_text(encoding="utf-8")).get("calibration", [])
        else:
            with path.open(newline="", encoding="utf-8-sig") as handle:
                records = list(csv.DictReader(handle))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, csv.Error) as error:
        raise InputError(
            f"The calibration table {path.name} cannot be read ({type(error).__name__}); "
            "it must be UTF-8 CSV or TOML."
        ) from error
    if not isinstance(records, list) or not records:
        raise InputError(f"The calibration table {path.name} has no rows.")
    _check_columns(path.name, records)
    rows: list[TableRow] = []
    faults: list[str] = []
    for number, record in enumerate(records, start=1):
        try:
            rows.append(_row(record))
        except (ValueError, TypeError) as error:
            faults.append(f"row {number}: {error}")
    if faults:
        raise InputError(f"The calibration table {path.name} is faulty: {'; '.join(faults)}.")
    return tuple(rows)


def _check_columns(file_name: str, records: Sequence[object]) -> None:
    """Say once what every row lacks or has too much."""
    present = {str(key) for record in records if isinstance(record, dict) for key in record}
    missing = [key for key in _REQUIRED if key not in present]
    unknown = sorted(present - {*_REQUIRED, *_OPTIONAL})
    if present and (missing or unknown):
        parts = [f"lacks {', '.join(missing)}"] if missing else []
        parts += [f"has the unknown {', '.join(unknown)}"] if unknown else []
        raise InputError(f"The calibration table {file_name} is faulty: it {' and '.join(parts)}.")


def calibration_from_table(rows: Sequence[TableRow], acquisition: Acquisition) -> Calibration:
    """The one row that was made for this scanner, voltage and kernel; never the nearest.

    Where a row gives no correlation of slope and intercept, the larger standard error at positive
    HU is taken (a correlation of +1).

    Args:
        rows: From :func:`read_calibration_table`.
        acquisition: What the scan's file says.

    Raises:
        InputError: The file states no scanner model or voltage, no row matches, or several do.
    """
    model, kvp = acquisition.scanner_model, acquisition.kvp
    if model is None or kvp is None:
        unknown = " and ".join(
            name for name, value in (("scanner model", model), ("tube voltage", kvp)) if not value
        )
        raise InputError(
            f"The calibration table cannot be used: the scan's file does not state the {unknown}."
        )
    fits = [
        row
        for row in rows
        if _same(row.scanner_model, model)
        and abs(row.kvp - kvp) <= KVP_TOLERANCE
        and (not row.kernel or _same(row.kernel, acquisition.kernel or ""))
    ]
    # A row for this very kernel says more than one for all kernels.
    fits = [row for row in fits if row.kernel] or fits
    if len(fits) != 1:
        found = "no row" if not fits else f"{len(fits)} rows"
        raise InputError(
            f"The calibration table has {found} for {model} at {kvp:g} kVp with kernel "
            f"{acquisition.kernel or 'unknown'}; give exactly one (the nearest is never taken)."
        )
    row = fits[0]
    correlation = 1.0 if row.correlation is None else row.correlation
    shared = correlation * row.slope_se * row.intercept_se
    return Calibration(
        name="table",
        mineral=row.mineral,
        slope_mg_cm3_per_hu=row.slope_mg_cm3_per_hu,
        intercept_mg_cm3=row.intercept_mg_cm3,
        covariance=np.array([[row.slope_se**2, shared], [shared, row.intercept_se**2]]),
        source=row.source or f"user's table, {row.scanner_model} at {row.kvp:g} kVp",
    )


def _row(record: Mapping[str, Any]) -> TableRow:
    unknown = sorted(str(key) for key in set(record) - {*_REQUIRED, *_OPTIONAL})
    missing = [key for key in _REQUIRED if record.get(key) in (None, "")]
    if unknown or missing:
        parts = [f"missing {', '.join(missing)}"] if missing else []
        parts += [f"unknown {', '.join(unknown)}"] if unknown else []
        raise ValueError(" and ".join(parts))
    mineral = next((m for m in MINERALS if m.lower() == str(record["mineral"]).lower()), None)
    if mineral is None:
        raise ValueError(f"mineral must be one of {', '.join(MINERALS)}")
    correlation = record.get("correlation")
    return TableRow(
        scanner_model=str(record["scanner_model"]).strip(),
        kvp=_number(record, "kvp", 40.0, 200.0),
        mineral=mineral,
        slope_mg_cm3_per_hu=_number(record, "slope_mg_cm3_per_hu", 0.05, 5.0),
        slope_se=_number(record, "slope_se", 0.0, 5.0),
        intercept_mg_cm3=_number(record, "intercept_mg_cm3", -500.0, 500.0),
        intercept_se=_number(record, "intercept_se", 0.0, 500.0),
        kernel=str(record.get("kernel") or "").strip(),
        correlation=(
            None if correlation in (None, "") else _number(record, "correlation", -1.0, 1.0)
        ),
        source=str(record.get("source") or "").strip(),
    )


def _number(record: Mapping[str, Any], key: str, low: float, high: float) -> float:
    try:
        value = float(record[key])
    except (TypeError, ValueError):
        raise ValueError(f"{key} is not a number") from None
    if not math.isfinite(value) or not low <= value <= high:
        raise ValueError(f"{key} must lie within {low:g} to {high:g}")
    return value


def _same(one: str, other: str) -> bool:
    return "".join(one.split()).casefold() == "".join(other.split()).casefold()
