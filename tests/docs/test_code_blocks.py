"""What the pages tell a reader to type works."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer

from osteoscope.apps.cli.main import app
from osteoscope.core.config_file import config_from_mapping
from osteoscope.studies.screen.config import ScreenConfig
from tests.docs.code_blocks import ROOT, Block, blocks_of, command_lines, is_setup, pages


def _runs(block: Block) -> bool:
    return block.language == "python" or (block.language == "bash" and not is_setup(block))


_RUN = [page for page in pages() if any(_runs(block) for block in blocks_of(page))]
_SHELL = [
    pytest.param(line, id=f"{page.stem}-{number}")
    for page in pages()
    for number, block in enumerate(blocks_of(page))
    if block.language in {"bash", "sh"}
    for line in command_lines(block.code)
]


@pytest.mark.slow
@pytest.mark.parametrize("page", _RUN, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_blocks_of_a_page_run_in_order(page: Path, tmp_path: Path) -> None:
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "MPLBACKEND": "Agg",
        "PYTHONWARNINGS": "error::DeprecationWarning:osteoscope",
    }
    for block in filter(_runs, blocks_of(page)):
        if block.language == "python":
            command = [sys.executable, "-c", block.code]
        else:
            command = ["bash", "-euo", "pipefail", "-c", block.code]
        ran = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )
        assert ran.returncode == 0, f"{block.code}\n{ran.stdout}\n{ran.stderr}"


@pytest.mark.parametrize("line", _SHELL)
def test_commands_and_options_exist(line: str) -> None:
    words = shlex.split(line)
    if Path(words[0]).name == "osteoscope":
        _check_osteoscope(words[1:])
    elif words[0] == "make":
        targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.M)
        assert set(words[1:]) <= set(targets)
    elif words[:2] == ["pip", "install"]:
        extras = re.findall(r"osteoscope\[([a-z,]+)\]", line)
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        assert {e for group in extras for e in group.split(",")} <= set(
            project["optional-dependencies"]
        )
    else:
        assert words[0] in {"cat", "ls", "head", "cd", "git", "cp", "mkdir", "printf", "rm"}


def _check_osteoscope(words: list[str]) -> None:
    """Every option of the line is one of the command that it names."""
    command = typer.main.get_command(app)
    known = _options(command)
    for word in words:
        children = getattr(command, "commands", {})
        if word in children:
            command = children[word]
            known |= _options(command)
        elif word.startswith("-"):
            assert word.partition("=")[0] in known
    assert not getattr(command, "commands", {}) or words == ["--version"]


def _options(command: object) -> set[str]:
    names = {"--help", "-h"}
    for parameter in command.params:  # type: ignore[attr-defined]
        names |= {*parameter.opts, *parameter.secondary_opts}
    return names


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_toml_blocks_are_configurations(page: Path) -> None:
    for block in blocks_of(page):
        if block.language == "toml":
            values = tomllib.loads(block.code)
            assert isinstance(config_from_mapping(ScreenConfig, values), ScreenConfig)


def test_there_are_blocks_to_run() -> None:
    names = {page.stem for page in _RUN}
    assert {"first-scan", "cohort", "calibrate", "result-json"} <= names


def test_a_block_that_fails_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nassert False\n```\n\n```bash\nmake demo\n```\n")
    first, second = blocks_of(page)
    assert _runs(first)
    assert not _runs(second)
