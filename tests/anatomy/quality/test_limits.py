"""The limits refuse what makes no sense, and name it."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from osteoscope.anatomy.quality import limits
from osteoscope.anatomy.quality.codes import FLAG_CODES
from osteoscope.anatomy.quality.limits import DEFAULT_LIMITS, QualityLimits
from osteoscope.core.errors import InputError


def test_genants_first_grade_is_the_published_one() -> None:
    # Genant, J Bone Miner Res 1993, doi 10.1002/jbmr.5650080915.
    assert DEFAULT_LIMITS.height_loss == 0.20
    assert DEFAULT_LIMITS.kvp_standard == 120.0


@pytest.mark.parametrize("name", [f.name for f in fields(QualityLimits)])
def test_every_limit_must_be_finite(name: str) -> None:
    with pytest.raises(InputError, match=name):
        QualityLimits(**{name: float("nan")})


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ("volume_low_share", "volume_high_share"),
        ("spacing_low_mm", "spacing_high_mm"),
        ("aorta_enhanced_hu", "aorta_arterial_hu"),
        ("cement_hu", "metal_near_spine_hu"),
        ("volume_neighbours_low", "volume_neighbours_high"),
        ("spacing_neighbours_low", "spacing_neighbours_high"),
    ],
)
def test_pairs_must_rise(low: str, high: str) -> None:
    with pytest.raises(InputError, match=f"{low}.*below {high}"):
        QualityLimits(**{low: getattr(DEFAULT_LIMITS, high)})


def test_an_unknown_limit_is_an_error() -> None:
    with pytest.raises(TypeError, match="nonsense"):
        QualityLimits(nonsense=1.0)  # type: ignore[call-arg]


def test_every_code_in_the_source_is_explained_and_every_explained_code_is_raised() -> None:
    folder = Path(limits.__file__).parent
    text = "".join(p.read_text() for p in folder.glob("*.py") if p.name != "codes.py")
    named = set(re.findall(r'"([a-z]+(?:_[a-z0-9]+)*)"', text))
    assert set(FLAG_CODES) <= named
    raised = set(re.findall(r'Flag\(\s*"([a-z0-9_]+)"', text))
    raised |= set(re.findall(r'_flag\(\s*"([a-z0-9_]+)"', text))
    assert len(raised) > 15
    assert raised <= set(FLAG_CODES)
