"""Class names of published models, read as structures of a scheme."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from osteoscope.anatomy.segmenters.nnunet_labels import class_map_from_file, class_map_from_names
from osteoscope.core.errors import InputError
from osteoscope.core.label_schemes import label_scheme

TOTAL, VERSE = label_scheme("totalsegmentator"), label_scheme("verse")


@pytest.mark.parametrize(
    "spelling", ["vertebrae_{}", "{}", "vertebra {}", "Vert-{}", "VERTEBRAE_{}"]
)
def test_usual_spellings(spelling: str) -> None:
    levels = ["T12", "L1", "L2"]
    labels = {"background": 0} | {spelling.format(x): n + 1 for n, x in enumerate(levels)}
    found = class_map_from_names(labels)
    assert found.scheme is TOTAL
    assert dict(found.number_of) == {n + 1: TOTAL.vertebrae[x] for n, x in enumerate(levels)}
    assert found.ignored == ()


def test_the_scheme_that_names_most_vertebrae_wins() -> None:
    labels = {"background": 0, "L5": 1, "L6": 2, "T13": 3, "aorta": 4}
    found = class_map_from_names(labels)
    assert found.scheme is VERSE
    assert dict(found.number_of) == {1: 24, 2: 25, 3: 28}
    assert found.ignored == ("aorta",)


def test_other_structures_come_along() -> None:
    labels = {"background": 0, "L1": 3, "Spinal Cord": 1, "aorta": 2, "disc_L1_L2": 4, "ignore": 5}
    found = class_map_from_names(labels)
    assert dict(found.number_of) == {3: 31, 1: 79, 2: 52}
    assert found.ignored == ("disc_L1_L2",)


def test_applying_it_leaves_only_what_is_named() -> None:
    found = class_map_from_names({"background": 0, "L1": 3, "disc": 4})
    classes = np.array([[[0, 3], [4, 9]]], dtype=np.uint16)
    assert found.apply(classes).tolist() == [[[0, 31], [0, 0]]]
    assert found.apply(classes).dtype == np.uint8


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ({"background": 0, "liver": 1}, r"None of the model's classes \('liver'\)"),
        ({"background": 0, "C9": 1}, r"None of the model's classes"),
        ({"background": 0, "L1": [1, 2]}, "overlapping regions"),
        ({"background": 0, "L1": 1, "vertebra_L1": 2}, "Two classes .* name the same"),
    ],
)
def test_names_that_settle_nothing_are_refused(labels: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        class_map_from_names(labels)


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_a_file_may_use_names_and_numbers(tmp_path: Path) -> None:
    content = {"scheme": "verse", "labels": {"1": "L1", "second": 21, "3": "vertebrae_L3"}}
    labels = {"background": 0, "first": 1, "second": 2, "third": 3}
    found = class_map_from_file(write(tmp_path / "map.json", content), labels)
    assert found.scheme is VERSE
    assert dict(found.number_of) == {1: 20, 2: 21, 3: 22}


def test_a_file_may_settle_regions(tmp_path: Path) -> None:
    path = write(tmp_path / "map.json", {"labels": {"1": "L1"}})
    found = class_map_from_file(path, {"spine": [1, 2]}, "verse")
    assert dict(found.number_of) == {1: 20}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ([], "must be JSON of the form"),
        ({"scheme": "verse"}, "must be JSON of the form"),
        ({"scheme": "nowhere", "labels": {"1": "L1"}}, "Unknown label scheme 'nowhere'"),
        ({"scheme": "verse", "labels": {"9th": "L1"}}, "names the class '9th'"),
        ({"scheme": "verse", "labels": {"1": "L9"}}, "has no structure 'L9'"),
        ({"scheme": "verse", "labels": {"1": 99}}, r"met: \[99\]"),
        ({"scheme": "verse", "labels": {}}, "met: no entry"),
        ({"scheme": "verse", "labels": {"1": 20, "2": 20}}, "a structure of its own"),
        ({"scheme": "verse", "labels": {"0": 20}}, "a structure of its own"),
    ],
)
def test_a_wrong_file_is_one_sentence(tmp_path: Path, content: object, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        class_map_from_file(write(tmp_path / "map.json", content), {"first": 1})


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"map.json must be JSON"):
        class_map_from_file(tmp_path / "map.json", {})
