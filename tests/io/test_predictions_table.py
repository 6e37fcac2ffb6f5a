"""Tables of predictions: our own come back as they were, anybody's are understood or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osteoscope.core.errors import InputError
from osteoscope.core.predictions import Predictions
from osteoscope.io.predictions_table import read_predictions, write_predictions


def table(folder: Path, text: str) -> Path:
    path = folder / "predictions.csv"
    path.write_text(text, encoding="utf-8")
    return path


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from([".csv", ".parquet"]),
    st.integers(1, 12),
    st.sampled_from([("normal", "osteopenia", "osteoporosis"), ("no", "yes"), ("0", "1", "2")]),
    st.booleans(),
    st.integers(0, 99),
)
def test_what_is_written_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    suffix: str,
    n: int,
    classes: tuple[str, ...],
    simulated: bool,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(len(classes)), n)
    sex = rng.choice(["F", "M", ""], n)
    sex[0] = "F"  # of a column without any cell a CSV file does not tell the kind
    made = Predictions(
        subject_id=np.array([f"{i:03d}" for i in range(n)]),
        truth=rng.integers(0, len(classes), n),
        probabilities=p,
        classes=classes,
        fold=rng.integers(0, 5, n),
        part=rng.choice(["validation", "test"], n),
        t_score=np.where(rng.random(n) < 0.3, np.nan, rng.normal(size=n)),
        t_score_predicted=rng.normal(size=n),
        groups={"sex": sex, "age_years": rng.integers(40, 90, n)},
        simulated=simulated,
    )
    path = tmp_path_factory.mktemp("t") / f"predictions{suffix}"
    write_predictions(path, made)
    found = read_predictions(path)
    assert found.classes == made.classes
    assert found.simulated == simulated
    for name in ("subject_id", "truth", "fold", "part"):
        np.testing.assert_array_equal(getattr(found, name), getattr(made, name))
    for name in ("probabilities", "t_score", "t_score_predicted"):
        np.testing.assert_allclose(getattr(found, name), getattr(made, name), rtol=1e-14)
    for name in ("sex", "age_years"):
        np.testing.assert_array_equal(found.groups[name], made.groups[name])
    assert [f.name for f in path.parent.iterdir()] == [path.name]


def test_three_columns_are_enough(tmp_path: Path) -> None:
    found = read_predictions(
        table(tmp_path, "subject_id,p_ill,p_well,truth\n007,0.25,0.75,well\nNA,0.9,0.1,ill\n")
    )
    assert found.classes == ("ill", "well")
    assert found.subject_id.tolist() == ["007", "NA"]
    assert found.truth.tolist() == [1, 0]
    assert found.part.tolist() == ["test", "test"]


def test_who_classes_are_put_into_rising_severity(tmp_path: Path) -> None:
    found = read_predictions(
        table(
            tmp_path,
            "subject_id,truth,p_osteoporosis,p_normal,p_osteopenia\n"
            "a,osteoporosis,0.7,0.1,0.2\nb,1,0.2,0.5,0.3\n",
        )
    )
    assert found.classes == ("normal", "osteopenia", "osteoporosis")
    assert found.probabilities.tolist() == [[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]]
    # A number counts the table's own columns: 1 is normal there.
    assert found.truth.tolist() == [2, 0]


@pytest.mark.parametrize("words", [("0", "1"), ("False", "True"), ("0.0", "1.0"), ("not x", "x")])
def test_one_probability_stands_for_two_classes(tmp_path: Path, words: tuple[str, str]) -> None:
    found = read_predictions(
        table(tmp_path, f"subject_id,truth,p_x\na,{words[1]},0.9\nb,{words[0]},0.25\n")
    )
    assert found.classes == ("not x", "x")
    assert found.truth.tolist() == [1, 0]
    assert found.probabilities.tolist() == [[pytest.approx(0.1), 0.9], [0.75, 0.25]]


def test_every_bad_row_is_named_as_a_spreadsheet_counts(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "subject_id,truth,p_a,p_b,part,t_score,simulated\n"
        "s1,a,0.5,0.5,test,,false\n"
        "s2,c,0.5,0.5,test,,false\n"
        ",a,0.5,0.5,test,,false\n"
        "s4,b,high,0.5,test,,false\n"
        "s5,b,0.9,0.5,test,,false\n"
        "s6,,0.5,0.5,test,,false\n"
        "s7,a,0.5,0.5,train,,false\n"
        "s8,a,0.5,,test,,false\n"
        "s9,a,0.5,0.5,test,low,perhaps\n",
    )
    with pytest.raises(InputError) as error:
        read_predictions(path)
    assert str(error.value) == (
        "The table predictions.csv has bad rows: row 3: truth 'c' is none of a, b; "
        "row 4: subject_id is empty; row 5: p_a is 'high', not a number; "
        "row 6: the probabilities add up to 1.4, not 1; row 7: truth is empty; "
        "row 8: part 'train' is neither validation nor test; "
        "row 9: a probability is missing or outside 0 to 1; "
        "row 10: simulated is 'perhaps', neither true nor false; "
        "row 10: t_score is 'low', not a number."
    )


def test_missing_columns_are_said(tmp_path: Path) -> None:
    for text, name in (
        ("truth,p_a\n1,1\n", "subject_id"),
        ("subject_id,p_a\n1,1\n", "truth"),
        ("subject_id,truth\n1,1\n", "p_<class>"),
    ):
        with pytest.raises(InputError, match=f"lacks the column '{name}'"):
            read_predictions(table(tmp_path, text))
    with pytest.raises(InputError, match="has no rows"):
        read_predictions(table(tmp_path, "subject_id,truth,p_a\n"))
    with pytest.raises(InputError, match="does not exist"):
        read_predictions(tmp_path / "none.csv")


def test_a_group_may_not_take_a_columns_name(tmp_path: Path) -> None:
    made = Predictions(
        np.array(["a"]), np.array([0]), np.array([[1.0, 0.0]]), ("x", "y"),
        groups={"truth": np.array(["?"])},
    )  # fmt: skip
    with pytest.raises(InputError, match="may not be called 'truth'"):
        write_predictions(tmp_path / "t.csv", made)
    with pytest.raises(InputError, match=r"\.csv or \.parquet"):
        write_predictions(tmp_path / "t.xlsx", made)
