"""The demo and the simulator end to end: what a newcomer types first, on real files."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from osteoscope.apps.cli.main import main
from osteoscope.apps.demo import demo
from osteoscope.reporting.result_schema import validate_result

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "clinicians.md"


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("demo")
    return folder, demo(folder)


@pytest.fixture(scope="module")
def result(shown: tuple[Path, list[str]]) -> dict[str, Any]:
    text = (shown[0] / "result" / "result.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


@pytest.mark.slow
def test_demo_prints_the_result_the_truth_and_where_the_report_lies(
    shown: tuple[Path, list[str]], result: dict[str, Any]
) -> None:
    folder, lines = shown
    assert lines[1] == "This scan is simulated: no patient exists."
    assert lines[-2] == f"Report: {folder / 'result' / 'report.html'}"
    assert (folder / "result" / "report.html").stat().st_size > 10_000
    (truth,) = [line for line in lines if line.startswith("Truth: ")]
    made_hu = float(truth.split()[-2])
    median = result["vertebrae"]["L1"]["measurements"]["trabecular_median_hu"]
    assert abs(median["value"] - made_hu) <= 5
    assert median["interval"]["low"] <= made_hu <= median["interval"]["high"]


@pytest.mark.slow
def test_demo_finds_what_was_planted(result: dict[str, Any]) -> None:
    validate_result(result)
    found = {(flag["code"], flag["level"], flag["effect"]) for flag in result["flags"]}
    assert ("fracture", "T12", "withhold") in found
    assert ("dense_focus", "L1", "warn") in found
    assert result["vertebrae"]["T12"]["withheld"]
    assert result["status"] == "done"
    assert result["simulated"]


@pytest.mark.slow
def test_no_identifier_leaves_the_file_unless_asked_for(
    shown: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, lines = shown
    written = [path.read_bytes() for path in (folder / "result").rglob("*") if path.suffix != ".gz"]
    assert written
    assert not any(b"SIMULATED-DEMO" in content for content in written)
    assert not any("SIMULATED-DEMO" in line for line in lines)
    labels = folder / "patient" / "labels_totalsegmentator.nii.gz"
    words = ["--segmentation", str(labels), "--out", str(tmp_path / "out"), "--identify"]
    assert main(["screen", str(folder / "patient" / "dicom"), *words, "--no-report", "--json"]) == 0
    named = json.loads(capsys.readouterr().out)
    assert named["identity"]["patient_id"] == "SIMULATED-DEMO"
    assert not (tmp_path / "out" / "report.html").exists()


@pytest.mark.slow
def test_every_measured_code_is_explained_to_clinicians(result: dict[str, Any]) -> None:
    page = _PAGE.read_text(encoding="utf-8")
    codes = {code for vertebra in result["vertebrae"].values() for code in vertebra["measurements"]}
    assert len(codes) >= 8
    assert sorted(code for code in codes if f"`{code}`" not in page) == []


@pytest.mark.slow
def test_simulate_writes_a_table_that_screens_and_resumes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cohort"
    words = ["--subjects", "1", "--seed", "7", "--format", "nifti", "--out", str(out)]
    assert main(["simulate", "tscore", *words]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"Simulated. Table: {out / 'cohort.csv'}\n"
    assert shown.err == "[1/1] subject 1 of 1\n"
    command = ["screen", str(out / "cohort.csv"), "--out", str(tmp_path / "screened"), "--json"]
    assert main([*command, "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["done"] == 1
    assert main([*command, "--quiet"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["done"], told["skipped"]) == (0, 1)
    with Path(told["table"]).open(encoding="utf-8", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert row["subject_id"] == "sim-7-00001"
    assert row["simulated"] == "True"
