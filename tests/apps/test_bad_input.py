"""What cannot be used is refused: one sentence, the exit code, nothing written, nothing left."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from osteoscope.apps.cli.main import main
from tests.apps.bad_input import archives, dicom, images
from tests.apps.bad_input.case import NAME, NUMBER, Case

CASES: dict[str, Case] = {**dicom.CASES, **archives.CASES, **images.CASES}
_LONGEST_SENTENCE = 400


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go; empty before and after."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def assert_one_sentence(shown: str, words: str) -> None:
    """One line that holds the words and nothing of the patient or of the code."""
    assert len(shown.splitlines()) == 1, shown
    assert shown.startswith("Error: ")
    assert shown.rstrip().endswith((".", ")"))
    assert len(shown) < _LONGEST_SENTENCE
    assert words in shown
    for forbidden in ("Traceback", "does not know", *NAME.split("^"), NUMBER, "87654321"):
        assert forbidden not in shown


@pytest.mark.parametrize("name", CASES)
def test_one_sentence_and_nothing_written(
    name: str, tmp_path: Path, temporary: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    case = CASES[name]
    folder = tmp_path / "in"
    folder.mkdir()
    words = case.build(folder)
    before = sorted(folder.rglob("*"))
    results = tmp_path / "results"
    results.mkdir()
    out = [] if "--out" in words else ["--out", str(results / "out")]
    assert main(["screen", *words, *out, "--quiet"]) == case.code
    shown = capfd.readouterr()
    assert shown.out == ""
    assert_one_sentence(shown.err, case.words)
    assert list(results.iterdir()) == []
    assert list(temporary.iterdir()) == []
    assert sorted(folder.rglob("*")) == before
