"""Tables that people open elsewhere, as CSV: written whole or not at all."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows under a header of all their keys, in the order in which they first occur.

    The file is written beside its place and renamed: an older one stays whole until then.

    Args:
        path: Where; its folder exists.
        rows: One mapping a row; what a row lacks, and None, is an empty cell.

    Raises:
        OSError: The folder may not be written or has no room.
    """
    rows = list(rows)
    columns = dict.fromkeys(key for row in rows for key in row)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    partial.replace(path)
