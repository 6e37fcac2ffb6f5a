"""result.json: the example is valid, and every broken rule is named with its path."""

from __future__ import annotations

import copy
import dataclasses
import typing
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from osteoscope.core.errors import InputError, OsteoscopeError
from osteoscope.core.flag import Effect, Severity
from osteoscope.core.label_schemes import VERTEBRAE
from osteoscope.core.volume import Acquisition
from osteoscope.reporting.result_schema import SCHEMA_VERSION, result_schema, validate_result
from tests.reporting.example_scan import example_result, failed_result, withheld_result

SECRET = "DOE^JANE 1950-01-01"


def changed(path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    """The example with one place set to a value."""
    result = example_result()
    place: Any = result
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return result


@pytest.mark.parametrize("make", [example_result, withheld_result, failed_result])
def test_every_status_has_a_valid_example(make: Any) -> None:
    result = make()
    validate_result(result)
    assert result["schema_version"] == SCHEMA_VERSION


def test_schema_is_itself_valid_and_of_this_version() -> None:
    schema = result_schema()
    Draft202012Validator.check_schema(dict(schema))
    assert schema["properties"]["schema_version"]["enum"][-1] == SCHEMA_VERSION
    assert schema["$id"].endswith(f":{SCHEMA_VERSION}")


def test_schema_agrees_with_the_contracts_of_core() -> None:
    definitions = result_schema()["$defs"]
    flag = definitions["flag"]["properties"]
    assert tuple(flag["severity"]["enum"]) == typing.get_args(Severity)
    assert tuple(flag["effect"]["enum"]) == typing.get_args(Effect)
    facts = {field.name for field in dataclasses.fields(Acquisition)}
    assert set(definitions["acquisition"]["properties"]) == facts
    level = Draft202012Validator(definitions["level"])
    assert all(level.is_valid(name) for name in VERTEBRAE)
    assert not any(level.is_valid(name) for name in ("L7", "T14", "S2", "l1", "L1 ", "C0", ""))


@pytest.mark.parametrize(
    ("path", "value", "place", "rule"),
    [
        (("status",), "ok", "at status", "done"),
        (("schema_version",), "2.0", "at schema_version", '"1.0"'),
        (("scan", "spacing_mm"), [1.0, 1.0], "at scan.spacing_mm", "minItems"),
        (("scan", "spacing_mm", 0), 0.0, "at scan.spacing_mm.0", "the value 0.0"),
        (("scan", "acquisition", "kvp"), "120", "at scan.acquisition.kvp", "number or null"),
        (("scan", "digest"), "no digest", "at scan.digest", "does not match"),
        (("vertebrae", "L9"), {}, "at vertebrae", "does not match"),
        (("vertebrae", "L1", "withheld"), False, "at vertebrae.L1.withheld", "string or null"),
        (("flags", 0, "effect"), "stop", "at flags.0.effect", "withhold"),
        (("flags", 0, "extra"), 1, "at flags.0", "unknown key 'extra'"),
        (("assessment", 0, "probability"), 1.2, "assessment.0.probability", "the value 1.2"),
        (("uncertainty", "L1", 0, "standard_uncertainty"), -1, "uncertainty.L1.0", "minimum"),
        (("disclaimer",), "A medical device.", "at disclaimer", "does not match"),
        (("error",), {"type": "A", "message": "b"}, "at error", "must not be there"),
        (("run",), None, "at run", "null where object"),
        (("virtual_dxa",), {"withheld": "why", "t_score": 1}, "virtual_dxa", "'t_score'"),
    ],
)
def test_violation_is_named_with_its_path(
    path: tuple[str | int, ...], value: object, place: str, rule: str
) -> None:
    with pytest.raises(InputError) as caught:
        validate_result(changed(path, value))
    assert place in str(caught.value)
    assert rule in str(caught.value)


@pytest.mark.parametrize(
    ("code", "missing"),
    [({"value": 1.0, "unit": "HU"}, "method"), ({"missing": "x", "value": 1}, "unknown key")],
)
def test_measurement_is_a_value_with_all_its_facts_or_a_reason(
    code: dict[str, Any], missing: str
) -> None:
    path = ("vertebrae", "L1", "measurements", "trabecular_median_hu")
    with pytest.raises(InputError, match=r"vertebrae\.L1\.measurements\.trabecular_median_hu") as e:
        validate_result(changed(path, code))
    assert missing in str(e.value)


@pytest.mark.parametrize(
    "path",
    [
        ("status",),
        ("scan", "acquisition", "kvp"),
        ("scan", "digest"),
        ("flags", 0, "level"),
        ("vertebrae", "L1", "flags"),
        ("series", "chosen", "n_slices"),
        ("disclaimer",),
    ],
)
def test_free_text_is_never_repeated(path: tuple[str | int, ...]) -> None:
    with pytest.raises(OsteoscopeError) as caught:
        validate_result(changed(path, SECRET))
    for part in ("DOE", "JANE", "1950"):
        assert part not in str(caught.value)


@settings(derandomize=True, max_examples=25, deadline=None)
@given(st.sampled_from(sorted(set(example_result()) - {"identity"})))
def test_no_top_level_key_may_be_absent(key: str) -> None:
    result = example_result()
    del result[key]
    with pytest.raises(InputError, match=f"{key}"):
        validate_result(result)


def test_identity_is_optional_and_may_be_unknown() -> None:
    result = example_result()
    assert "identity" not in result
    result["identity"] = {"patient_name": None, "patient_id": "17"}
    validate_result(result)


def test_tuples_count_as_arrays_and_other_types_are_refused_by_path() -> None:
    result = changed(("scan", "shape"), (118, 512, 512))
    validate_result(result)
    with pytest.raises(InputError, match=r"at run\.duration_s: a float32 cannot be written"):
        validate_result(changed(("run", "duration_s"), np.float32(1.0)))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_are_finite_everywhere(value: float) -> None:
    with pytest.raises(InputError, match=r"flags\.0\.evidence\.slice_spacing_mm: .*finite"):
        validate_result(changed(("flags", 0, "evidence", "slice_spacing_mm"), value))


def test_interval_rises() -> None:
    path = ("assessment", 0, "interval", "low")
    with pytest.raises(InputError, match=r"assessment\.0\.interval: an interval must rise"):
        validate_result(changed(path, 500.0))


def test_result_that_rests_on_a_withheld_vertebra_is_refused() -> None:
    result = changed(("vertebrae", "L1", "withheld"), "Metal.")
    with pytest.raises(InputError, match=r"assessment\.0\.category: L1 is withheld"):
        validate_result(result)
    result["assessment"][0]["level"] = "L1-L2"
    with pytest.raises(InputError, match="L1-L2 is withheld"):
        validate_result(result)


def test_status_follows_the_primary_assessment() -> None:
    result = withheld_result()
    result["status"] = "done"
    with pytest.raises(InputError, match="at status: must be withheld exactly where"):
        validate_result(result)
    with pytest.raises(InputError, match="at primary_assessment: 0 assessments"):
        validate_result(changed(("primary_assessment",), "another"))


def test_probabilities_add_up_and_name_the_category() -> None:
    path = ("assessment", 0, "probabilities")
    with pytest.raises(InputError, match="probabilities: must add up to 1"):
        validate_result(changed(path, {"indeterminate": 0.4}))
    with pytest.raises(InputError, match="must name the category"):
        validate_result(changed(path, {"indeterminate": 1.0}))


def test_vertebra_names_only_listed_flags() -> None:
    with pytest.raises(InputError, match=r"vertebrae\.L2\.flags: 'cement' is not among"):
        validate_result(changed(("vertebrae", "L2", "flags"), ["cement"]))


def test_simulated_scan_cannot_pass_as_real() -> None:
    with pytest.raises(InputError, match="at simulated"):
        validate_result(changed(("simulated",), False))


def test_validation_changes_nothing() -> None:
    result = example_result()
    before = copy.deepcopy(result)
    validate_result(result)
    assert result == before
