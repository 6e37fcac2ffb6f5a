"""What a user installs: the wheel's content, the pins, and the texts that name a version."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import osteoscope

ROOT = Path(__file__).resolve().parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*## ", _text("Makefile"), flags=re.M))


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("hatchling") is None,
    reason="hatchling, the build backend, is not in this environment (make .venv/.dev puts it in)",
)
def test_wheel_carries_types_schema_and_templates(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    package = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src" / "osteoscope").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert "osteoscope/py.typed" in names
    assert any(name.startswith("osteoscope/reporting/schema/") for name in names)
    assert any(name.startswith("osteoscope/reporting/templates/") for name in names)
    assert package <= names
    assert not [name for name in names if name.startswith(("tests/", "docs/"))]
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_lock_names_no_host_and_hashes_everything(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*(--index|--extra-index|--find-links|-i |-f )", text, flags=re.M)
    pins = re.findall(r"^[A-Za-z0-9][^\n]*==", text, flags=re.M)
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
    assert len(pins) == len(blocks)
    assert all("--hash=sha256:" in block for block in blocks)


def test_all_four_locks_are_there() -> None:
    assert [path.name for path in LOCKS] == ["base.txt", "bootstrap.txt", "build.txt", "dev.txt"]


def _pins(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", _text(f"requirements/{name}"), re.M))


@pytest.mark.parametrize("name", ["base.txt", "bootstrap.txt", "build.txt"])
def test_locks_agree_so_that_test_can_extend_demos_environment(name: str) -> None:
    dev = _pins("dev.txt")
    assert {k: v for k, v in _pins(name).items() if k in dev and dev[k] != v} == {}


def test_base_lock_holds_every_dependency_and_no_torch() -> None:
    project = tomllib.loads(_text("pyproject.toml"))["project"]
    asked = {re.split(r"[\[<>=!~ ]", line)[0].lower() for line in project["dependencies"]}
    locked = {name.lower() for name in _pins("base.txt")}
    assert asked <= locked
    assert locked.isdisjoint({"torch", "monai", "timm", "transformers", "nnunetv2"})


def test_version_is_the_same_everywhere() -> None:
    latest = re.search(r"^## \[(.+?)\]", _text("CHANGELOG.md"), flags=re.M)
    cited = re.search(r"^version: (\S+)$", _text("CITATION.cff"), flags=re.M)
    assert latest is not None
    assert cited is not None
    assert latest.group(1) == cited.group(1) == osteoscope.__version__


def test_readme_opens_with_the_two_commands_that_make_knows() -> None:
    readme = _text("README.md")
    commands = re.findall(r"^make ([a-z-]+)", readme, flags=re.M)
    assert commands[:2] == ["demo", "test"]
    assert set(commands) <= _make_targets()


def test_readme_shows_a_picture_and_its_limits() -> None:
    readme = _text("README.md")
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", readme)
    assert pictures
    for picture in pictures:
        assert 0 < (ROOT / picture).stat().st_size < 300_000
    assert "not a medical device" in readme.lower()


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "docs/dev/development.md", ".ci/run"]
)
def test_every_make_target_that_a_text_names_exists(page: str) -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", _text(page), flags=re.M))
    assert named
    assert named <= _make_targets()


def test_ci_runs_make_test_and_stops_at_the_first_error() -> None:
    lines = _text(".ci/run").splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -eu" in lines
    assert lines[-1] == "make test"
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_no_committed_text_names_a_home_folder_or_an_index() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    # In pieces, so that this file does not name what it looks for.
    hosts = "|".join(("py" + r"pi\.org", "python" + "hosted", "registry" + r"\.npm"))
    forbidden = re.compile(rf"/(?:home|Users)/[a-z]|/ro{'o'}t/|{hosts}")
    suffixes = {".py", ".md", ".toml", ".yml", ".txt", ".cff", ".json", ""}
    bad = [
        name
        for name in listed.stdout.splitlines()
        if name != "tests/test_packaging.py"
        and Path(name).suffix in suffixes
        and (ROOT / name).is_file()
        and forbidden.search((ROOT / name).read_text(encoding="utf-8", errors="replace"))
    ]
    assert bad == []
