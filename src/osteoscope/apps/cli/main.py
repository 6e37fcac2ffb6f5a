"""The ``osteoscope`` command: its subcommands, and errors as one sentence on stderr.

Heavy libraries are imported inside the commands, so that help and completion answer at once.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

import osteoscope
from osteoscope.apps.cli import exit_codes
from osteoscope.apps.cli.doctor import doctor
from osteoscope.apps.cli.evaluate import evaluate
from osteoscope.apps.cli.screen import screen
from osteoscope.apps.cli.series import series
from osteoscope.apps.cli.simulate import simulate_app
from osteoscope.apps.cli.tscore import tscore_app
from osteoscope.apps.cli.wrong_use import is_parser_error, sentence_or_help
from osteoscope.core.errors import OsteoscopeError

app = typer.Typer(
    name="osteoscope",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(screen)
app.command()(series)
app.add_typer(simulate_app)
app.add_typer(tscore_app)
app.command()(evaluate)
app.command()(doctor)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"osteoscope {osteoscope.__version__}")
        raise typer.Exit


@app.callback()
def osteoscope_command(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error, for a bug report.")
    ] = False,
) -> None:
    """Bone health from the CT you already have. Not a medical device."""


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: What follows ``osteoscope`` on the command line. ``--debug`` may stand
            anywhere before a ``--``.

    Returns:
        One of :mod:`osteoscope.apps.cli.exit_codes`.
    """
    words, debug = _without_debug(arguments)
    try:
        stop = app(args=words, prog_name="osteoscope", standalone_mode=False)
        code = stop if isinstance(stop, int) else exit_codes.DONE
        if code == exit_codes.INTERRUPTED:
            _say_interrupted()
        return code
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else exit_codes.DONE
    except (KeyboardInterrupt, typer.Abort):
        _say_interrupted()
        return exit_codes.INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _explain(error)


def run() -> None:
    """Entry point of the ``osteoscope`` program."""
    # Its matrices are small: OpenBLAS's second thread spins for nothing and takes the core that
    # other work needs. Read when NumPy is imported, which the commands do.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(main(sys.argv[1:]))


def _without_debug(arguments: Sequence[str]) -> tuple[list[str], bool]:
    words = list(arguments)
    end = words.index("--") if "--" in words else len(words)
    kept = [word for word in words[:end] if word != "--debug"]
    return kept + words[end:], len(kept) < end


def _explain(error: Exception) -> int:
    """Say in one sentence what went wrong; an unexpected text may hold names, so it is kept."""
    if is_parser_error(error):
        sentence = sentence_or_help(error)
        if sentence is not None:
            _say(f"Error: {sentence}")
        return exit_codes.WRONG_USE
    if isinstance(error, OsteoscopeError):
        _say(f"Error: {' '.join(str(error).split())}")
        return exit_codes.WRONG_USE
    if isinstance(error, OSError):
        reason = error.strerror or type(error).__name__
        _say(f"Error: The operating system refused to read or write a file: {reason}.")
        return exit_codes.WRONG_USE
    if isinstance(error, MemoryError):
        _say("Error: This machine has too little free memory for this scan.")
        return exit_codes.SOME_FAILED
    if isinstance(error, ModuleNotFoundError) and error.name:
        library = error.name.partition(".")[0]
        _say(
            f"Error: The library {library} is not installed; install osteoscope again into this "
            "environment (in the source folder: make demo)."
        )
        return exit_codes.SOME_FAILED
    _say(
        f"Error: osteoscope failed in a way it does not know ({type(error).__name__}); "
        "start it again with --debug and report what it shows."
    )
    return exit_codes.SOME_FAILED


def _say_interrupted() -> None:
    _say("Stopped; what is finished is kept, and the same command goes on from there.")


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)


if __name__ == "__main__":
    run()
