"""Many items, of which some fail, some kill their worker, and some never come to their turn."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from osteoscope.apps import cluster
from osteoscope.apps.mapping import map_items
from osteoscope.apps.outcome import Outcome
from osteoscope.core.errors import InputError, ModelError
from tests.apps import mapped_functions as functions


def test_serial_results_come_in_order_and_on_done_sees_each() -> None:
    seen: list[tuple[int, int | None]] = []
    outcomes = map_items(
        functions.square, [3, 1, 2], on_done=lambda i, o: seen.append((i, o.value))
    )
    assert [o.value for o in outcomes] == [9, 1, 4]
    assert seen == [(0, 9), (1, 1), (2, 4)]
    assert all(o.error is None and o.seconds >= 0 for o in outcomes)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failed_item_costs_only_itself(workers: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        outcomes = map_items(functions.square_or_fail, [0, 1, 2, 3], workers=workers)
    assert [o.value for o in outcomes] == [0, None, None, 9]
    assert (
        outcomes[1].error == "Slices are unevenly spaced (2.0 and 4.0 mm); send the whole series."
    )
    assert outcomes[1].error_type == "GeometryError"
    assert outcomes[2].error == "Unexpected KeyError; see the log."
    # The log says where, never what the exception said: that text may name the patient.
    assert "item 2: KeyError" in caplog.text
    assert "mapped_functions.py" in caplog.text
    assert "in square_or_fail" in caplog.text
    assert "DOE" not in caplog.text + "".join(str(o) for o in outcomes)


def test_a_dead_worker_costs_only_its_item() -> None:
    outcomes = map_items(functions.square_or_die, [0, 1, 2, 3, 4], workers=2)
    assert [o.value for o in outcomes] == [0, 1, None, 9, 16]
    assert outcomes[2].error_type == "BrokenProcessPool"
    assert outcomes[2].error is not None
    assert "worker process died" in outcomes[2].error


def test_an_item_whose_worker_died_once_gets_a_second_chance(tmp_path: Path) -> None:
    names = ["steady_1", "fragile", "steady_2"]
    outcomes = map_items(functions.die_once, [str(tmp_path / n) for n in names], workers=2)
    assert [o.value for o in outcomes] == names


def test_a_busy_worker_is_stopped_when_another_dies(tmp_path: Path) -> None:
    start = time.monotonic()
    # The executor sees deaths of workers that it has heard of, so each does an item first.
    items = [str(tmp_path / name) for name in ("one", "two", "works", "dies")]
    outcomes = map_items(functions.die_or_work_on, items, workers=2)
    assert time.monotonic() - start < 45
    assert [outcome.value for outcome in outcomes] == ["one", "two", "works", None]
    assert outcomes[3].error_type == "BrokenProcessPool"
    assert (tmp_path / "tidied").exists()


LISTENING = """
import signal
from osteoscope.apps import processes

def handlers(_):
    return signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

processes._prepare_worker()
idle = handlers(0)
busy = processes._interruptible(handlers, 0).value
assert idle == handlers(0) == (signal.SIG_DFL, signal.SIG_IGN)
assert busy == (processes._raise_stopped, signal.default_int_handler)
print("as it should")
"""


def test_a_worker_listens_to_signals_while_it_works_only() -> None:
    """An exception between two items could leave the lock of the executor's queue taken."""
    done = subprocess.run([sys.executable, "-c", LISTENING], capture_output=True, text=True)
    assert done.stdout == "as it should\n", done.stderr


def test_workers_are_other_processes_of_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
        monkeypatch.delenv(name, raising=False)
    outcomes = map_items(functions.thread_limits, [0, 1], workers=2)
    for outcome in outcomes:
        assert outcome.value is not None
        assert outcome.value[:2] == ("1", 1)
        assert outcome.value[2] != os.getpid()
    assert "OMP_NUM_THREADS" not in os.environ


def test_a_function_that_cannot_travel_is_refused_at_once() -> None:
    with pytest.raises(Exception, match=r"(?i)pickle|local"):
        map_items(lambda n: n, [1, 2], workers=2)


def test_workers_below_one_are_refused() -> None:
    with pytest.raises(InputError, match="at least 1, not 0"):
        map_items(functions.square, [1], workers=0)


INTERRUPTED = """
import sys
from osteoscope.apps.mapping import map_items
from tests.apps.mapped_functions import touch_then_sleep
if __name__ == "__main__":
    done = []
    try:
        print("started", flush=True)
        map_items(touch_then_sleep, sys.argv[1:], workers=2, on_done=lambda i, o: done.append(i))
    except KeyboardInterrupt:
        print("interrupted, recorded", done)
        sys.exit(130)
"""


