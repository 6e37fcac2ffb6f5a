"""Functions that worker processes can import, for the tests of the mapping."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from osteoscope.core.errors import GeometryError


def square(number: int) -> int:
    return number * number


def square_or_fail(number: int) -> int:
    if number == 1:
        raise GeometryError("Slices are unevenly spaced (2.0 and\n 4.0 mm); send the whole series.")
    if number == 2:
        raise KeyError("DOE^JANE")
    return number * number


def square_or_die(number: int) -> int:
    if number == 2:
        os._exit(3)
    return number * number


def die_once(marker: str) -> str:
    """Kill the worker at the first call with this marker only."""
    path = Path(marker)
    if path.name.startswith("fragile") and not path.exists():
        path.touch()
        os._exit(4)
    return path.name


def thread_limits(_: int) -> tuple[str | None, int, int]:
    import SimpleITK

    threads = SimpleITK.ProcessObject.GetGlobalDefaultNumberOfThreads()
    return os.environ.get("OMP_NUM_THREADS"), threads, os.getpid()


def touch_then_sleep(path: str) -> str:
    """Write one's process id, then start a long external program and wait for it."""
    if Path(path).name == "quick":
        return "quick"
    program = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], stderr=subprocess.DEVNULL
    )
    try:
        temporary = Path(path + ".tmp")
        temporary.write_text(f"{os.getpid()} {program.pid}")
        temporary.rename(path)
        program.wait()
    finally:
        program.kill()
        program.wait()
    return path


def die_or_work_on(path: str) -> str:
    """``dies`` ends its worker once ``works`` is at work; that one works for a minute, in the
    first try only, and leaves a mark where it could tidy up."""
    place = Path(path)
    begun = place.with_name("begun")
    if place.name == "dies":
        while not begun.exists():
            time.sleep(0.02)
        os._exit(5)
    if place.name == "works" and not begun.exists():
        begun.touch()
        try:
            time.sleep(60)
        finally:
            place.with_name("tidied").touch()
    return place.name


def slow_square(number: int) -> int:
    time.sleep(0.05)
    return number * number
