"""A function over items in several processes of this machine, where one may die."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from osteoscope.apps.outcome import WORKER_DIED, Outcome, failure, run_guarded

T = TypeVar("T")
R = TypeVar("R")

THREAD_LIMITS: tuple[str, ...] = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)
"""Environment variables by which the numeric libraries take their number of threads."""


def map_in_processes(
    function: Callable[[T], R],
    items: Sequence[T],
    *,
    workers: int,
    record: Callable[[int, Outcome[R]], None],
) -> None:
    """Apply ``function`` to every item in ``workers`` fresh processes of one thread each.

    Never more than one item a worker is handed out, so that after the death of a worker at most
    ``workers`` items are under suspicion. Each of these is tried once more, alone; one whose
    worker dies again is recorded as failed, and the others go on.

    Raises:
        KeyboardInterrupt: After the workers have been stopped.
    """
    pickle.dumps(function)  # what cannot travel fails here once, not once an item
    waiting = deque(range(len(items)))
    with one_thread_each():
        while waiting:
            suspects = _run_until_broken(function, items, waiting, workers, record)
            for index in suspects:
                broken = _run_until_broken(function, items, deque([index]), 1, record)
                if broken:
                    record(index, Outcome(error=WORKER_DIED, error_type="BrokenProcessPool"))


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let processes started inside inherit a limit of one thread where the user set none.

    The variables must stand before a child imports NumPy, so they go through the environment.
    """
    added = [name for name in THREAD_LIMITS if name not in os.environ]
    os.environ.update(dict.fromkeys(added, "1"))
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _run_until_broken(
    function: Callable[[T], R],
    items: Sequence[T],
    waiting: deque[int],
    workers: int,
    record: Callable[[int, Outcome[R]], None],
) -> list[int]:
    """Work through ``waiting``; return the items in flight when a worker died, else none."""
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_prepare_worker
    )
    running: dict[Future[Outcome[R]], int] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                with _interrupt_held():
                    future = pool.submit(_interruptible, function, items[waiting[0]])
                running[future] = waiting[0]
                waiting.popleft()
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=running.__getitem__):
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    continue
                index = running.pop(future)
                record(index, future.result() if error is None else _failed(error))
            if done & running.keys():
                return sorted(running.values())
    except BrokenProcessPool:  # it broke between two items, while one was handed over
        return sorted(running.values())
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return []


@contextmanager
def _interrupt_held() -> Iterator[None]:
    """Deliver an interrupt after the block; a process started inside begins with it held back.

    Handing over an item may start a worker, which would else die of an interrupt, with a
    traceback, during the second in which it imports and has not yet learnt to leave it alone.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _failed(error: BaseException) -> Outcome[R]:
    # A worker that was interrupted means that the user stopped the run, not that the item failed.
    if isinstance(error, KeyboardInterrupt | SystemExit):
        raise KeyboardInterrupt
    return failure(error)


class _StoppedError(BaseException):
    """This worker was asked to end while it worked on an item."""


def _prepare_worker() -> None:
    # An idle worker leaves an interrupt to its parent and dies of a termination at once: an
    # exception would reach the executor, which may hold the lock of its queue at that moment, or
    # take it for the item's and go on waiting for another.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _interruptible(function: Callable[[T], R], item: T) -> Outcome[R]:
    """Run one item; a worker that is stopped meanwhile tidies up (external programs, temporary
    folders), which needs an exception rather than a death, and then ends."""
    try:
        signal.signal(signal.SIGTERM, _raise_stopped)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return run_guarded(function, item)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
    except _StoppedError:
        os._exit(128 + signal.SIGTERM)


def _raise_stopped(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not stop the tidying
    raise _StoppedError
