"""``osteoscope evaluate``: files, words, and one sentence for a table that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from osteoscope.apps.cli.evaluate import evaluate
from osteoscope.core.errors import InputError
from osteoscope.evaluation.metrics import plain_metrics
from osteoscope.io.predictions_table import read_predictions, write_predictions
from tests.evaluation.made_predictions import made_predictions

app = typer.Typer()
app.command()(evaluate)


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_table_is_evaluated_and_compared(tmp_path: Path) -> None:
    made = made_predictions(90)
    write_predictions(tmp_path / "net.parquet", made)
    write_predictions(tmp_path / "hu.csv", made.select(np.arange(90)[::-1]))
    out = tmp_path / "out"
    said = run(
        tmp_path / "net.parquet", "--out", out, "--against", tmp_path / "hu.csv",
        "--group", "sex", "--draws", 100, "--quiet",
    )  # fmt: skip
    plain = plain_metrics(made)
    assert f"accuracy: {plain['accuracy']:.3f} (" in said
    assert "macro auc less that of hu: +0.000 (+0.000 to +0.000), p 1, 90 rows of both" in said
    assert said.rstrip().endswith("report.html")
    content = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert list(content["sources"]) == ["net.parquet", "hu"]
    assert all(digest.startswith("sha256:") for digest in content["sources"].values())
    assert {part["column"] for part in content["subgroups"]} == {"sex"}


def test_the_same_seed_gives_the_same_files(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.csv", made_predictions(60))
    for name in ("a", "b"):
        run(tmp_path / "p.csv", "-o", tmp_path / name, "--draws", 100, "--seed", 4, "-q")
    for file in ("metrics.json", "metrics.csv", "report.html"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_anybodys_binary_table_and_json_alone(tmp_path: Path) -> None:
    rows = [f"s{i},{i % 2},{0.3 + 0.4 * (i % 2) + 0.01 * (i % 7):.2f}" for i in range(40)]
    table = tmp_path / "p.csv"
    table.write_text("subject_id,truth,p_fracture\n" + "\n".join(rows) + "\n", encoding="utf-8")
    said = json.loads(run(table, "--out", tmp_path / "out", "--draws", 100, "--json", "--quiet"))
    expected = plain_metrics(read_predictions(table))
    assert said["metrics"]["accuracy"]["value"] == expected["accuracy"] == 1.0
    assert said["metrics"]["auc_fracture"]["value"] == 1.0
    assert "auc_not fracture" not in said["metrics"]


def test_a_bad_table_leaves_nothing_and_names_its_rows(tmp_path: Path) -> None:
    table = tmp_path / "p.csv"
    table.write_text("subject_id,truth,p_a,p_b\ns,c,0.5,0.5\nt,a,2,0\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"row 2: truth 'c'.*row 3: a probability") as error:
        run(table, "--out", tmp_path / "out")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()
