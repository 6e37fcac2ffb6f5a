"""Values in words: rounding, units, honesty about what is unknown."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from osteoscope.reporting import wording
from osteoscope.reporting.wording import NOT_STATED

THIN = "\N{NARROW NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (103.6, "HU", f"104{THIN}HU"),
        (-0.3, "HU", f"0{THIN}HU"),
        (-12.2, "HU", f"−12{THIN}HU"),
        (0.81234, "g/cm2", f"0.812{THIN}g/cm²"),
        (82.4, "mg/cm3", f"82{THIN}mg/cm³"),
        (25.64, "mm", f"25.6{THIN}mm"),
        (-2.131, "1", "−2.13"),
        (3.14159, "", "3.14"),
        (792.6, "1", "793"),
    ],
)
def test_number_is_as_fine_as_its_unit(value: float, unit: str, expected: str) -> None:
    assert wording.number(value, unit) == expected


def test_span_names_the_unit_once() -> None:
    interval = {"low": -4.4, "high": 12.3, "level": 0.95}
    assert wording.span(interval, "HU") == f"−4 to 12{THIN}HU"
    assert wording.coverage(interval) == f"95{THIN}% interval"


@settings(derandomize=True, max_examples=50, deadline=None)
@given(st.floats(0, 1))
@example(0.0)
@example(0.9951)
@example(1.0)
def test_no_probability_is_shown_as_certain(share: float) -> None:
    shown = wording.percent(share).replace(THIN, "")
    assert shown not in {"0%", "100%"}
    assert abs(float(shown.strip("<> %")) / 100 - share) <= 0.0101


def test_unknown_facts_say_so_and_nothing_is_assumed() -> None:
    facts = wording.acquisition_facts({"kvp": None, "kernel": "", "slice_thickness_mm": 3.0})
    assert dict(facts)["Tube voltage"] == NOT_STATED
    assert dict(facts)["Reconstruction kernel"] == NOT_STATED
    assert dict(facts)["Slice thickness"] == f"3{THIN}mm"
    assert dict(facts)["Age"] == NOT_STATED
    assert dict(wording.acquisition_facts({"contrast_enhanced": True}))["Contrast"] == "given"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("trabecular_median_hu", "Trabecular attenuation (median)"),
        ("elliptic_mid_body_median_hu", "Elliptic mid body median"),
        ("metal_in_region", "Metal in region"),
        ("kvp_unknown", "kVp unknown"),
        ("a phrase, with more", "A phrase, with more"),
    ],
)
def test_codes_become_words(code: str, expected: str) -> None:
    assert wording.measurement_name(code) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "unknown"),
        (True, "yes"),
        (0.28712, "0.2871"),
        (-3.0, "−3"),
        (540, "540"),
        (["T11", "T12"], "T11, T12"),
        ([], "none"),
        ({"slope": 0.8, "file": None}, "Slope 0.8; File unknown"),
    ],
)
def test_evidence_is_readable(value: object, expected: str) -> None:
    assert wording.evidence_text(value) == expected


@pytest.mark.parametrize(
    ("plain", "printed"),
    [
        ("lost 35 +- 4 % of 0.6 cm3", "lost 35 ± 4 % of 0.6 cm³"),
        ("79 mg/cm3, pixels above 0.2 g/cm2", "79 mg/cm³, pixels above 0.2 g/cm²"),
        ("adipose -88 HU, from -20 to 60 HU", "adipose −88 HU, from −20 to 60 HU"),
        ("10-25 HU, L1-L4, K2HPO4, --calibration", "10-25 HU, L1-L4, K2HPO4, --calibration"),
        ("doi 10.1186/s41747-024-00483-9", "doi 10.1186/s41747-024-00483-9"),
    ],
)
def test_messages_are_set_in_proper_signs(plain: str, printed: str) -> None:
    assert wording.prose(plain) == printed


def test_sources_of_error_are_words() -> None:
    assert wording.error_sources(["noise", "region", "kvp"]) == "noise, region and tube voltage"
    assert wording.error_sources(["calibration"]) == "calibration"


def test_criteria_are_words_and_an_unknown_one_keeps_its_code() -> None:
    assert wording.criterion_name("qct-vbmd") == "QCT density"
    assert wording.criterion_name("of-tomorrow") == "of-tomorrow"


def test_a_value_without_a_unit_says_what_it_is() -> None:
    entry = {"unit": "1", "quantity": "z-score of the attenuation of L1"}
    assert wording.judged_kind(entry) == "z-score"
    assert wording.judged_kind({"unit": "HU", "quantity": "attenuation of L1"}) == ""


def test_a_calibration_is_a_sentence_with_its_doubts() -> None:
    detail = {
        "slope_mg_cm3_per_hu": 0.50128,
        "intercept_mg_cm3": 8.02,
        "mineral": "HA",
        "source": "patient's own tissues (adipose -88 HU)",
        "warnings": ["blood was left out: 150 HU."],
    }
    assert wording.calibration_text({"name": "internal", "detail": detail}) == (
        "internal: 0.501 mg/cm³ per HU, 8.0 mg/cm³ at 0 HU, in mg of HA; patient's own tissues "
        "(adipose −88 HU). Blood was left out: 150 HU."
    )
    assert wording.calibration_text({"name": "table", "detail": "one row"}) == "table: one row"
    assert wording.calibration_text({"name": "table", "detail": None}) == "table"
