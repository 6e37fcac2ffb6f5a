"""Contrast corrections: the published lines, their uncertainty, and refusals."""

from __future__ import annotations

import math

import pytest

from osteoscope.core.errors import InputError
from osteoscope.densitometry.corrections import CORRECTIONS, correct


@pytest.mark.parametrize(
    ("name", "unit", "before", "after"),
    [
        ("ecr-arterial", "HU", 150.0, 135.6),
        ("ecr-portal-venous", "HU", 150.0, 124.3),
        ("pickhardt-contrast", "HU", 150.0, 138.8),  # doi 10.1007/s00198-015-3224-9
        ("toelly-arterial", "mg/cm3", 100.0, 94.113),  # doi 10.1055/s-0043-102941
        ("toelly-venous", "mg/cm3", 100.0, 93.283),
    ],
)
def test_published_lines(name, unit, before, after):
    result = correct(before, unit, name)
    assert result.value == pytest.approx(after)
    assert result.original == before
    assert result.correction.source
    assert result.standard_uncertainty > 0


def test_the_rules_spread_adds_to_the_measurements():
    result = correct(150.0, "HU", "pickhardt-contrast", standard_uncertainty=5.0)
    assert result.standard_uncertainty == pytest.approx(math.hypot(5.0, 19.2))
    scaled = correct(100.0, "mg/cm3", "toelly-arterial", standard_uncertainty=10.0)
    assert scaled.standard_uncertainty == pytest.approx(math.hypot(9.64, 10.0))


def test_refusals_say_what_to_do():
    with pytest.raises(InputError, match="Unknown correction 'magic'; known: ecr-arterial"):
        correct(150.0, "HU", "magic")
    with pytest.raises(InputError, match="is for mg/cm3, not HU"):
        correct(150.0, "HU", "toelly-venous")
    with pytest.raises(InputError, match="finite value"):
        correct(math.nan, "HU", "ecr-arterial")


def test_nothing_corrects_the_tube_voltage():
    assert not any("kvp" in name for name in CORRECTIONS)
