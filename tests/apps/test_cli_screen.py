"""``osteoscope screen``: what is handed to the pipeline, and what is told of its outcome.

The pipeline is a stand-in here; tests of the real one are in ``tests/studies``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from osteoscope.apps.cli.main import main
from osteoscope.core.errors import GeometryError
from osteoscope.studies.screen import cohort, pipeline
from osteoscope.studies.screen.config import ScreenConfig
from osteoscope.studies.screen.pipeline import ScreenOutcome

_EXAMPLE = Path(__file__).resolve().parents[1] / "reporting" / "example_result.json"


class _Pipeline:
    """Records its calls; fails for a scan whose name holds ``bad``."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.result = json.loads(_EXAMPLE.read_text(encoding="utf-8"))

    def __call__(self, scan: Path, out: Path, config: ScreenConfig, **rest: Any) -> ScreenOutcome:
        self.calls.append({"scan": scan, "out": out, "config": config, **rest})
        if rest.get("progress"):
            rest["progress"]("Reading")
        if "bad" in scan.name:
            raise GeometryError("Slices are missing: export the series again.")
        return ScreenOutcome(self.result["status"], self.result, out)


@pytest.fixture
def screened(monkeypatch: pytest.MonkeyPatch) -> _Pipeline:
    stand_in = _Pipeline()
    monkeypatch.setattr(pipeline, "screen_scan", stand_in)
    return stand_in


