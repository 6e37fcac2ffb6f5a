"""Tables of finished cells in three formats."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from osteoscope.reporting.tables import TextTable, as_csv, as_latex, as_markdown, write_table

TABLE = TextTable(
    "Share & size", ("model_a", "AUC, %"), (("a|b", "1.0 (0.5–2)"), ("c", "±3")), ("Simulated.",)
)


def test_markdown_keeps_its_columns() -> None:
    lines = as_markdown(TABLE).splitlines()
    assert lines[2] == "| model_a | AUC, %      |"
    assert lines[4] == "| a\\|b    | 1.0 (0.5–2) |"
    assert lines[-1] == "Simulated."


def test_csv_reads_back() -> None:
    rows = list(csv.reader(as_csv(TABLE).splitlines()))
    assert rows == [list(TABLE.columns), *map(list, TABLE.rows)]


def test_latex_escapes_what_latex_reads() -> None:
    text = as_latex(TABLE)
    assert r"model\_a & AUC, \% \\" in text
    assert r"Share \& size" in text
    assert r"1.0 (0.5--2)" in text


def test_rows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="as many cells"):
        TextTable("x", ("a", "b"), (("1",),))


def test_three_files_are_written(tmp_path: Path) -> None:
    path = write_table(tmp_path / "new", "table2", TABLE)
    assert path.name == "table2.md"
    assert sorted(p.name for p in path.parent.iterdir()) == [
        "table2.csv",
        "table2.md",
        "table2.tex",
    ]
