"""What became of one item of a long list: its value, or one sentence about why there is none."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Generic, TypeVar

from osteoscope.core.errors import OsteoscopeError

T = TypeVar("T")
R = TypeVar("R")

_log = logging.getLogger(__name__)

WORKER_DIED = (
    "The worker process died while it worked on this item, twice; most often memory ran out: "
    "use fewer workers or a machine with more memory."
)
"""The sentence for an item that took its worker process with it."""


@dataclass(frozen=True)
class Outcome(Generic[R]):
    """The result of one item.

    Args:
        value: What the function returned; None where it failed.
        error: One sentence on why it failed; None where it did not.
        error_type: Class name of the exception, for tables and statistics of failures.
        seconds: Wall time spent on the item.
        trace: Where an unexpected exception arose: files, lines and functions of the code, never
            the exception's own text, which may quote a path or a header with a name in it.
    """

    value: R | None = None
    error: str | None = None
    error_type: str | None = None
    seconds: float = 0.0
    trace: str | None = None


def run_guarded(function: Callable[[T], R], item: T) -> Outcome[R]:
    """``function(item)`` as an :class:`Outcome`; only an interrupt or an exit passes through."""
    start = time.perf_counter()
    try:
        value = function(item)
    except Exception as error:
        return failure(error, time.perf_counter() - start)
    return Outcome(value=value, seconds=time.perf_counter() - start)


def failure(error: BaseException, seconds: float = 0.0) -> Outcome[R]:
    """The outcome of an item that raised ``error``.

    An error that osteoscope raised on purpose speaks for itself; of any other only the class
    name and the place in the code are kept, because its text may hold an identifier.
    """
    kind = type(error).__name__
    if isinstance(error, OsteoscopeError):
        return Outcome(error=_one_line(str(error)), error_type=kind, seconds=seconds)
    if isinstance(error, MemoryError):
        sentence = "Memory ran out; use fewer workers or a machine with more memory."
    elif isinstance(error, ImportError):
        sentence = (
            f"Unexpected {kind}: a library is missing where this item ran; install the same "
            "osteoscope and extras there (see the log)."
        )
    else:
        sentence = f"Unexpected {kind}; see the log."
    return Outcome(error=sentence, error_type=kind, seconds=seconds, trace=_frames(error))


def log_failure(index: int, outcome: Outcome[R]) -> None:
    """Put the place of an unexpected exception into the log, under the item's number."""
    if outcome.trace is not None:
        _log.error("item %d: %s\n%s", index, outcome.error_type, outcome.trace)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _frames(error: BaseException) -> str:
    lines = []
    seen: BaseException | None = error
    while seen is not None:
        frames = traceback.extract_tb(seen.__traceback__)
        lines += [f"  {PurePath(f.filename).name}:{f.lineno} in {f.name}" for f in frames]
        cause = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
        if cause is not None:
            lines.append(f"  raised after {type(cause).__name__} at")
        seen = cause
    return "\n".join(lines)
