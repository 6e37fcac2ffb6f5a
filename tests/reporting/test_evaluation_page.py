"""The page of an evaluation: what bears on trust first, safe texts, every number that it names."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osteoscope.core.errors import InputError
from osteoscope.core.predictions import Predictions
from osteoscope.evaluation.complete import EvaluationConfig, evaluate_completely
from osteoscope.evaluation.metrics import plain_metrics
from osteoscope.reporting import evaluation_page
from osteoscope.reporting.evaluation_figures import plain_label
from osteoscope.reporting.evaluation_files import evaluate_predictions
from osteoscope.reporting.evaluation_page import evaluation_html, p_words
from tests.evaluation.made_predictions import made_predictions
from tests.reporting.page_reader import assert_self_contained, read_page, section_order

DRAWS = 100


def html_of(predictions: Predictions, **options: Any) -> str:
    against = options.pop("against", None)
    config = EvaluationConfig(draws=DRAWS, **options)
    complete = evaluate_completely(predictions, config, against=against)
    html = evaluation_html(complete, {"table": "sha256:00"})
    assert_self_contained(html)
    return html


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of the words alone: drawing takes most of a page's time."""
    for name in ("roc", "calibration", "decision", "bland_altman"):
        monkeypatch.setattr(evaluation_page, f"render_{name}", lambda *_: b"png")


def two_parts(n: int = 200, strength: float = 1.0) -> Predictions:
    made = made_predictions(n, strength=strength)
    part = np.where(np.arange(n) % 3 == 0, "validation", "test")
    return dataclasses.replace(made, part=part)


def weaker(made: Predictions) -> Predictions:
    """The same with probabilities of three subjects later."""
    return dataclasses.replace(made, probabilities=np.roll(made.probabilities, 4, axis=0))


def test_a_full_page_has_every_section() -> None:
    made = two_parts()
    html = html_of(made, groups=("sex",), against={"HU": weaker(made)})
    assert section_order(html) == [
        "All classes together",
        "By class",
        "Discrimination and decisions",
        "Calibration",
        "T-score",
        "Against other models",
        "Subgroups",
        "Conformal prediction sets",
        "How it was made",
    ]
    page = read_page(html)
    assert page.tags.count("img") == 4
    assert "sex : F" in page.text or "sex: F" in page.text
    assert "Against HU" in page.text
    assert "sha256:00" in page.text
    assert "Simulated" not in page.text


@pytest.mark.usefixtures("undrawn")
def test_values_on_the_page_are_those_computed() -> None:
    made = two_parts()
    plain = plain_metrics(made.reported())
    text = read_page(html_of(made)).text
    assert f"AUC {plain['macro_auc']:.2f} (" in text
    assert f"Accuracy {plain['accuracy']:.2f} " in text
    assert f"Mean absolute error {plain['t_score_mae']:.2f} " in text


def test_two_classes_without_t_scores_make_a_page() -> None:
    made = made_predictions(60, classes=("no", "yes"))
    made = dataclasses.replace(made, t_score_predicted=np.full(60, np.nan))
    html = html_of(made, groups=("sex",))
    text = read_page(html).text
    assert "T-score" not in section_order(html)
    assert "Of yes , with its 95" in text
    assert "fitted to validation subjects of the same fold, which the table does not hold" in text


def test_simulated_is_said_on_the_page_and_drawn_into_the_figures() -> None:
    made = made_predictions(60)
    real, simulated = html_of(made), html_of(dataclasses.replace(made, simulated=True))
    assert "Simulated subjects: no patients exist." in read_page(simulated).text
    one, other = read_page(real).values("img", "src"), read_page(simulated).values("img", "src")
    assert all(a != b for a, b in zip(one, other, strict=True))


@pytest.mark.usefixtures("undrawn")
def test_what_bears_on_trust_comes_first() -> None:
    made = made_predictions(60)
    validation = dataclasses.replace(made, part=np.full(60, "validation"), fold=np.arange(60) % 3)
    text = read_page(html_of(validation)).text
    assert "the model was selected on them" in text
    assert "Rows of 3 folds are pooled" in text
    assert "Only 11 rows are of osteopenia" in text
    tripled = made.select(np.repeat(np.arange(60), 3))
    assert "180 rows are of 60 subjects" in read_page(html_of(tripled)).text


