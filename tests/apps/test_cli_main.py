"""The entry: exit codes, one sentence on stderr, and a start that needs no heavy library."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import typer

import osteoscope
from osteoscope.apps.cli import main as entry
from osteoscope.apps.cli.main import app, main
from osteoscope.core.errors import GeometryError, InputError


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    """The app with a command ``fail`` that raises ``failing.error``."""
    twin = typer.Typer()
    twin.command()(lambda: None)

    @twin.callback()
    def root() -> None:
        """Nothing."""

    monkeypatch.setattr(entry, "app", twin)
    return twin


def _raise_from(twin: typer.Typer, error: BaseException) -> None:
    @twin.command()
    def fail() -> None:
        raise error


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (InputError("The table has no rows."), 2, "Error: The table has no rows."),
        (GeometryError("Two\nlines."), 2, "Error: Two lines."),
        (PermissionError(13, "Permission denied", "/data/DOE"), 2, "Permission denied."),
        (MemoryError(), 1, "too little free memory"),
        (ModuleNotFoundError("DOE", name="isal.igzip"), 1, "The library isal is not installed"),
        (ValueError("DOE^JOHN"), 1, "(ValueError); start it again with --debug"),
    ],
)
def test_an_error_is_one_sentence_and_a_code(
    failing: typer.Typer,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    code: int,
    words: str,
) -> None:
    _raise_from(failing, error)
    assert main(["fail"]) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert words in shown.err
    assert len(shown.err.splitlines()) == 1
    assert "Traceback" not in shown.err
    assert "DOE" not in shown.err


@pytest.mark.parametrize("words", [["--debug", "fail"], ["fail", "--debug"]])
def test_debug_shows_the_traceback(
    failing: typer.Typer, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    _raise_from(failing, InputError("The table has no rows."))
    assert main(words) == 2
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert shown.splitlines()[-1] == "Error: The table has no rows."


def test_debug_after_a_double_dash_is_a_word_of_its_own(
    failing: typer.Typer, capsys: pytest.CaptureFixture[str]
) -> None:
    taken: list[str] = []

    @failing.command()
    def take(word: str) -> None:
        taken.append(word)

    assert main(["take", "--", "--debug"]) == 0
    assert taken == ["--debug"]


def test_an_interrupt_is_one_line_and_130(
    failing: typer.Typer, capsys: pytest.CaptureFixture[str]
) -> None:
    _raise_from(failing, KeyboardInterrupt())
    assert main(["fail"]) == 130
    assert capsys.readouterr().err.splitlines() == [
        "Stopped; what is finished is kept, and the same command goes on from there."
    ]


@pytest.mark.parametrize(
    "words",
    [["scren"], ["screen"], ["screen", "scan", "--workers", "0"], ["screen", "scan", "--nonsense"]],
)
def test_wrong_use_is_two(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(words) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"osteoscope {osteoscope.__version__}\n"


def test_every_command_explains_itself() -> None:
    command: Any = typer.main.get_command(app)
    known = {"screen", "series", "simulate", "tscore", "evaluate", "doctor"}
    assert set(command.commands) == known
    below = [g for c in command.commands.values() for g in getattr(c, "commands", {}).values()]
    for child in (*command.commands.values(), *below):
        assert child.help
        assert all(getattr(p, "help", "") for p in child.params), child.name


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from osteoscope.apps.cli.main import main\n"
        "code = main(['screen', '--help'])\n"
        "heavy = {'numpy', 'scipy', 'pandas', 'SimpleITK', 'pydicom', 'matplotlib', 'xraydb'}\n"
        "print(code, sorted(heavy & set(sys.modules)))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines()[-1] == "0 []"
