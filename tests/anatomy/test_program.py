"""External programs: found, run apart, heard, and stopped with everything they started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from osteoscope.anatomy.segmenters.program import (
    OFFLINE,
    find_program,
    last_line,
    parse_device,
    run_program,
)
from osteoscope.core.errors import InputError, ModelError

GRANDCHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open(sys.argv[1], "w").write(str(child.pid))
time.sleep(60)
"""


def run(code: str, log: Path, *arguments: str, timeout_s: float | None = 30) -> float:
    command = [sys.executable, "-c", code, *arguments]
    return run_program(
        command, environment=dict(os.environ), log=log, name="Prog", timeout_s=timeout_s
    )


def test_output_of_both_streams_goes_to_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    code = "import sys; print('said', flush=True); print('complained', file=sys.stderr)"
    assert run(code, log) > 0
    assert log.read_text().split() == ["said", "complained"]


def test_the_environment_is_the_one_given(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    run_program(
        [sys.executable, "-c", "import os; print(sorted(k for k in os.environ if k[:2] == 'OS'))"],
        environment={"OSTEO_ONLY": "1"},
        log=log,
        name="Prog",
    )
    assert last_line(log) == "['OSTEO_ONLY']"


def test_a_failure_is_one_sentence_with_the_last_words(tmp_path: Path) -> None:
    code = "raise ValueError('no GPU\\there')"
    with pytest.raises(ModelError) as caught:
        run(code, tmp_path / "log.txt")
    assert str(caught.value) == (
        "Prog ended with code 1; its last words: 'ValueError: no GPU here'; check its "
        "installation and model."
    )


def test_a_kill_by_the_system_speaks_of_memory(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="memory ran out"):
        run("import os; os.kill(os.getpid(), 9)", tmp_path / "log.txt")


def test_a_file_that_is_no_program_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x00\x01")
    program.chmod(0o755)
    with pytest.raises(ModelError, match=r"could not be started \(Exec format error\)"):
        run_program([program], environment={}, log=tmp_path / "log.txt", name="Prog")


def test_time_out_stops_the_program_and_what_it_started(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    with pytest.raises(ModelError, match=r"Prog was stopped after 3 s; allow more time"):
        run(GRANDCHILD, tmp_path / "log.txt", str(mark), timeout_s=3)
    assert ends(int(mark.read_text()))


def test_an_interrupt_stops_the_program_and_what_it_started(tmp_path: Path) -> None:
    mark = tmp_path / "pid"

    def interrupt_when_started() -> None:
        while not (mark.exists() and mark.read_text()):
            time.sleep(0.02)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    sender = threading.Thread(target=interrupt_when_started)
    sender.start()
    with pytest.raises(KeyboardInterrupt):
        run(GRANDCHILD, tmp_path / "log.txt", str(mark), timeout_s=60)
    sender.join()
    assert ends(int(mark.read_text()))


def ends(pid: int, within_s: float = 5.0) -> bool:
    """A killed process may take a moment to go, and nobody here waits for a grandchild."""
    deadline = time.monotonic() + within_s
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_missing_program_says_what_to_do() -> None:
    with pytest.raises(ModelError, match=r"The program Nothing was not found; install it\."):
        find_program("Nothing", None, "install it")
    with pytest.raises(ModelError, match=r"given as '/no/such/file'"):
        find_program("Nothing", "/no/such/file", "install it")


def test_a_program_beside_python_is_found_without_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    beside = Path(sys.executable)
    assert find_program(beside.name, None, "install it") == beside.absolute()


def test_the_offline_environment_keeps_a_real_client_from_the_network() -> None:
    # 192.0.2.0/24 is reserved for documentation (RFC 5737): nothing answers there, and without
    # the environment a client would wait for its time-out instead of being refused at once.
    code = (
        "import time, urllib.request; start = time.perf_counter()\n"
        "try: urllib.request.urlopen('http://192.0.2.1/', timeout=10)\n"
        "except OSError as error: print(error, time.perf_counter() - start < 5)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | dict(OFFLINE),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "refused" in done.stdout
    assert done.stdout.strip().endswith("True")


def test_devices() -> None:
    assert [parse_device(d) for d in ("cpu", "mps", "gpu", "gpu:1")] == [
        ("cpu", None),
        ("mps", None),
        ("gpu", None),
        ("gpu", "1"),
    ]
    for wrong in ("cuda", "gpu:", "cpu:0", "gpu:x"):
        with pytest.raises(InputError, match="none of cpu, gpu, gpu:N and mps"):
            parse_device(wrong)
