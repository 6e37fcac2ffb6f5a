"""Wrong words on the command line, said in one line like every other error."""

from __future__ import annotations

import typer

_PARSER_ERROR = typer.BadParameter.__mro__[2]
"""Base of what the parser raises (ClickException); Typer names only its grandchild."""


def is_parser_error(error: Exception) -> bool:
    """Whether the error is the parser's."""
    return isinstance(error, _PARSER_ERROR)


def sentence_or_help(error: Exception) -> str | None:
    """What to say of a parser's error; None where it has shown the help that it stands for.

    Args:
        error: One for which :func:`is_parser_error` holds.
    """
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()  # type: ignore[attr-defined]
        return None
    message = " ".join(error.format_message().split()).rstrip(".")  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    command = "osteoscope" if context is None else context.command_path
    return f"{message}; see `{command} --help`."
