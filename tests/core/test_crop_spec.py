"""The specification of crops: what it refuses, and that it survives JSON."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osteoscope.core.crop_spec import CropSpec
from osteoscope.core.errors import InputError
from osteoscope.core.label_schemes import VERTEBRAE

SIDES = st.integers(4, 512)
SPACINGS = st.floats(0.1, 10.0)

SPECS = st.builds(
    CropSpec,
    levels=st.lists(st.sampled_from(VERTEBRAE), min_size=1, max_size=4, unique=True).map(tuple),
    shape=st.tuples(SIDES, SIDES, SIDES),
    spacing_mm=st.tuples(SPACINGS, SPACINGS, SPACINGS),
    surroundings=st.booleans(),
    axes=st.sampled_from(("scanner", "vertebra")),
)


@given(SPECS)
def test_json_gives_the_same_specification(spec: CropSpec) -> None:
    assert CropSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_whole_and_real_spacings_are_one_specification() -> None:
    whole = CropSpec(spacing_mm=(1, 1, 2))
    assert json.dumps(whole.to_dict()) == json.dumps(CropSpec(spacing_mm=(1.0, 1.0, 2.0)).to_dict())


def test_the_size_counts_whole_voxels() -> None:
    assert CropSpec(shape=(10, 20, 30), spacing_mm=(3.0, 2.0, 1.0)).size_mm == (30.0, 40.0, 30.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"levels": ()}, "at least one level"),
        ({"levels": "L1"}, "at least one level"),
        ({"levels": ("L9",)}, "Unknown vertebra 'L9'"),
        ({"levels": ("L1", "L1")}, "named twice"),
        ({"levels": (None,)}, "Unknown vertebra None"),
        ({"shape": (64, 96)}, "three whole numbers"),
        ({"shape": (64, 96, 3)}, "4 to 512 voxels"),
        ({"shape": (64, 96, 513)}, "4 to 512 voxels"),
        ({"shape": (64.0, 96, 96)}, "three whole numbers"),
        ({"shape": (True, 96, 96)}, "three whole numbers"),
        ({"spacing_mm": (0.0, 1.0, 1.0)}, "0.1 to 10 mm"),
        ({"spacing_mm": (1.0, 1.0, float("nan"))}, "0.1 to 10 mm"),
        ({"spacing_mm": (1.0, "1", 1.0)}, "0.1 to 10 mm"),
        ({"surroundings": "no"}, "true or false"),
        ({"axes": "patient"}, "known: scanner, vertebra"),
    ],
)
def test_what_does_not_fit_is_one_sentence(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        CropSpec(**change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("values", [{}, {"levels": ["L1"]}, [1, 2], None])
def test_a_foreign_mapping_is_refused(values: Any) -> None:
    with pytest.raises(InputError, match="exactly the keys levels, shape"):
        CropSpec.from_dict(values)


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(InputError, match="exactly the keys"):
        CropSpec.from_dict(CropSpec().to_dict() | {"colour": 1})
