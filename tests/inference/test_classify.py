"""From a crop to an answer: every step against a plain computation beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osteoscope.core.errors import InputError, ModelError
from osteoscope.core.model_spec import Adjustment, Conformal
from osteoscope.inference.classify import class_probabilities, classify_crop
from osteoscope.inference.embedded_model import embedded_path, require_embedded
from osteoscope.inference.session import DeployedModel, open_model
from tests.inference.tiny_model import CROP, crop_of, spec, tiny_onnx, write_tiny


def opened(tmp_path: Path, **changes: Any) -> DeployedModel:
    return open_model(write_tiny(tmp_path / "m.onnx", spec(**changes)))


def by_hand(t_score: float, tau: float, temperature: float) -> np.ndarray:
    """The fake's probabilities from its T-score, by the formula of the description."""
    logits = -((t_score - np.array([0.0, -1.75, -3.5])) ** 2)
    scores = (logits - tau * np.log([0.5, 0.3, 0.2])) / temperature
    shares = np.exp(scores)
    return shares / shares.sum()


@pytest.mark.parametrize(("tau", "temperature"), [(0.0, 1.0), (1.0, 1.0), (0.7, 2.5)])
def test_probabilities_follow_the_description(
    tmp_path: Path, tau: float, temperature: float
) -> None:
    model = opened(tmp_path, adjust=Adjustment("subtract", tau), temperature=temperature)
    for hu in (60.0, 130.0, 200.0):
        answer = classify_crop(model, crop_of(hu))
        assert answer.t_score is not None
        expected = by_hand(answer.t_score, tau, temperature)
        assert answer.probabilities == pytest.approx(expected, abs=1e-4)
        assert answer.category == answer.classes[int(np.argmax(expected))]


def test_denser_bone_gets_a_better_class(tmp_path: Path) -> None:
    model = opened(tmp_path)
    found = [classify_crop(model, crop_of(hu)).category for hu in (0.0, 80.0, 180.0)]
    assert found == ["osteoporosis", "osteopenia", "normal"]


def test_the_set_holds_the_classes_whose_score_is_within_the_threshold(tmp_path: Path) -> None:
    """``lac``: a class is in the set where 1 - p is at most the threshold."""
    model = opened(tmp_path, conformal=Conformal(0.9, "lac", (0.7,)))
    answer = classify_crop(model, crop_of(130.0))
    assert answer.prediction_set is not None
    assert answer.prediction_set.tolist() == (1 - answer.probabilities <= 0.7).tolist()
    one_each = opened(tmp_path, conformal=Conformal(0.9, "lac", (0.0, 1.0, 0.0)))
    answer = classify_crop(one_each, crop_of(130.0))
    assert answer.prediction_set is not None
    assert answer.prediction_set.tolist() == [False, True, False]
    assert classify_crop(opened(tmp_path, conformal=None), crop_of()).prediction_set is None


def test_a_crop_of_another_shape_is_refused(tmp_path: Path) -> None:
    model = opened(tmp_path)
    with pytest.raises(InputError, match="takes crops of"):
        classify_crop(model, np.zeros((32, 48, 47), np.int16))


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"adjust": Adjustment("divide", 1.0)}, "known: subtract, add, two_temperature"),
        ({"conformal": Conformal(0.9, "guess", (0.5,))}, "known: lac, aps"),
    ],
)
def test_a_description_that_names_something_unknown_is_refused_on_opening(
    tmp_path: Path, changes: dict[str, Any], rule: str
) -> None:
    with pytest.raises(ModelError, match=rule):
        opened(tmp_path, **changes)


def test_an_empty_crop_is_not_known(tmp_path: Path) -> None:
    answer = classify_crop(opened(tmp_path), np.full(CROP.shape, -1024, np.int16))
    assert answer.guard.known is False


def test_probabilities_add_up_for_any_logits() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 300, (50, 3)).astype(np.float32)
    shares = class_probabilities(spec(adjust=Adjustment("subtract", 1.0)), logits)
    assert np.all(np.isfinite(shares))
    assert shares.sum(axis=1) == pytest.approx(1.0)


def test_the_embedded_model_is_there_or_missed_in_a_sentence() -> None:
    if embedded_path() is None:
        with pytest.raises(ModelError, match=r"--model FILE, or use --model none\.$"):
            require_embedded()
    else:
        model = open_model(require_embedded())
        assert model.spec.simulated
        assert require_embedded().stat().st_size <= 8 * 2**20


def test_the_fake_is_valid_onnx() -> None:
    import onnx

    onnx.checker.check_model(tiny_onnx(spec().to_json()))
