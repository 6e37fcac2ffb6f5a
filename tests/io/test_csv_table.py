"""CSV tables: every column of every row, and never a half of a file."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from osteoscope.io.csv_table import write_csv


def test_rows_with_different_keys_share_a_header(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_csv(path, [{"a": 1, "b": None}, {"a": "x, y", "c": 2.5}])
    assert path.read_bytes() == b'a,b,c\n1,,\n"x, y",,2.5\n'
    with path.open(newline="", encoding="utf-8") as stream:
        assert list(csv.DictReader(stream))[1] == {"a": "x, y", "b": "", "c": "2.5"}


def test_an_older_table_stays_whole_when_a_row_cannot_be_written(tmp_path: Path) -> None:
    class Unwritable:
        def __str__(self) -> str:
            raise OSError("no room")

    path = tmp_path / "table.csv"
    write_csv(path, [{"a": 1}])
    with pytest.raises(OSError, match="no room"):
        write_csv(path, [{"a": 2}, {"a": Unwritable()}])
    assert path.read_text(encoding="utf-8") == "a\n1\n"
