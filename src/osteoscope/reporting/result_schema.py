"""What a ``result.json`` must look like, and the check that it does."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator

from osteoscope.core.errors import InputError

SCHEMA_VERSION = "1.1"
"""Version of the schema that this package writes; results of every older 1.x are valid too."""

_PROBABILITY_TOLERANCE = 0.01
"""How far rounded probabilities of one criterion may be from adding up to one."""

KeyPath = tuple[str | int, ...]


@cache
def result_schema() -> Mapping[str, Any]:
    """The JSON Schema (draft 2020-12) of ``result.json``, as shipped in the package."""
    name = f"result-{SCHEMA_VERSION}.schema.json"
    text = files("osteoscope.reporting").joinpath("schema", name).read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def validate_result(result: dict[str, Any]) -> None:
    """Check a screen's result against the schema and against itself.

    Beyond the schema, a result must make sense: every number finite, every interval rising, the
    probabilities of a criterion and of a model adding up to one, every flag that a vertebra names
    listed, the primary assessment present and agreeing with the status, no category that rests on
    a withheld vertebra or on a crop that the model does not know, and a scan that its file
    declares simulated marked so.

    Args:
        result: The content of ``result.json``, JSON types only.

    Raises:
        InputError: The result breaks a rule. The message gives the path of the first violation
            and the rule; free text met there is never repeated, since it may identify a patient.
    """
    result = _as_json(result, ())
    errors = list(_validator().iter_errors(result))
    if errors:
        path, rule = min((_deepest(error) for error in errors), key=lambda found: _order(found[0]))
        raise InputError(_sentence(path, rule))
    for path, rule in _contradictions(result):
        raise InputError(_sentence(path, rule))


@cache
def _validator() -> Validator:
    return Draft202012Validator(result_schema())


def _as_json(value: object, path: KeyPath) -> Any:
    """The value as JSON will hold it: tuples become arrays, and other types are refused."""
    if isinstance(value, dict):
        return {key: _as_json(inner, (*path, key)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(inner, (*path, n)) for n, inner in enumerate(value)]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise InputError(_sentence(path, f"{_kind(value)} cannot be written as JSON"))


def _sentence(path: KeyPath, rule: str) -> str:
    where = ".".join(str(part) for part in path) or "its top level"
    return (
        f"The result breaks its schema {SCHEMA_VERSION} at {where}: {rule}; correct the program "
        "or file that wrote it."
    )


def _order(path: KeyPath) -> tuple[str, ...]:
    return tuple(f"{part:09d}" if isinstance(part, int) else part for part in path)


def _deepest(error: ValidationError) -> tuple[KeyPath, str]:
    """KeyPath and rule of the error; of an ``anyOf``, of the alternative that came furthest."""
    if error.context:
        inner = max(error.context, key=lambda e: len(e.absolute_path))
        if len(inner.absolute_path) > len(error.absolute_path):
            return _deepest(inner)
    return tuple(error.absolute_path), _rule(error)


def _rule(error: ValidationError) -> str:
    """The broken rule in words that hold no text of the instance."""
    expected: Any = error.validator_value
    instance: Any = error.instance
    keyword = str(error.validator)
    match keyword:
        case "required":
            missing = [name for name in expected if name not in instance]
            return f"{', '.join(missing)} must be there"
        case "additionalProperties":
            schema: Any = error.schema
            known = schema.get("properties", {})
            unknown = sorted(str(name) for name in instance if name not in known)
            return f"unknown key {unknown[0]!r}" if unknown else "unknown key"
        case "type":
            names = [expected] if isinstance(expected, str) else list(expected)
            return f"{_kind(instance)} where {' or '.join(names)} is asked for"
        case "enum":
            return f"must be one of {', '.join(json.dumps(v) for v in expected)}"
        case "const":
            return f"must be {json.dumps(expected)}"
        case "pattern":
            return f"{_kind(instance)} that does not match {expected}"
        case "not":
            return "must not be there for this status"
        case _:
            return f"{_kind(instance)} that breaks {keyword} {json.dumps(expected)}"


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool() | int() | float():
            return f"the value {value}"
        case str():
            return f"a text of {len(value)} characters"
        case Mapping():
            return "an object"
        case list():
            return "a list"
        case _:
            return f"a {type(value).__name__}"


def _contradictions(result: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """KeyPath and rule of what the schema cannot say, in reading order."""
    yield from _not_finite(result, ())
    yield from _falling_intervals(result, ())
    if result.get("scan", {}).get("acquisition", {}).get("simulated") and not result["simulated"]:
        yield ("simulated",), "the scan's file declares it simulated, so this must be true"
    if result["status"] == "failed":
        return
    codes = {flag["code"] for flag in result["flags"]}
    for level, vertebra in result["vertebrae"].items():
        for code in vertebra["flags"]:
            if code not in codes:
                yield ("vertebrae", level, "flags"), f"{code!r} is not among the result's flags"
    yield from _assessment_contradictions(result)


def _assessment_contradictions(result: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    withheld = {level for level, v in result["vertebrae"].items() if v["withheld"] is not None}
    for n, entry in enumerate(result["assessment"]):
        if "withheld" in entry:
            continue
        if withheld & set(str(entry["level"]).split("-")):
            yield (
                ("assessment", n, "category"),
                f"{entry['level']} is withheld, so a criterion that rests on it must be",
            )
        shares = entry["probabilities"]
        if shares and abs(sum(shares.values()) - 1) > _PROBABILITY_TOLERANCE:
            yield ("assessment", n, "probabilities"), "must add up to 1"
        if shares and entry["category"] not in shares:
            yield ("assessment", n, "probabilities"), "must name the category that is given"
    yield from _classification_contradictions(result.get("classification"), withheld)
    primary = [e for e in result["assessment"] if e["criterion"] == result["primary_assessment"]]
    if len(primary) != 1:
        yield ("primary_assessment",), f"{len(primary)} assessments have this name, not one"
    elif ("withheld" in primary[0]) != (result["status"] == "withheld"):
        yield ("status",), "must be withheld exactly where the primary assessment is withheld"


def _classification_contradictions(
    entry: Mapping[str, Any] | None, withheld: set[str]
) -> Iterator[tuple[KeyPath, str]]:
    if entry is None or "withheld" in entry:
        return
    if entry["level"] in withheld:
        yield (
            ("classification", "category"),
            f"{entry['level']} is withheld, so a class that rests on it must be",
        )
    if entry["guard"]["known"] is False:
        yield ("classification", "category"), "the guard does not know the crop, so no class is"
    shares = entry["probabilities"]
    if abs(sum(shares.values()) - 1) > _PROBABILITY_TOLERANCE:
        yield ("classification", "probabilities"), "must add up to 1"
    if entry["category"] not in shares:
        yield ("classification", "probabilities"), "must name the category that is given"
    yield from _shares_contradictions(entry["refers_to"], shares)
    if entry["set"] is not None and not set(entry["set"]["classes"]) <= set(shares):
        yield ("classification", "set", "classes"), "must be among the classes with a probability"


def _shares_contradictions(
    refers_to: Mapping[str, float] | None, shares: Mapping[str, float]
) -> Iterator[tuple[KeyPath, str]]:
    if refers_to is None:
        return
    if set(refers_to) != set(shares):
        yield ("classification", "refers_to"), "must name the classes with a probability"
    if abs(sum(refers_to.values()) - 1) > _PROBABILITY_TOLERANCE:
        yield ("classification", "refers_to"), "must add up to 1"


def _not_finite(value: object, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, float) and not math.isfinite(value):
        yield path, "a number must be finite; give the reason why it is missing instead"
    for key, inner in _children(value):
        yield from _not_finite(inner, (*path, key))


def _falling_intervals(value: object, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, Mapping) and {"low", "high", "covers"} <= value.keys():
        low, high = value["low"], value["high"]
        if low > high:
            yield path, f"an interval must rise, not run from {low} to {high}"
    for key, inner in _children(value):
        yield from _falling_intervals(inner, (*path, key))


def _children(value: object) -> Iterator[tuple[str | int, object]]:
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)
