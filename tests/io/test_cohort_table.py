"""Cohort tables: every bad row is named at once, with what to do."""

from pathlib import Path

import pandas as pd
import pytest

from osteoscope.core.errors import InputError
from osteoscope.io.cohort_table import read_cohort_table, read_labelled_cohort
from osteoscope.io.subject_labels import SubjectLabels


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


class TestLabels:
    """Tables that say what is known of their subjects."""

    @pytest.mark.parametrize("suffix", ["csv", "xlsx", "parquet"])
    def test_are_read_from_each_kind_of_table(self, folder: Path, suffix: str) -> None:
        frame = pd.DataFrame(
            {
                "subject_id": ["001", "002", "003", "004"],
                "image": ["a.nii.gz"] * 4,
                "t_score": [-2.5, None, -1.0, None],
                "class": ["osteoporosis", " Osteopenia", None, None],
                "age_years": [71, None, 50.5, None],
                "sex": ["F", "male", None, None],
                "site": ["01", "north wing", None, None],
            }
        )
        path = folder / f"cohort.{suffix}"
        if suffix == "csv":
            frame.to_csv(path, index=False)
        elif suffix == "xlsx":
            frame.to_excel(path, index=False)
        else:
            frame.to_parquet(path)
        rows = read_labelled_cohort(path)
        assert [row.scan.subject_id for row in rows] == ["001", "002", "003", "004"]
        assert [row.labels for row in rows] == [
            SubjectLabels(-2.5, 2, 71.0, "F", "01"),
            SubjectLabels(None, 1, None, "M", "north wing"),
            SubjectLabels(-1.0, 0, 50.5, None, None),
            SubjectLabels(),
        ]

    def test_a_table_need_not_say_anything(self, folder: Path) -> None:
        (folder / "cohort.csv").write_text("subject_id,image\ns1,a.nii.gz\n")
        (row,) = read_labelled_cohort(folder / "cohort.csv")
        assert row.labels == SubjectLabels()

    def test_every_bad_row_is_named_at_once(self, folder: Path) -> None:
        (folder / "cohort.csv").write_text(
            "subject_id,image,t_score,class,age_years,sex,site\n"
            "s1,a.nii.gz,-2.6,osteoporosis,70,F,x\n"
            "s2,gone.nii.gz,low,,,,\n"
            "s3,a.nii.gz,-25,,,,\n"
            "s4,a.nii.gz,,osteopenic,,,\n"
            "s5,a.nii.gz,,,-1,,\n"
            "s6,a.nii.gz,,,,x,\n"
            f"s7,a.nii.gz,,,,,{'y' * 65}\n"
            "s8,a.nii.gz,-2.5,osteopenia,,,\n"
            "s9,a.nii.gz,-1.0,normal,,,\n"
            "s10,a.nii.gz,inf,,,,\n"
        )
        with pytest.raises(InputError) as caught:
            read_labelled_cohort(folder / "cohort.csv")
        message = str(caught.value)
        for words in (
            "row 3: image names a path that does not exist",
            "row 3: t_score must be a number",
            "row 4: t_score must be a number from -12 to 12",
            "row 5: class must be normal, osteopenia or osteoporosis",
            "row 6: age_years must be a number of years from 0 to 130",
            "row 7: sex must be F or M",
            "row 8: site must be a name of at most 64 characters",
            "row 9: class osteopenia contradicts t_score -2.5, which is osteoporosis by WHO",
            "row 11: t_score must be",
        ):
            assert words in message
        assert "row 2:" not in message
        assert "row 10:" not in message

    def test_a_screen_does_not_ask_for_them(self, folder: Path) -> None:
        """Other studies' tables may call other things class."""
        (folder / "cohort.csv").write_text("subject_id,image,class,age_years\ns1,a.nii.gz,B,old\n")
        assert len(read_cohort_table(folder / "cohort.csv")) == 1
