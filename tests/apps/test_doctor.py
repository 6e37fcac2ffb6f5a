"""The doctor finds what is there, names what is not, and says how to get it."""

from __future__ import annotations

import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest

import osteoscope
from osteoscope.anatomy.segmenters.totalsegmentator_weights import FULL
from osteoscope.apps import doctor
from osteoscope.apps.doctor import Check, diagnose
from osteoscope.core.errors import ModelError


def by_name(checks: list[Check]) -> dict[str, Check]:
    found = {check.name: check for check in checks}
    assert len(found) == len(checks), "two checks share a name"
    return found


def test_every_finding_that_is_not_well_has_a_remedy() -> None:
    for check in diagnose():
        assert check.detail
        assert check.status == "ok" or check.remedy, check.name


def test_this_installation_is_recognised() -> None:
    checks = by_name(diagnose())
    assert checks["osteoscope"].detail == osteoscope.__version__
    assert checks["Python"].detail.startswith(f"{sys.version_info.major}.{sys.version_info.minor}")
    assert checks["required libraries"].status == "ok"
    assert f"numpy {metadata.version('numpy')}" in checks["required libraries"].detail


def test_a_missing_library_of_an_extra_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if name == "distributed":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(doctor.metadata, "version", version)
    check = by_name(diagnose())["extra cluster"]
    assert check.status == "missing"
    assert "pip install" in check.remedy
    assert "[cluster]" in check.remedy
    assert "distributed is not installed" in check.detail


def test_an_extra_is_added_to_the_environment_that_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object) -> Path:
        raise ModelError("It is not there; install it.")

    monkeypatch.setattr(doctor, "find_program", absent)
    monkeypatch.setattr(doctor, "find_spec", lambda name: name)
    monkeypatch.setattr(doctor, "_from_source_folder", lambda: False)
    remedy = by_name(diagnose())["TotalSegmentator program"].remedy
    assert remedy == 'pip install "osteoscope[totalsegmentator]"'
    monkeypatch.setattr(doctor, "_from_source_folder", lambda: True)
    remedy = by_name(diagnose())["TotalSegmentator program"].remedy
    assert remedy == 'pip install -e ".[totalsegmentator]" (in the source folder)'
    # The environment of `make demo` holds no pip, and uv must be told of it.
    monkeypatch.setattr(doctor, "find_spec", lambda _: None)
    remedy = by_name(diagnose())["nnU-Net v2 program"].remedy
    assert remedy.endswith(f"uv pip install --python {sys.prefix} nnunetv2")


def test_a_source_folder_is_told_from_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "DISTRIBUTION", "numpy")
    assert not doctor._from_source_folder()
    monkeypatch.setattr(doctor, "DISTRIBUTION", "osteoscope-that-is-not-installed")
    assert doctor._from_source_folder()


def test_an_old_library_is_a_warning_with_both_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version
    monkeypatch.setattr(
        doctor.metadata, "version", lambda name: "1.26.4" if name == "numpy" else real(name)
    )
    check = by_name(diagnose())["required libraries"]
    assert check.status == "warning"
    assert check.detail == "numpy 1.26.4 is installed, needed is >=2.0"


def test_an_old_python_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.platform, "python_version", lambda: "3.9.2")
    check = by_name(diagnose())["Python"]
    assert check.status == "warning"
    assert "3.9.2" in check.detail


def test_a_source_folder_without_installation_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "DISTRIBUTION", "osteoscope-that-is-not-installed")
    check = by_name(diagnose())["osteoscope"]
    assert (check.status, check.remedy) == ("warning", "pip install -e .")


def test_programs_are_found_by_path_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    name = "dciodvfy (checks written DICOM)"
    assert by_name(diagnose())[name].remedy == "apt-get install dicom3tools"
    program = tmp_path / "dciodvfy"
    program.write_text("#!/bin/sh\nexit 1\n")  # a fake: it is found, never run
    program.chmod(0o755)
    assert by_name(diagnose())[name] == Check(name, "ok", str(program))


def test_a_gpu_is_named_by_the_driver_s_own_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if Path("/proc/driver/nvidia/gpus").exists():
        pytest.skip("this machine has a GPU, whose name comes first")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert by_name(diagnose())["GPU"].status == "missing"
    program = tmp_path / "nvidia-smi"  # a fake: no GPU here
    program.write_text('#!/bin/sh\necho "NVIDIA H200"\necho "NVIDIA L4"\n')
    program.chmod(0o755)
    assert by_name(diagnose())["GPU"] == Check("GPU", "ok", "NVIDIA H200, NVIDIA L4")
    program.write_text("#!/bin/sh\nexit 9\n")
    assert by_name(diagnose())["GPU"].status == "missing"


def test_weights_are_seen_where_they_are_whole(tmp_path: Path) -> None:
    assert by_name(diagnose(tmp_path))["TotalSegmentator weights"].status == "missing"
    for folder in FULL.values():
        fold = tmp_path / folder / "trainer__plans__3d_fullres" / "fold_0"
        fold.mkdir(parents=True)
        (fold.parent / "plans.json").write_text("{}")
        (fold / "checkpoint_final.pth").write_bytes(b"weights")
    check = by_name(diagnose(tmp_path))["TotalSegmentator weights"]
    assert check.status == "ok"
    assert check.detail == f"5 networks in {tmp_path}"
    assert by_name(diagnose(tmp_path))["TotalSegmentator weights (fast)"].status == "missing"


def test_a_folder_that_cannot_be_written_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor.tempfile, "gettempdir", lambda: str(tmp_path / "gone"))
    check = by_name(diagnose())["temporary folder"]
    assert check.status == "warning"
    assert "TMPDIR" in check.remedy


def test_it_is_fast_and_imports_no_heavy_library() -> None:
    code = (
        "import sys, time; from osteoscope.apps.doctor import diagnose; "
        "start = time.perf_counter(); checks = diagnose(); "
        "print(len(checks), time.perf_counter() - start); "
        "print([m for m in ('torch', 'SimpleITK', 'matplotlib') if m in sys.modules])"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert time.perf_counter() - start < 20
    first, second = done.stdout.splitlines()
    assert int(first.split()[0]) >= 10
    assert float(first.split()[1]) < 1.0
    assert second == "[]"
