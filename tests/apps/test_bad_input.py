"""What cannot be used is refused: one sentence, the exit code, nothing written, nothing left."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from osteoscope.apps.cli.main import main
from tests.apps.bad_input import archives, cohorts, dicom, images, labels, options
from tests.apps.bad_input.case import NAME, NUMBER, Case, good_labels, good_scan, with_labels

GROUPS = {
    "DICOM": dicom.CASES,
    "Archives": archives.CASES,
    "Image files": images.CASES,
    "Segmentations": labels.CASES,
    "Options, configuration, calibration and output": options.CASES,
    "Cohorts": cohorts.CASES,
}
"""Cases by their heading on the reference page."""

CASES: dict[str, Case] = {name: case for group in GROUPS.values() for name, case in group.items()}

_LONGEST_SENTENCE = 400
_PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "bad-input.md"
_MOST_MEMORY_KIB = 600_000
"""What the imports of a screen take is under half of it; each input below claims more."""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go; empty before and after."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def contents(folder: Path) -> dict[Path, int | None]:
    """Every path, and the size of each file."""
    return {path: path.stat().st_size if path.is_file() else None for path in folder.rglob("*")}


def assert_one_sentence(shown: str, words: str) -> None:
    """One line that holds the words and nothing of the patient or of the code."""
    assert len(shown.splitlines()) == 1, shown
    assert shown.startswith("Error: ")
    assert shown.rstrip().endswith((".", ")"))
    assert len(shown) < _LONGEST_SENTENCE
    assert words in shown
    for forbidden in ("Traceback", "does not know", *NAME.split("^"), NUMBER, "87654321"):
        assert forbidden not in shown


_WATCH = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
"""A small process between: a child's peak memory begins at that of the process that starts it,
and a test run may be large."""


@pytest.mark.parametrize("name", CASES)
def test_one_sentence_and_nothing_written(
    name: str,
    tmp_path: Path,
    temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    case = CASES[name]
    monkeypatch.setattr("osteoscope.apps.cluster._ANSWER_WITHIN_S", 1)
    folder = tmp_path / "in"
    folder.mkdir()
    words = case.build(folder)
    before = contents(folder)
    results = tmp_path / "results"
    results.mkdir()
    out = [] if "--out" in words else ["--out", str(results / "out")]
    assert main(["screen", *words, *out, "--quiet"]) == case.code
    shown = capfd.readouterr()
    assert shown.out == ""
    assert_one_sentence(shown.err, case.words)
    assert list(results.iterdir()) == []
    assert list(temporary.iterdir()) == []
    assert contents(folder) == before


@pytest.mark.parametrize(
    "name",
    [
        "codestream-bomb",
        "deflated-bomb",
        "gzip-bomb",
        "nifti-claims-less",
        "nrrd-claims",
        "mha-claims",
        "doubled-slice",
    ],
)
def test_the_program_itself_is_brief_and_small(name: str, tmp_path: Path) -> None:
    """A process of its own: its exit code, its standard error, its time and its peak memory."""
    words = CASES[name].build(tmp_path)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    program = [sys.executable, "-m", "osteoscope.apps.cli.main", "screen", *words, "--quiet"]
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", _WATCH, *program, "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    assert done.returncode == 2
    assert_one_sentence(done.stderr, CASES[name].words)
    assert int(done.stdout) < _MOST_MEMORY_KIB
    assert time.monotonic() - start < 60
    assert list(temporary.iterdir()) == []
    assert not (tmp_path / "out").exists()


def test_progress_ends_where_the_sentence_begins(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = CASES["missing-slice"].build(tmp_path)
    assert main(["screen", *words, "--out", str(tmp_path / "out")]) == 2
    *stages, sentence = capfd.readouterr().err.splitlines()
    assert stages == ["reading the scan"]
    assert_one_sentence(sentence + "\n", "Missing slices")


def test_an_older_result_outlives_a_bad_input(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "result.json").write_text("{}")
    words = CASES["nan"].build(tmp_path)
    assert main(["screen", *words, "--out", str(out), "--quiet"]) == 2
    assert_one_sentence(capfd.readouterr().err, "not numbers")
    assert {path.name for path in out.iterdir()} == {"result.json"}
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


def test_a_full_disk_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, *_: object) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("osteoscope.reporting.page.write_report", full)
    words = [*with_labels(good_scan(tmp_path / "in"), tmp_path), "--scheme", "totalsegmentator"]
    results = tmp_path / "results"
    results.mkdir()
    assert main(["screen", *words, "--out", str(results / "out"), "--quiet"]) == 2
    assert_one_sentence(capfd.readouterr().err, "cannot be written: No space left on device")
    assert list(results.iterdir()) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_item_of_a_cohort_is_a_row_and_one(
    tmp_path: Path, temporary: Path, capfd: pytest.CaptureFixture[str], workers: int
) -> None:
    """Exit code 1: what is bad is told in the table, and what is good is done."""
    names = ("missing-slice", "climbing-path", "nan", "labels-elsewhere")
    rows = ["subject_id,image,segmentation"]
    for name in names:
        folder = tmp_path / name
        folder.mkdir()
        words = CASES[name].build(folder)
        rows.append(f"{name},{words[0]},{words[2]}")
    good = good_scan(tmp_path), good_labels(tmp_path)
    rows.append(f"good,{good[0]},{good[1]}")
    (tmp_path / "cohort.csv").write_text("\n".join(rows) + "\n")
    out = tmp_path / "out"
    words = [str(tmp_path / "cohort.csv"), "--out", str(out), "--workers", str(workers), "--quiet"]
    assert main(["screen", *words, "--scheme", "totalsegmentator", "--json"]) == 1
    shown = capfd.readouterr()
    assert shown.err == ""
    assert json.loads(shown.out)["failed"] == len(names)
    with (out / "screen.csv").open(newline="") as stream:
        table = {row["subject_id"]: row for row in csv.DictReader(stream)}
    for name in names:
        assert table[name]["status"] == "failed"
        assert_one_sentence(f"Error: {table[name]['error']}\n", CASES[name].words)
        assert not (out / name).exists()
    assert table["good"]["error"] == ""
    assert (out / "good" / "result.json").is_file()
    assert [path for path in out.rglob("*") if "partial" in path.name] == []
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["series", "{folder}/absent"], "The scan does not exist"),
        (["series", "{folder}"], "holds no files"),
        (["simulate", "tscore", "--out", "{folder}/o", "--subjects", "0"], "'--subjects'"),
        (["simulate", "tscore", "--out", "{folder}/o", "--seed", "-1"], "'--seed'"),
        (["simulate", "tscore", "--out", "{folder}/o", "--format", "jpeg"], "'--format'"),
        (["simulate", "tscore"], "Missing option '--out'"),
        (["simulate", "nonsense"], "No such command 'nonsense'"),
        (["doctor", "--nonsense"], "No such option: --nonsense"),
        (["scren"], "No such command 'scren'"),
    ],
)
def test_the_other_commands(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert main([word.format(folder=tmp_path) for word in words]) == 2
    shown = capfd.readouterr()
    assert shown.out == ""
    assert_one_sentence(shown.err, sentence)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [[], ["simulate"]])
def test_no_words_are_a_call_for_help(capfd: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(words) == 2
    shown = capfd.readouterr()
    assert "Usage: osteoscope" in shown.out + shown.err


def page() -> str:
    """The tables of the reference page, as the cases have them."""
    parts = []
    for heading, cases in GROUPS.items():
        rows = "".join(f"| {case.what} | … {case.words} … |\n" for case in cases.values())
        parts.append(f"## {heading}\n\n| input | the sentence holds |\n|---|---|\n{rows}")
    return "\n".join(parts)


def test_the_reference_page_lists_every_case() -> None:
    written = _PAGE.read_text(encoding="utf-8")
    assert written.endswith(page()), "write page() below the introduction of the reference page"


def test_what_is_wrong_is_said_once() -> None:
    assert len(CASES) == sum(map(len, GROUPS.values())) >= 40
    for case in CASES.values():
        assert case.code == 2
        assert re.fullmatch(r"[^|`]+", case.what + case.words)