@pytest.fixture
def scan(tmp_path: Path) -> Callable[[str], Path]:
    def make(name: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        return path

    return make


def test_one_scan_prints_its_summary_and_where_the_report_is(
    screened: _Pipeline,
    scan: Callable[[str], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    labels = scan("labels.nii.gz")
    words = [str(scan("a.nii.gz")), "--segmentation", str(labels), "--out", str(out)]
    assert main(["screen", *words]) == 0
    (call,) = screened.calls
    assert call["segmentation"] == labels
    assert call["out"] == out
    assert call["report"] is True
    assert call["config"] == ScreenConfig()
    shown = capsys.readouterr()
    assert shown.out.splitlines()[-1] == f"Written: {out / 'report.html'}"
    assert "; L1 " in shown.out
    assert shown.err == "Reading\n"


def test_json_leaves_nothing_else_on_stdout(
    screened: _Pipeline, scan: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["screen", str(scan("a.nii.gz")), "--json", "--no-report"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == screened.result
    assert screened.calls[0]["report"] is False


def test_options_win_over_the_file_and_the_file_over_the_defaults(
    screened: _Pipeline, scan: Callable[[str], Path], tmp_path: Path
) -> None:
    config = tmp_path / "screen.toml"
    config.write_text('level = "L2"\nerosion_mm = 3.0\nidentify = true\n')
    words = [str(scan("a.nii.gz")), "--config", str(config), "--erosion-mm", "4", "--quiet"]
    assert main(["screen", *words, "--scheme", "verse", "--segmenter", "file"]) == 0
    used = screened.calls[0]["config"]
    assert used == ScreenConfig(level="L2", erosion_mm=4.0, identify=True, scheme="verse")
    assert screened.calls[0]["progress"] is None
    assert main(["screen", *words, "--no-identify"]) == 0
    assert screened.calls[1]["config"].identify is False


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["{scan}", "--level", "X9"], "Unknown vertebra 'X9'"),
        (["{scan}", "--erosion-mm", "50"], "not 50.0"),
        (["{scan}", "--scheme", "other"], "Unknown label scheme 'other'; known:"),
        (["{scan}", "--config", "nowhere.toml"], "cannot be read"),
        (["{scan}", "--method", "oval"], "Unknown region method 'oval'; known: eroded-body"),
        (["{scan}", "--segmenter", "oracle"], "Unknown segmenter 'oracle'; known: file"),
        (["{scan}", "--segmenter", "nnunet"], "needs --nnunet-model"),
        (["{scan}", "--segmenter", "totalsegmentator", "--weights", "away"], "weights are not in"),
        (["nowhere.nii.gz"], "Scan 1 of 1 does not exist"),
        (["{scan}", "nowhere.nii.gz"], "Scan 2 of 2 does not exist"),
        (["{scan}", "{scan}", "--segmentation", "{scan}"], "belong to one scan, and 2 are given"),
        (["{scan}", "cohort.csv"], "one table or folder tree at a time"),
        (["cohort.csv", "--segmentation", "{scan}"], "name them in the table"),
        (["cohort.csv", "--no-report"], "leave out --no-report"),
        (["{bad}"], "Slices are missing: export the series again."),
    ],
)
def test_bad_input_is_one_sentence_and_two(
    screened: _Pipeline,
    scan: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = {"scan": str(scan("a.nii.gz")), "bad": str(scan("bad.nii.gz"))}
    filled = [word.format(**paths) for word in words]
    assert main(["screen", *filled, "--quiet"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert sentence in shown.err
    assert not (tmp_path / "osteoscope-screen").exists()


def test_several_scans_each_into_its_own_folder_and_one_fails(
    screened: _Pipeline,
    scan: Callable[[str], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = ("x/ct.nii.gz", "y/ct.nii.gz", "bad.nii.gz", "z/ct.nii.gz")
    words = [str(scan(name)) for name in names]
    assert main(["screen", *words, "--out", str(tmp_path / "out"), "--json", "--quiet"]) == 1
    shown = capsys.readouterr()
    rows = json.loads(shown.out)
    assert [row["folder"] for row in rows] == ["ct", "ct-2", "bad", "ct-3"]
    assert [row["status"] for row in rows] == ["done", "done", "failed", "done"]
    assert rows[2]["error"] == "Slices are missing: export the series again."
    assert shown.err == "bad: failed. Slices are missing: export the series again.\n"
    assert [call["out"].name for call in screened.calls] == ["ct", "ct-2", "bad", "ct-3"]


def test_several_scans_that_are_done_are_zero(
    screened: _Pipeline, scan: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["screen", str(scan("a.nii.gz")), str(scan("b.nii.gz")), "--quiet"]) == 0
    assert capsys.readouterr().out.count("Written: ") == 2


@pytest.fixture
def table(tmp_path: Path, scan: Callable[[str], Path]) -> Path:
    for name in ("a.nii.gz", "bad.nii.gz"):
        scan(name)
    path = tmp_path / "cohort.csv"
    path.write_text("subject_id,image\np1,a.nii.gz\np2,bad.nii.gz\n")
    return path


def test_a_cohort_goes_on_after_a_failure_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
    table: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stand_in = _Pipeline()
    monkeypatch.setattr(cohort, "screen_scan", stand_in)
    out = tmp_path / "out"
    assert main(["screen", str(table), "--out", str(out)]) == 1
    shown = capsys.readouterr()
    assert shown.out == f"1 done, 1 failed, 0 skipped. Table: {out / 'screen.csv'}\n"
    first, second = shown.err.splitlines()
    assert first.startswith("[1/2] p1: ")
    assert second == "[2/2] p2: failed: Slices are missing: export the series again."
    assert [call["out"].name for call in stand_in.calls] == ["p1", "p2"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--method", "oval"], "Unknown region method 'oval'"),
        (["--calibration", "away.csv"], "away.csv does not exist"),
        (["--contrast-rule", "away"], "Unknown correction 'away'"),
        (["--dxa-reference", "away"], "Unknown DXA reference 'away'"),
        (["--segmenter", "totalsegmentator", "--weights", "away"], "weights are not in"),
    ],
)
def test_an_option_that_fails_every_scan_is_said_once(
    table: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    sentence: str,
) -> None:
    out = tmp_path / "out"
    assert main(["screen", str(table), *words, "--out", str(out)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert sentence in shown.err
    assert not out.exists()


def test_a_cluster_looks_for_its_weights_itself(
    monkeypatch: pytest.MonkeyPatch, table: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr("osteoscope.apps.mapping.map_items", lambda *_, **__: [])
    words = ["--segmenter", "totalsegmentator", "--weights", "away", "--out", str(tmp_path / "out")]
    assert main(["screen", str(table), *words, "--scheduler", "tcp://node:1", "--quiet"]) == 0


def test_a_cohort_as_json(
    monkeypatch: pytest.MonkeyPatch,
    table: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(cohort, "screen_scan", _Pipeline())
    assert main(["screen", str(table), "--out", str(tmp_path), "--json", "--quiet"]) == 1
    shown = capsys.readouterr()
    assert shown.err == ""
    told = json.loads(shown.out)
    assert told == {
        "table": str(tmp_path / "screen.csv"),
        "done": 1,
        "failed": 1,
        "skipped": 0,
    }


def test_workers_and_scheduler_reach_the_mapper(
    monkeypatch: pytest.MonkeyPatch, table: Path, tmp_path: Path
) -> None:
    taken: list[dict[str, Any]] = []

    def mapper(function: Any, items: Any, **options: Any) -> list[Any]:
        taken.append(options)
        return []

    monkeypatch.setattr("osteoscope.apps.mapping.map_items", mapper)
    words = ["--workers", "3", "--scheduler", "tcp://node:8786", "--out", str(tmp_path / "out")]
    assert main(["screen", str(table), *words, "--quiet"]) == 0
    assert taken[0]["workers"] == 3
    assert taken[0]["scheduler"] == "tcp://node:8786"
