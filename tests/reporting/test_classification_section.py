"""The page's section about a model: the class never without its set, doubts and marks."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from osteoscope.core.errors import InputError
from osteoscope.inference.saliency import Saliency
from osteoscope.reporting.classification_section import classification_content
from osteoscope.reporting.page import SALIENCY, report_html
from osteoscope.reporting.pictures import picture_caption, picture_size
from osteoscope.reporting.result_schema import validate_result
from osteoscope.reporting.saliency_picture import render_saliency
from tests.reporting.example_scan import drawn_scan, example_result
from tests.reporting.page_reader import assert_self_contained, read_page, section_order

HEADING = "What a trained model says"
EVIDENCE = {
    "statistics_distance": 1.234,
    "statistics_limit": 3.5,
    "furthest_statistic": "hu_p95",
    "value": 612.0,
    "known_from": 250.0,
    "known_to": 900.0,
    "unit": "HU",
    "embedding_distance": 2.0,
    "embedding_limit": 4.0,
    "pass_rate": 0.9672,
    "reference_crops": 300,
    "validation_crops": 60,
}
ENTRY: dict[str, Any] = {
    "model": {
        "name": "small L1 network",
        "digest": "sha256:" + "a" * 64,
        "simulated": True,
        "test_simulated": True,
        "training": "600 simulated patients.",
        "licence": "Apache-2.0",
        "runtime": "onnxruntime 1.20.0",
        "metrics": {
            "macro_auc": {"value": 0.91, "low": 0.86, "high": 0.95, "n": 120},
            "log_loss": {"value": 0.77, "low": 0.7, "high": 0.8, "n": 120},
        },
    },
    "level": "L1",
    "category": "osteopenia",
    "probabilities": {"normal": 0.12, "osteopenia": 0.64, "osteoporosis": 0.24},
    "refers_to": {"normal": 0.38, "osteopenia": 0.34, "osteoporosis": 0.28},
    "set": {"classes": ["osteopenia", "osteoporosis"], "coverage": 0.9, "method": "lac"},
    "t_score": -1.87,
    "agreement": {
        "baseline": "pickhardt-l1-hu",
        "category": "suggests osteoporosis (specific threshold)",
        "verdict": "disagrees",
        "reason": "The attenuation of 104 HU suggests osteoporosis; the model says osteopenia.",
    },
    "guard": {"known": True, "reason": None, "evidence": EVIDENCE},
    "flags": ["thick_slices"],
    "doubts": ["The model was trained on simulated patients only: nothing is known."],
}


def result_with(**changes: Any) -> dict[str, Any]:
    result = example_result()
    result["classification"] = copy.deepcopy(ENTRY) | changes
    return result


def withheld_entry() -> dict[str, Any]:
    kept = ("model", "level", "flags")
    entry = {key: copy.deepcopy(ENTRY[key]) for key in kept}
    guard = {"known": False, "reason": "Its median attenuation is 700 HU.", "evidence": EVIDENCE}
    return entry | {"withheld": "Its median attenuation is 700 HU.", "guard": guard}


def section_of(result: dict[str, Any], pictures: dict[str, bytes] | None = None) -> str:
    """The text of the section alone."""
    validate_result(result)
    html = report_html(result, pictures or {})
    assert_self_contained(html)
    text = read_page(html).text
    return text[text.index(HEADING) : text.index("Every vertebra")]


def test_the_section_says_class_set_agreement_and_doubts() -> None:
    text = section_of(result_with())
    assert "L1: osteopenia , T-score estimated at −1.9" in text
    for words in ("12 %", "64 %", "24 %"):
        assert words in text.replace("\N{NARROW NO-BREAK SPACE}", " ")
    assert "osteopenia or osteoporosis" in text
    assert "Disagrees Held against attenuation after Pickhardt" in text
    assert "104 HU" in text
    assert "Thick slices" in text
    assert ENTRY["doubts"][0] in text
    assert "within 1.2 spreads of the middle (limit 3.5)" in text
    plain = text.replace("\N{NARROW NO-BREAK SPACE}", " ")
    assert "let at least 96.7 % of such crops pass; 60 validation crops set them" in plain
    assert "AUC, each class against the rest, mean 0.910" in text
    assert "0.910, 95 % interval 0.860 to 0.950, 120 simulated test subjects" in text
    assert "og loss" not in text
    assert "600 simulated patients." in text
    assert "sha256:aaaa" in text


def test_a_model_of_simulated_patients_says_so_whatever_it_answers() -> None:
    assert "Model trained on simulated patients only" in section_of(result_with())
    result = example_result()
    result["classification"] = withheld_entry()
    assert "Model trained on simulated patients only" in section_of(result)


def test_a_model_of_real_patients_is_not_marked() -> None:
    model = copy.deepcopy(ENTRY["model"]) | {"simulated": False, "test_simulated": False}
    text = section_of(result_with(model=model, doubts=[]))
    assert "simulated patients only" not in text
    assert "120 test subjects" in text


def test_tests_on_simulated_subjects_are_marked_whoever_it_was_trained_on() -> None:
    model = copy.deepcopy(ENTRY["model"]) | {"simulated": False}
    text = section_of(result_with(model=model, doubts=[]))
    assert "simulated patients only" not in text
    assert "120 simulated test subjects" in text


def test_the_probabilities_say_for_whom_they_are() -> None:
    text = section_of(result_with()).replace("\N{NARROW NO-BREAK SPACE}", " ")
    assert (
        "for people of whom 38 % are normal, 34 % have osteopenia and 28 % have osteoporosis; "
        "among others they shift"
    ) in text
    unknown = section_of(result_with(refers_to=None))
    assert "people of whom" not in unknown
    assert "It is not known how common each class is" in unknown


def test_a_model_without_a_guard_says_so() -> None:
    text = section_of(result_with(guard={"known": None, "reason": None, "evidence": {}}))
    assert "Not checked: the model has no guard." in text


def test_a_withheld_class_shows_the_reason_and_no_class() -> None:
    result = example_result()
    result["classification"] = withheld_entry()
    text = section_of(result)
    assert "The class is withheld. Its median attenuation is 700 HU." in text
    assert "osteopenia" not in text
    assert "64" not in text
    assert "Guard: furthest statistic hu_p95" in text


def test_no_model_is_one_small_line() -> None:
    result = example_result()
    result["classification"] = {"withheld": "No model was asked (--model none).", "model": None}
    assert section_of(result) == f"{HEADING} Nothing: No model was asked (--model none). "


def test_an_older_result_has_no_section_and_is_still_valid() -> None:
    result = example_result()
    result["schema_version"] = "1.0"
    assert "classification" not in result
    validate_result(result)
    assert classification_content(result) is None
    assert HEADING not in section_order(report_html(result, {}))


def test_an_empty_set_and_a_missing_one_say_so() -> None:
    empty = result_with(set=ENTRY["set"] | {"classes": []})
    assert "No class fits well enough" in section_of(empty)
    assert "no set of classes" in section_of(result_with(set=None, t_score=None))


def test_texts_of_a_model_are_escaped() -> None:
    payload = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    model = copy.deepcopy(ENTRY["model"]) | {"name": payload, "training": payload}
    assert payload in section_of(result_with(model=model))


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"probabilities": {"normal": 1.5, "osteopenia": -0.5}}, "classification.probabilities"),
        ({"model": None}, "classification.model"),
        ({"refers_to": {"normal": 0.5, "osteopenia": 0.5}}, "refers_to: must name the classes"),
        ({"refers_to": dict.fromkeys(ENTRY["refers_to"], 0.5)}, "refers_to: must add up to 1"),
        ({"refers_to": "even"}, "classification.refers_to"),
        ({"extra": 1}, "unknown key 'extra'"),
        ({"guard": {"known": True}}, "classification.guard"),
        ({"agreement": ENTRY["agreement"] | {"verdict": "maybe"}}, "agreement.verdict"),
        ({"t_score": float("nan")}, "must be finite"),
    ],
)
def test_a_broken_entry_is_named_with_its_place(change: dict[str, Any], place: str) -> None:
    with pytest.raises(InputError, match=place):
        validate_result(result_with(**change))


def _saliency(category: str = "osteopenia", strength: float = 1.5) -> tuple[bytes, Any]:
    """A map whose left half speaks for the class and whose right half speaks against it."""
    volume, _, vertebrae, _ = drawn_scan()
    grid = vertebrae["L1"].grid
    values = np.zeros(grid.shape, dtype=np.float32)
    half = grid.shape[2] // 2
    values[..., :half], values[..., half:] = -strength, strength
    saliency = Saliency(values, category, 16.0, 40)
    png = render_saliency(volume, vertebrae["L1"], saliency, grid, simulated=True)
    return png, volume


def test_the_picture_carries_its_caption_and_stands_on_the_page() -> None:
    png, _ = _saliency()
    caption = picture_caption(png)
    assert "1.50 in log-odds" in caption
    assert "40 of them" in caption
    assert "simulated patients" in caption
    text = section_of(result_with(), {SALIENCY: png})
    assert caption in text
    width, height = picture_size(png)
    assert width > 2.5 * height


def test_colours_lie_where_the_map_has_them() -> None:
    """In the axial panel the patient's left is on the right: orange there, blue on the left."""
    import io

    from PIL import Image

    png, _ = _saliency()
    with Image.open(io.BytesIO(png)) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    axial = pixels[:, 2 * pixels.shape[1] // 3 :]
    warm = axial[..., 0] - axial[..., 2] > 60
    cold = axial[..., 2] - axial[..., 0] > 60
    assert warm.sum() > 100
    assert cold.sum() > 100
    assert np.argwhere(warm)[:, 1].mean() > np.argwhere(cold)[:, 1].mean() + 5


def test_a_map_of_next_to_nothing_is_not_painted_in_full_colour() -> None:
    import io

    from PIL import Image

    png, _ = _saliency(strength=0.005)
    with Image.open(io.BytesIO(png)) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(pixels[..., 0] - pixels[..., 2]).max() < 30


def test_the_same_map_gives_the_same_picture() -> None:
    assert _saliency()[0] == _saliency()[0]
