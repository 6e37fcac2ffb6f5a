"""Cohort tables: every bad row is named at once, with what to do."""

from pathlib import Path

import pandas as pd
import pytest

from osteoscope.core.errors import InputError
from osteoscope.io.cohort_table import read_cohort_table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.nii.gz", "b.nii.gz", "la.nii.gz"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize("suffix", ["csv", "xlsx", "parquet"])
def test_reads_each_kind_of_table(folder: Path, suffix: str) -> None:
    frame = pd.DataFrame(
        {
            "subject_id": ["001", "002"],
            "image": ["a.nii.gz", "b.nii.gz"],
            "segmentation": ["la.nii.gz", None],
        }
    )
    path = folder / f"cohort.{suffix}"
    if suffix == "csv":
        frame.to_csv(path, index=False)
    elif suffix == "xlsx":
        frame.to_excel(path, index=False)
    else:
        frame.to_parquet(path)
    first, second = read_cohort_table(path)
    assert first.subject_id == "001"  # a leading zero survives
    assert first.image == folder / "a.nii.gz"
    assert first.segmentation == folder / "la.nii.gz"
    assert second.segmentation is None


def test_names_every_bad_row_at_once(folder: Path) -> None:
    path = folder / "cohort.csv"
    path.write_text(
        "subject_id,image,segmentation\n"
        "s1,a.nii.gz,la.nii.gz\n"
        "../s2,a.nii.gz,\n"
        "s3,gone.nii.gz,\n"
        "s4,b.nii.gz,lost.nii.gz\n"
        "s5,a.nii.gz,\n"
        "s5,b.nii.gz,\n"
        ",b.nii.gz,\n"
    )
    with pytest.raises(InputError) as caught:
        read_cohort_table(path)
    message = str(caught.value)
    assert "row 3: subject_id must be" in message
    assert "row 4: image names a path that does not exist" in message
    assert "row 5: segmentation names a path that does not exist" in message
    assert "row 6: subject_id stands in more than one row" in message
    assert "row 7: subject_id stands in more than one row" in message
    assert "row 8: subject_id is empty" in message
    assert "row 2:" not in message


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("c.csv", "subject,image\na,b\n", "lacks the column 'subject_id'"),
        ("c.csv", "subject_id,image\n", "has no rows"),
        ("c.csv", "", "cannot be read"),
        ("c.xlsx", "not a workbook", "cannot be read"),
        ("c.parquet", "not parquet", "cannot be read"),
        ("c.txt", "x", "A table is"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_sentence(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        read_cohort_table(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_cohort_table(tmp_path / "none.csv")
