"""What the command line shows: progress, and a result in a few lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from osteoscope.apps.cli import progress
from osteoscope.apps.cli.summary import summary_lines
from osteoscope.reporting.result_schema import validate_result

_EXAMPLE = Path(__file__).resolve().parents[1] / "reporting" / "example_result.json"


@pytest.fixture
def result() -> dict[str, Any]:
    example: dict[str, Any] = json.loads(_EXAMPLE.read_text(encoding="utf-8"))
    validate_result(example)
    return example


def _entry(result: dict[str, Any], primary: bool = True) -> dict[str, Any]:
    found = [
        entry
        for entry in result["assessment"]
        if (entry["criterion"] == result["primary_assessment"]) is primary
    ]
    return found[0]


def test_summary_begins_with_simulated_then_the_primary_assessment(result: dict[str, Any]) -> None:
    primary = _entry(result)
    primary |= {"value": 103.6, "unit": "HU", "probability": 0.7}
    primary["interval"] = {"low": 84.06, "high": 122.6, "level": 0.95, "covers": ["noise"]}
    lines = summary_lines(result)
    assert lines[0] == "This scan is simulated: no patient exists."
    assert lines[1] == (
        f"{primary['criterion']}: {primary['category']}; L1 104 HU (95 % interval 84 to 123); "
        "probability that the true value lies in its range 0.70"
    )
    assert not any("trabecular median" in line for line in lines)


def test_summary_is_never_certain_and_names_a_value_without_a_unit(
    result: dict[str, Any],
) -> None:
    primary = _entry(result)
    primary |= {"value": 0.672, "unit": "1", "interval": None, "probability": 0.9999}
    primary["quantity"] = "z-score of the attenuation of L1 against people of the same age"
    assert summary_lines(result)[1].endswith(
        "; L1 z-score 0.67; probability that the true value lies in its range > 0.99"
    )


def test_summary_lists_exactly_the_flags_with_an_effect(result: dict[str, Any]) -> None:
    result["flags"][0]["effect"] = "none"
    shown = [line for line in summary_lines(result) if line.startswith("[")]
    told = [flag for flag in result["flags"] if flag["effect"] != "none"]
    assert len(shown) == len(told) < len(result["flags"])
    for line, flag in zip(shown, told, strict=True):
        assert line.startswith(f"[{flag['effect']}] {flag['level'] or 'scan'}: {flag['message']}")
        assert line.endswith(f"({flag['code']})")


def test_summary_says_why_it_is_withheld_and_what_was_measured(result: dict[str, Any]) -> None:
    primary = _entry(result)
    primary["withheld"] = "L1 holds cement."
    result["status"] = "withheld"
    lines = summary_lines(result)
    assert lines[1] == f"{primary['criterion']}: withheld. L1 holds cement."
    (line,) = [line for line in lines if "trabecular median" in line]
    assert line == "L1 trabecular median, not assessed: 104 HU (95 % interval 95 to 112)"
    measured = result["vertebrae"]["L1"]["measurements"]
    measured["trabecular_median_hu"] = {"missing": "L1 is cut."}
    assert not any("trabecular median" in line for line in summary_lines(result))
    del result["vertebrae"]["L1"]
    assert not any("trabecular median" in line for line in summary_lines(result))


def test_summary_without_probability_interval_or_unit(result: dict[str, Any]) -> None:
    primary = _entry(result)
    primary |= {"probability": None, "interval": None, "value": -1.25, "unit": "1", "level": None}
    primary["quantity"] = "z-score of something"
    expected = f"{primary['criterion']}: {primary['category']}; z-score -1.25"
    assert summary_lines(result)[1] == expected


def test_summary_of_a_failure() -> None:
    failed = {
        "simulated": False,
        "status": "failed",
        "error": {"type": "GeometryError", "message": "Slices are missing."},
    }
    assert summary_lines(failed) == ["failed: Slices are missing."]


def test_progress_off_a_terminal_is_one_line_an_item(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.items("Screening", 2, quiet=False) as advance:
        assert advance is not None
        advance("a: done")
        advance("b: failed: [no] slices")
    with progress.items("Simulating", None, quiet=False) as advance:
        assert advance is not None
        advance("c")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == ["[1/2] a: done", "[2/2] b: failed: [no] slices", "[1] c"]


def test_stages_off_a_terminal_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.stages(quiet=False) as show:
        assert show is not None
        show("Reading")
    assert capsys.readouterr().err == "Reading\n"


@pytest.mark.parametrize("shows", [progress.stages(True), progress.items("x", 1, True)])
def test_quiet_shows_nothing(shows: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with shows as show:
        assert show is None
    assert capsys.readouterr().err == ""


def test_progress_on_a_terminal_keeps_the_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_on_terminal", lambda: True)
    with progress.items("Screening", 1, quiet=False) as advance:
        assert advance is not None
        advance("a: failed: [no] slices")
    with progress.stages(quiet=False) as show:
        assert show is not None
        show("Reading")
    shown = capsys.readouterr()
    assert "a: failed: [no] slices" in shown.err
    assert "1/1" in shown.err
    assert shown.out == ""