@pytest.mark.parametrize("whole_group", [True, False], ids=["terminal", "parent_alone"])
def test_an_interrupt_stops_workers_and_their_programs(tmp_path: Path, whole_group: bool) -> None:
    script = tmp_path / "interrupted.py"
    script.write_text(INTERRUPTED)
    marks = [tmp_path / "quick", tmp_path / "slow_1", tmp_path / "slow_2", tmp_path / "never"]
    root = str(Path(__file__).resolve().parents[2])
    process = subprocess.Popen(
        [sys.executable, str(script), *map(str, marks)],
        env=os.environ | {"PYTHONPATH": root},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        pids = [pid for mark in marks[1:3] for pid in _pids_in(mark)]
        send = os.killpg if whole_group else os.kill
        send(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert out.split("\n")[1] == "interrupted, recorded [0]"
    assert "Traceback" not in err
    assert not marks[3].exists()
    assert not [pid for pid in pids if _alive(pid)]


@pytest.mark.parametrize("delay_s", [0.02, 0.3])
def test_an_interrupt_while_workers_start_is_quiet(tmp_path: Path, delay_s: float) -> None:
    script = tmp_path / "interrupted.py"
    script.write_text(INTERRUPTED)
    process = subprocess.Popen(
        [sys.executable, str(script), *(str(tmp_path / f"slow_{n}") for n in range(4))],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        time.sleep(delay_s)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out) == (130, "interrupted, recorded []\n"), err
    assert err == ""


HELD_BACK = """
import signal, subprocess, sys, threading
from osteoscope.apps import processes
code = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"
seen = None
try:
    with processes._interrupt_held():
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        seen = subprocess.check_output([sys.executable, "-c", code], text=True).strip()
except KeyboardInterrupt:
    print("interrupted after the child saw", seen)
print("held", signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""


def test_a_worker_that_starts_has_the_interrupt_held_back() -> None:
    """In a process of its own: threads that other tests' libraries left hold nothing back."""
    done = subprocess.run([sys.executable, "-c", HELD_BACK], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["interrupted after the child saw True", "held False"]


def _pids_in(path: Path, limit_s: float = 90) -> list[int]:
    end = time.monotonic() + limit_s
    while not path.exists():
        assert time.monotonic() < end, f"{path.name} was never started"
        time.sleep(0.05)
    return [int(pid) for pid in path.read_text().split()]


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.fixture(scope="module")
def scheduler_address() -> Iterator[str]:
    """A real Dask cluster of one worker process on this machine."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        host="127.0.0.1",
        scheduler_port=0,
        dashboard_address=":0",
        silence_logs=logging.CRITICAL,
    ) as local:
        yield local.scheduler_address


def test_a_dask_scheduler_runs_the_items(scheduler_address: str) -> None:
    seen: list[int] = []
    outcomes = map_items(
        functions.square_or_fail,
        [0, 1, 2, 3],
        scheduler=scheduler_address,
        on_done=lambda i, _: seen.append(i),
    )
    assert [o.value for o in outcomes] == [0, None, None, 9]
    assert outcomes[1].error_type == "GeometryError"
    assert outcomes[2].error == "Unexpected KeyError; see the log."
    assert sorted(seen) == [0, 1, 2, 3]


def test_dask_limits_threads_in_its_workers(scheduler_address: str) -> None:
    (outcome,) = map_items(functions.thread_limits, [0], scheduler=scheduler_address)
    assert outcome.value is not None
    assert outcome.value[:2] == ("1", 1)


def test_an_interrupt_cancels_what_dask_has_not_done(scheduler_address: str) -> None:
    seen: list[Outcome[int]] = []

    def stop_at_second(_: int, outcome: Outcome[int]) -> None:
        seen.append(outcome)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        map_items(
            functions.slow_square, range(50), scheduler=scheduler_address, on_done=stop_at_second
        )
    assert len(seen) == 2
    assert all(outcome.error is None for outcome in seen)


def test_an_item_that_kills_dask_workers_is_one_failure() -> None:
    distributed = pytest.importorskip("distributed")
    import dask

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            host="127.0.0.1",
            scheduler_port=0,
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        ) as local,
    ):
        outcomes = map_items(functions.square_or_die, [1, 2, 3], scheduler=local.scheduler_address)
    # Dask blames the item queued behind the deadly one as well; run alone, it succeeds.
    assert outcomes[1].error_type == "KilledWorker"
    assert [outcomes[0].value, outcomes[2].value] == [1, 9]


def test_a_scheduler_that_does_not_answer_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_ANSWER_WITHIN_S", 0.3)
    with pytest.raises(InputError, match=r"No Dask scheduler answers at tcp://127.0.0.1:9"):
        map_items(functions.square, [1], scheduler="tcp://127.0.0.1:9")


@pytest.mark.parametrize("scheduler", ["torque", "missing.json"])
def test_an_unknown_scheduler_is_refused(scheduler: str) -> None:
    with pytest.raises(InputError, match=r"slurm, pbs, lsf, sge|dask scheduler --scheduler-file"):
        map_items(functions.square, [1], scheduler=scheduler)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ModelError, match=r"needs the extra \"cluster\""):
        map_items(functions.square, [1], scheduler="tcp://127.0.0.1:9")


def test_an_unconfigured_queue_says_what_to_configure() -> None:
    pytest.importorskip("dask_jobqueue")
    with pytest.raises(InputError, match=r"jobqueue.slurm in Dask's configuration"):
        map_items(functions.square, [1], scheduler="slurm")
