"""``doctor`` and ``series``, and an interrupt from the keyboard."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from osteoscope.apps.cli.main import main
from osteoscope.apps.doctor import Check, diagnose

_DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
_SIEMENS = _DATA / "ct" / "siemens_t11_t12_dicom"


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[Check]:
    found = [
        Check("Python", "ok", "3.11"),
        Check("extra cluster", "missing", "not installed", "pip install 'osteoscope[cluster]'"),
    ]
    monkeypatch.setattr("osteoscope.apps.doctor.diagnose", lambda _weights: found)
    return found


def test_doctor_says_what_is_missing_and_what_to_do(
    checks: list[Check], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ok      Python: 3.11",
        "missing extra cluster: not installed",
        "        pip install 'osteoscope[cluster]'",
    ]


def test_doctor_as_json(checks: list[Check], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["status"] for row in told] == ["ok", "missing"]
    assert told[1]["remedy"] == checks[1].remedy


def test_doctor_hands_the_weights_folder_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[Path | None] = []
    real = diagnose

    def spy(weights: Path | None) -> list[Check]:
        asked.append(weights)
        return real(weights)

    monkeypatch.setattr("osteoscope.apps.doctor.diagnose", spy)
    assert main(["doctor", "--weights", str(tmp_path)]) == 0
    assert asked == [tmp_path]


@pytest.mark.skipif(not _SIEMENS.is_dir(), reason="the shared data are not beside the repository")
def test_series_of_a_real_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["series", str(_SIEMENS)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "20 slices, axial, 2 mm, Br38f" in line
    assert main(["series", str(_SIEMENS), "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["n_slices"] == 20
    assert line.startswith(f"{told['key']}  ")


def test_series_of_nothing_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["series", str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
def test_an_interrupt_ends_in_one_line_and_leaves_whole_subjects(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "osteoscope.apps.cli.main", "simulate", "tscore"]
    running = subprocess.Popen(
        [*command, "--subjects", "50", "--format", "nifti", "--out", str(tmp_path / "out")],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    assert running.stderr.readline() == "[1/50] subject 1 of 50\n"
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert out == ""
    assert err.splitlines()[-1].startswith("Stopped; what is finished is kept")
    assert "Traceback" not in err
    names = {path.name for path in (tmp_path / "out" / "sim-0-00001").iterdir()}
    assert {"ct.nii.gz", "truth.json", "labels_verse.nii.gz"} <= names
