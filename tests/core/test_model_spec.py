"""A model's description: read back as written, and anything doubtful refused in a sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osteoscope.core.crop_spec import CropSpec
from osteoscope.core.errors import ModelError
from osteoscope.core.model_spec import Adjustment, Conformal, Guard, ModelSpec

GUARD = Guard(
    statistics=("volume_cm3", "hu_p50"),
    centre=(40.0, 150.0),
    scale_below=(5.0, 20.0),
    scale_above=(6.0, 30.0),
    statistics_limit=3.5,
    embedding_centre=(0.0, 1.0, 2.0),
    components=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
    variances=(2.0, 1.0),
    residual_variance=0.25,
    embedding_limit=4.0,
    quantile=0.98,
    subjects=(100, 50),
)


def made(**changes: Any) -> ModelSpec:
    values: dict[str, Any] = {
        "name": "small",
        "crop": CropSpec(levels=("L1", "L2"), shape=(32, 48, 48), axes="vertebra"),
        "windows": ((-200.0, 800.0), (-100.0, 400.0)),
        "classes": ("normal", "osteopenia", "osteoporosis"),
        "prior": (0.5, 0.3, 0.2),
        "simulated": True,
        "training": "300 simulated patients.",
        "licence": "Apache-2.0",
        "adjust": Adjustment("subtract", 1.0),
        "temperature": 1.3,
        "conformal": Conformal(0.9, "lac", (0.7, 0.8, 0.9)),
        "guard": GUARD,
        "sources": {"store": "sha256:00"},
        "metrics": {"macro_auc": (0.9, 0.85, 0.95, 60)},
        "refers_to": (0.4, 0.35, 0.25),
        "test_simulated": True,
    }
    return ModelSpec(**{**values, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"guard": None, "conformal": None, "metrics": {}},
        {"refers_to": None, "test_simulated": None},
    ],
)
def test_a_description_is_read_back_as_it_was_written(changes: dict[str, Any]) -> None:
    spec = made(**changes)
    text = spec.to_json()
    assert ModelSpec.from_json(text) == spec
    assert ModelSpec.from_json(text).to_json() == text


@settings(max_examples=30)
@given(
    st.floats(0.05, 20.0),
    st.floats(-3.0, 3.0),
    st.text(min_size=1, max_size=20).filter(str.strip),
)
def test_any_number_and_text_survives(temperature: float, tau: float, training: str) -> None:
    spec = made(temperature=temperature, adjust=Adjustment("add", tau), training=training)
    assert ModelSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("format", 2, "format 2"),
        ("kind", "fracture", "kind"),
        ("surprise", 1, "'surprise'"),
        ("temperature", 0.0, "temperature must be above 0"),
        ("temperature", "warm", "temperature"),
        ("prior", [0.5, 0.5], "prior must hold 3 values"),
        ("prior", [0.5, 0.3, 0.1], "add up to 1"),
        ("prior", [1.0, 0.0, 0.0], "between 0 and 1"),
        ("refers_to", [0.5, 0.5], "refers_to must hold 3 values"),
        ("refers_to", [0.5, 0.3, 0.1], "refers_to must hold shares"),
        ("refers_to", [1.0, 0.0, 0.0], "refers_to must hold shares"),
        ("refers_to", "even", "refers_to"),
        ("test_simulated", "no", "test_simulated"),
        ("classes", ["a", "a", "b"], "classes"),
        ("windows", [[800.0, -200.0]], "must rise"),
        ("windows", [], "windows"),
        ("crop", None, "crop"),
        ("crop", {"levels": ["L1"]}, "crop"),
        ("conformal", {"coverage": 1.0, "method": "lac", "thresholds": [0.5]}, "coverage"),
        ("conformal", {"coverage": 0.9, "method": "lac", "thresholds": []}, "thresholds"),
        ("metrics", {"macro_auc": [0.9, 0.8]}, "metrics.macro_auc"),
        ("metrics", [1], "metrics"),
        ("sources", {"store": 1}, "sources"),
        ("licence", " ", "licence"),
        ("simulated", "no", "simulated"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(key: str, value: Any, rule: str) -> None:
    values = json.loads(made().to_json()) | {key: value}
    with pytest.raises(ModelError, match=rule) as caught:
        ModelSpec.from_json(json.dumps(values))
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["name", "crop", "classes", "prior", "simulated", "licence"])
def test_nothing_that_matters_has_a_silent_default(key: str) -> None:
    values = json.loads(made().to_json())
    del values[key]
    with pytest.raises(ModelError):
        ModelSpec.from_json(json.dumps(values))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", "[" * 100_000])
def test_no_json_or_no_object_is_refused(text: str) -> None:
    with pytest.raises(ModelError):
        ModelSpec.from_json(text)


def test_numbers_that_are_not_finite_are_refused() -> None:
    text = made().to_json().replace('"temperature": 1.3', '"temperature": Infinity')
    with pytest.raises(ModelError, match="finite"):
        ModelSpec.from_json(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("centre", (1.0,)),
        ("variances", (1.0, 0.0)),
        ("scale_below", (0.0, 1.0)),
        ("components", ((1.0,), (1.0,))),
        ("residual_variance", 0.0),
        ("quantile", 1.0),
        ("subjects", (100, 0)),
    ],
)
def test_a_guard_whose_parts_do_not_fit_is_refused(name: str, value: Any) -> None:
    values = {field: getattr(GUARD, field) for field in GUARD.__dataclass_fields__}
    with pytest.raises(ModelError):
        Guard(**{**values, name: value})


def test_what_a_file_does_not_say_its_probabilities_refer_to_is_not_known() -> None:
    values = json.loads(made().to_json())
    del values["refers_to"]
    assert ModelSpec.from_json(json.dumps(values)).refers_to is None


@pytest.mark.parametrize(
    ("trained", "tested", "marked"),
    [(True, None, True), (False, None, False), (True, False, False), (False, True, True)],
)
def test_metrics_are_marked_by_who_was_tested(
    trained: bool, tested: bool | None, marked: bool
) -> None:
    assert made(simulated=trained, test_simulated=tested).metrics_simulated is marked


@pytest.mark.parametrize(
    ("crops", "rate"),
    [(20, 19 / 21), (39, 0.95), (78, 77 / 79), (98, 97 / 99), (99, 0.98), (2000, 0.98)],
)
def test_a_guard_promises_no_more_than_its_validation_crops_can_keep(
    crops: int, rate: float
) -> None:
    """Two maxima of n: both are met by a new crop at 1 - 2 / (n + 1) or more."""
    assert replace(GUARD, subjects=(100, crops)).pass_rate == pytest.approx(rate)
