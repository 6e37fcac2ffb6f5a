"""The card says for whom the probabilities are, what the guard can keep, and who was tested."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from osteoscope.core.crop_spec import CropSpec
from osteoscope.core.model_spec import Conformal, Guard, ModelSpec
from osteoscope.reporting.model_card import model_card
from osteoscope.reporting.model_metrics import MODEL_METRICS

GUARD = Guard(
    statistics=("hu_p50",),
    centre=(150.0,),
    scale_below=(20.0,),
    scale_above=(30.0,),
    statistics_limit=3.5,
    embedding_centre=(0.0,),
    components=((1.0,),),
    variances=(2.0,),
    residual_variance=0.25,
    embedding_limit=4.0,
    quantile=0.98,
    subjects=(100, 99),
)
RECORD: dict[str, Any] = {
    "created_with": {"name": "osteoscope", "version": "0.0"},
    "hardware": {"torch": "2.0", "device": "cpu"},
    "split_digest": "sha256:00",
    "seed": 0,
    "duration_s": 3.0,
}


def card(**changes: Any) -> str:
    values: dict[str, Any] = {
        "name": "small",
        "crop": CropSpec(),
        "windows": ((-200.0, 800.0),),
        "classes": ("normal", "osteopenia", "osteoporosis"),
        "prior": (0.5, 0.3, 0.2),
        "simulated": False,
        "training": "300 patients.",
        "licence": "CC0-1.0",
        "conformal": Conformal(0.9, "lac", (0.8,)),
        "guard": GUARD,
        "metrics": {"macro_auc": (0.9, 0.85, 0.95, 60), "log_loss": (0.7, 0.6, 0.8, 60)},
        "refers_to": (0.38, 0.34, 0.28),
    }
    return model_card(ModelSpec(**{**values, **changes}), RECORD)


def test_the_probabilities_say_for_whom_they_are() -> None:
    text = card()
    assert "Class shares in training: normal 50.0%, osteopenia 30.0%, osteoporosis 20.0%." in text
    assert "class shares are normal 38.0%, osteopenia 34.0%, osteoporosis 28.0%;" in text
    assert "it is not known how common each class is" in card(refers_to=None)


def test_the_guard_is_said_with_the_rate_that_it_can_keep() -> None:
    assert "lets at least 98.0% of its own kind pass (100 reference and 99 validation" in card()
    few = card(guard=replace(GUARD, subjects=(100, 39)))
    assert "at least 95.0% of its own kind" in few
    assert "98.0% was asked for" in few
    assert "98.0% was asked for" not in card()


def test_a_model_without_a_guard_or_sets_says_so() -> None:
    text = card(guard=None, conformal=None)
    assert "Guard: none. A crop of anything is answered" in text
    assert "Conformal sets: none." in text
    assert "chose the epoch" not in text


def test_a_dozen_metrics_stand_in_words() -> None:
    text = card()
    assert "| AUC, each class against the rest, mean | 0.900 | 0.850 to 0.950" in text
    assert "0.700" not in text
    every = card(metrics=dict.fromkeys(MODEL_METRICS, (0.5, 0.4, 0.6, 9)))
    places = [every.index(f"| {words}") for words in MODEL_METRICS.values()]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("trained", "tested", "marked", "unknown"),
    [
        (True, None, True, True),
        (True, False, False, False),
        (False, True, True, False),
        (False, None, False, False),
    ],
)
def test_who_was_simulated_is_marked(
    trained: bool, tested: bool | None, marked: bool, unknown: bool
) -> None:
    text = card(simulated=trained, test_simulated=tested)
    assert ("Trained on simulated subjects only" in text) is trained
    assert ("Test subjects (simulated)" in text) is marked
    assert ("nothing here says how it does on patients" in text) is unknown
