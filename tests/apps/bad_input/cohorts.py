"""Bad cohort tables, folder trees and schedulers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.apps.bad_input.case import Case, good_labels, good_scan

Build = Callable[[Path], list[str]]
_HEAD = "subject_id,image,segmentation\n"


def _table(text: str | bytes, *words: str, name: str = "cohort.csv") -> Build:
    """A table beside a good scan ``ct.nii.gz`` with good labels ``labels.nii.gz``."""

    def build(folder: Path) -> list[str]:
        good_scan(folder)
        good_labels(folder)
        path = folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return [str(path), *(word.format(folder=folder) for word in words)]

    return build


def _tree_without_scans(folder: Path) -> list[str]:
    (folder / "tree" / "a").mkdir(parents=True)
    (folder / "tree" / "a" / "notes.txt").write_text("nothing")
    return ["--cohort", str(folder / "tree")]


def _output_is_a_file(folder: Path) -> list[str]:
    (folder / "out").write_text("not a folder")
    return [*_table(GOOD)(folder), "--out", str(folder / "out")]


GOOD = _HEAD + "a,ct.nii.gz,labels.nii.gz\n"

CASES: dict[str, Case] = {
    "table-missing": Case(
        "a table that does not exist",
        "The table absent.csv does not exist",
        lambda folder: [str(folder / "absent.csv")],
    ),
    "table-column": Case(
        "a table without a column",
        "lacks the column 'subject_id'",
        _table("patient,image\n1,ct.nii.gz\n"),
    ),
    "table-empty": Case("a table without rows", "has no rows", _table(_HEAD)),
    "table-nothing": Case("an empty table file", "cannot be read", _table("")),
    "table-ragged": Case(
        "a table with rows of several lengths",
        "cannot be read",
        _table(_HEAD + "a,b,c,d,e\nf,g,h,i,j,k,l\n"),
    ),
    "table-not-text": Case(
        "a table that is not text", "cannot be read", _table(b"\xff\xfe\x00\x01subject_id")
    ),
    "table-bad-rows": Case(
        "bad rows, all named at once",
        "row 2: image names a path that does not exist; row 3",
        _table(_HEAD + "a,absent.nii.gz,\nb,ct.nii.gz,none.nii.gz\n"),
    ),
    "table-doubled": Case(
        "a subject that stands twice",
        "row 2: subject_id stands in more than one row",
        _table(_HEAD + "a,ct.nii.gz,\na,ct.nii.gz,\n"),
    ),
    "table-climbs": Case(
        "a subject whose name leads out of the folder",
        "row 2: subject_id must be",
        _table(_HEAD + "../evil,ct.nii.gz,\n"),
    ),
    "table-no-subject": Case(
        "a subject without a name", "row 2: subject_id is empty", _table(_HEAD + ",ct.nii.gz,\n")
    ),
    "table-no-image": Case(
        "a subject without an image", "row 2: image is empty", _table(_HEAD + "a,,labels.nii.gz\n")
    ),
    "table-long-name": Case(
        "a path that no file can have",
        "row 2: image names a path that does not exist",
        _table(_HEAD + "a," + "x" * 300 + ",\n"),
    ),
    "xlsx-text": Case("text named .xlsx", "cannot be read", _table("text", name="c.xlsx")),
    "xlsx-cut": Case(
        "a workbook cut short", "cannot be read", _table(b"PK\x03\x04 cut", name="c.xlsx")
    ),
    "parquet-text": Case("text named .parquet", "cannot be read", _table("text", name="c.parquet")),
    "cohort-segmentation": Case(
        "one segmentation for a cohort",
        "name them in the table",
        _table(GOOD, "--segmentation", "{folder}/labels.nii.gz"),
    ),
    "cohort-no-report": Case(
        "a cohort without reports", "leave out --no-report", _table(GOOD, "--no-report")
    ),
    "table-and-scan": Case(
        "a table beside a scan",
        "one table or folder tree at a time",
        _table(GOOD, "{folder}/ct.nii.gz"),
    ),
    "tree-without-scans": Case("a folder tree without scans", "holds no scan", _tree_without_scans),
    "file-as-cohort": Case(
        "a scan given as a cohort",
        "A cohort is a folder or a table",
        lambda folder: ["--cohort", str(good_scan(folder))],
    ),
    "scheduler-silent": Case(
        "a scheduler that does not answer",
        "No Dask scheduler answers at tcp://127.0.0.1:9",
        _table(GOOD, "--scheduler", "tcp://127.0.0.1:9"),
    ),
    "scheduler-unknown": Case(
        "a scheduler of another kind", "Unknown scheduler", _table(GOOD, "--scheduler", "cloud")
    ),
    "scheduler-file": Case(
        "a scheduler file that does not exist",
        "The scheduler file does not exist",
        _table(GOOD, "--scheduler", "absent.json"),
    ),
    "scheduler-protocol": Case(
        "a scheduler's address that is none",
        "No Dask scheduler answers",
        _table(GOOD, "--scheduler", "nonsense://:x"),
    ),
    "cohort-output-is-a-file": Case(
        "a cohort's output that is a file", "is a file; choose a folder", _output_is_a_file
    ),
}