@pytest.mark.usefixtures("undrawn")
def test_a_model_that_does_not_beat_a_rival_is_seen_not_to() -> None:
    strong = made_predictions(150, strength=2.0)
    weak = weaker(strong)
    assert (
        "Worse than HU: the AUC differs by −"
        in read_page(html_of(weak, against={"HU": strong})).text
    )
    assert (
        "Not shown to be better than itself: the AUC differs by 0.000"
        in read_page(html_of(strong, against={"itself": strong})).text
    )
    better = read_page(html_of(strong, against={"HU": weak})).text
    assert "Worse than" not in better
    assert "Not shown" not in better


@pytest.mark.usefixtures("undrawn")
def test_small_groups_are_withheld_on_the_page() -> None:
    made = made_predictions(90)
    site = np.where(np.arange(90) < 9, "tiny", "big")
    text = read_page(html_of(dataclasses.replace(made, groups={"site": site}), groups=("site",)))
    assert "tiny 9 Withheld: fewer than 20 subjects" in text.text


def test_texts_from_the_table_are_escaped_and_drawn_as_they_are() -> None:
    evil = ("<script>x</script>", "$\\frac{1$", "\U0001f9b4 &amp;\x00")
    made = made_predictions(90, classes=evil)
    site = np.where(np.arange(90) < 45, "<b>", "$x")
    made = dataclasses.replace(made, groups={"<i>": site})
    html = html_of(made, groups=("<i>",), against={"<u>": weaker(made)})
    assert "<script>x" not in html
    page = read_page(html)
    assert "<script>x</script>" in page.text
    assert not {"b", "i", "u"} & set(page.tags)
    assert plain_label(evil[2]) == "? &amp;?"
    assert len(plain_label("x" * 90)) == 40


def test_p_values_are_never_nothing() -> None:
    words = [p_words(p) for p in (0.0, 0.0004, 0.012, 0.3, 1.0, math.nan)]
    assert words == ["< 0.001", "< 0.001", "0.012", "0.30", "1.00", "–"]


def test_files_hold_the_same_numbers(tmp_path: Path) -> None:
    made = two_parts()
    out = tmp_path / "new" / "out"
    stages: list[str] = []
    complete = evaluate_predictions(
        made,
        out,
        EvaluationConfig(groups=("sex",), draws=DRAWS),
        against={"HU": weaker(made)},
        on_stage=stages.append,
    )
    names = sorted(path.name for path in out.iterdir())
    assert names == ["comparisons.csv", "metrics.csv", "metrics.json", "report.html"]
    content = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    accuracy = complete.evaluation["accuracy"]
    assert content["metrics"]["accuracy"] == accuracy.to_json()
    assert content["confusion"] == complete.evaluation.counts.tolist()
    assert [part["group"] for part in content["subgroups"]] == ["F", "M"]
    assert content["comparisons"]["HU"]["delong"]["normal"]["this"] == pytest.approx(
        complete.evaluation["auc_normal"].value
    )
    assert len(content["conformal"]) == 4
    with (out / "metrics.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    (row,) = [r for r in rows if r["metric"] == "accuracy" and not r["column"]]
    assert float(row["low"]) == accuracy.low
    with (out / "comparisons.csv").open(encoding="utf-8") as stream:
        differences = {r["metric"]: r for r in csv.DictReader(stream)}
    found = complete.comparisons["HU"].differences["accuracy"]
    assert float(differences["accuracy"]["difference"]) == found.value
    assert stages == [
        "evaluating",
        "evaluating by sex",
        "comparing with HU",
        "testing conformal sets",
        "writing",
    ]


def test_nothing_is_written_where_the_request_is_wrong(tmp_path: Path) -> None:
    made = made_predictions(30)
    with pytest.raises(InputError, match="to group by"):
        evaluate_predictions(made, tmp_path / "out", EvaluationConfig(groups=("site",), draws=100))
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be made"):
        evaluate_predictions(made, tmp_path / "file", EvaluationConfig(draws=100))


def test_a_config_out_of_range_is_refused() -> None:
    for wrong in ({"draws": 5}, {"coverage": 1.0}, {"seed": -1}):
        with pytest.raises(InputError):
            EvaluationConfig(**wrong)
