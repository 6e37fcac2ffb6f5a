"""Running a segmentation network as a program of its own, in an environment of its own."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from osteoscope.core.errors import InputError, ModelError

OFFLINE: Mapping[str, str] = {
    name: "http://127.0.0.1:9"
    for proxy in ("http_proxy", "https_proxy", "all_proxy")
    for name in (proxy, proxy.upper())
} | {"no_proxy": "", "NO_PROXY": ""}
"""Environment in which a program that honours proxies reaches no network: nothing listens there.

A segmentation needs no network; what a program might still try (statistics, a download of other
weights) fails at once instead of leaving the hospital or waiting for a time-out.
"""

_TIME_TO_TIDY_S = 5.0
_LONGEST_QUOTE = 200


def find_program(name: str, executable: str | None, remedy: str) -> Path:
    """The program of that name.

    Args:
        name: As it is called, for example ``TotalSegmentator``.
        executable: The user's own choice: a path, or a name on PATH. None looks for ``name`` on
            PATH and then beside the running Python, which need not be on PATH.
        remedy: What to do where it is missing; the end of the error's sentence.

    Raises:
        ModelError: It is not there or may not be executed.
    """
    beside_python = str(Path(sys.executable).parent)
    found = shutil.which(executable or name) or (
        shutil.which(name, path=beside_python) if executable is None else None
    )
    if found is None:
        wanted = f"{name} (given as {executable!r})" if executable else name
        raise ModelError(f"The program {wanted} was not found; {remedy}.")
    return Path(found).absolute()


def parse_device(device: str) -> tuple[str, str | None]:
    """The kind of a device, ``cpu``, ``gpu`` or ``mps``, and the number in ``gpu:N``.

    Raises:
        InputError: It is another text.
    """
    match = re.fullmatch(r"(cpu|mps|gpu)|gpu:(\d+)", device)
    if match is None:
        raise InputError(f"The device {device!r} is none of cpu, gpu, gpu:N and mps.")
    return match[1] or "gpu", match[2]


def run_program(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    log: Path,
    name: str,
    timeout_s: float | None = None,
) -> float:
    """Run a program to its end; its output goes to a file.

    The program gets a process group of its own. Where this process is interrupted or the time is
    over, the whole group is stopped, so that no worker of the program is left behind.

    Args:
        command: Program and arguments; no shell is involved.
        environment: The program's whole environment.
        log: File for what the program prints, standard error included.
        name: The program's name for messages.
        timeout_s: Longest time to wait, s; None waits for ever.

    Returns:
        The time that it took, s.

    Raises:
        ModelError: It could not be started, took too long or ended with an error.
    """
    start = time.perf_counter()
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                [str(part) for part in command],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise ModelError(
                f"{name} could not be started ({error.strerror}); check that the file is a "
                "program of this machine."
            ) from None
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            _stop_group(process)
            raise ModelError(
                f"{name} was stopped after {timeout_s:g} s; allow more time, or use its faster "
                "model or a GPU."
            ) from None
        except BaseException:
            _stop_group(process)
            raise
    if code != 0:
        raise ModelError(_why(name, code, log))
    return time.perf_counter() - start


def _stop_group(process: subprocess.Popen[bytes]) -> None:
    """Ask the whole group to end, give it time to tidy up, then kill what is left of it."""
    _signal_group(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_TIME_TO_TIDY_S)
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _why(name: str, code: int, log: Path) -> str:
    """One sentence on a failed run, with the last line that the program printed."""
    if code == -signal.SIGKILL:
        return (
            f"{name} was killed by the system, most often because memory ran out; use its faster "
            "model, a smaller scan or a machine with more memory."
        )
    last = last_line(log)
    quoted = f"; its last words: {last!r}" if last else ""
    return f"{name} ended with code {code}{quoted}; check its installation and model."


def last_line(log: Path) -> str:
    """The last line with text in a log, shortened; empty where there is none."""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - 64 * 1024))
        lines = stream.read().decode("utf-8", "replace").splitlines()
    texts = [" ".join(line.split()) for line in lines]
    return next((text[:_LONGEST_QUOTE] for text in reversed(texts) if text), "")
