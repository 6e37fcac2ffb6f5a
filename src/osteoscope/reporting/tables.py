"""A table as Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "–": "--", "±": r"$\pm$", "≥": r"$\geq$", "≤": r"$\leq$", "τ": r"$\tau$", "−": "$-$",
}  # fmt: skip


@dataclass(frozen=True)
class TextTable:
    """A table of finished cells.

    Args:
        title: What it shows; one sentence.
        columns: Headings.
        rows: Cells, as many as headings in each row.
        notes: Sentences that stand below it.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError("Each row of a table has as many cells as there are headings.")


def as_markdown(table: TextTable) -> str:
    """The table as GitHub-flavoured Markdown."""
    cells = [table.columns, *table.rows]
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in cells]
    widths = [max(3, *(len(row[k]) for row in escaped)) for k in range(len(table.columns))]
    lines = [_line(row, widths) for row in escaped]
    rule = "| " + " | ".join("-" * width for width in widths) + " |"
    notes = [line for note in table.notes for line in ("", note)]
    return "\n".join([f"**{table.title}**", "", lines[0], rule, *lines[1:], *notes]) + "\n"


def _line(row: list[str], widths: list[int]) -> str:
    filled = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return "| " + " | ".join(filled) + " |"


def as_csv(table: TextTable) -> str:
    """The cells as CSV; title and notes are left out."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    return stream.getvalue()


def as_latex(table: TextTable) -> str:
    """The table as a LaTeX ``table`` with the ``booktabs`` rules."""
    body = [" & ".join(_latex(cell) for cell in row) + r" \\" for row in table.rows]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_latex(table.title)}}}",
        rf"\begin{{tabular}}{{{'l' * len(table.columns)}}}",
        r"\toprule",
        " & ".join(_latex(cell) for cell in table.columns) + r" \\",
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\footnotesize {_latex(note)}" for note in table.notes),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def write_table(folder: Path, name: str, table: TextTable) -> Path:
    """Write ``name.md``, ``name.csv`` and ``name.tex`` into ``folder``; returns the first."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, text in (
        ("csv", as_csv(table)),
        ("tex", as_latex(table)),
        ("md", as_markdown(table)),
    ):
        (folder / f"{name}.{suffix}").write_text(text, encoding="utf-8")
    return folder / f"{name}.md"
