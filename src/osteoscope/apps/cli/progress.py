"""Progress on stderr: a moving line or bar on a terminal, one line an item elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def _on_terminal() -> bool:
    return sys.stderr.isatty()


@contextmanager
def stages(quiet: bool) -> Iterator[Callable[[str], None] | None]:
    """Show the stage that a single piece of work is in.

    Args:
        quiet: Show nothing.

    Yields:
        A function to call with the name of each stage, or None where nothing is shown.
    """
    if quiet:
        yield None
    elif _on_terminal():
        from rich.console import Console

        with Console(stderr=True).status("Starting") as status:
            yield lambda stage: status.update(stage)
    else:
        yield lambda stage: print(stage, file=sys.stderr, flush=True)


@contextmanager
def items(title: str, total: int | None, quiet: bool) -> Iterator[Callable[[str], None] | None]:
    """Show how many of ``total`` items are finished.

    Args:
        title: What is being done, in two or three words.
        total: Number of items; None where it is not known yet.
        quiet: Show nothing.

    Yields:
        A function to call with one line for each finished item, or None where nothing is shown.
    """
    if quiet:
        yield None
        return
    if not _on_terminal():
        yield _numbered_lines(total)
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Remaining())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total)

        def advance(line: str) -> None:
            bar.console.print(escape(line), highlight=False)
            bar.advance(task)

        yield advance


def _numbered_lines(total: int | None) -> Callable[[str], None]:
    finished = 0

    def advance(line: str) -> None:
        nonlocal finished
        finished += 1
        count = f"{finished}" if total is None else f"{finished}/{total}"
        print(f"[{count}] {line}", file=sys.stderr, flush=True)

    return advance
