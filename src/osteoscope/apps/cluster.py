"""A function over items on a Dask scheduler, or in jobs of a queueing system."""

from __future__ import annotations

import importlib
import os
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from osteoscope.apps.outcome import WORKER_DIED, Outcome, failure, run_guarded
from osteoscope.apps.processes import THREAD_LIMITS
from osteoscope.core.errors import InputError, ModelError

T = TypeVar("T")
R = TypeVar("R")

QUEUES: dict[str, str] = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "lsf": "LSFCluster",
    "sge": "SGECluster",
}
"""Queueing systems by the name that ``--scheduler`` takes, and their class in dask-jobqueue."""

_ANSWER_WITHIN_S = 10


def map_on_cluster(
    function: Callable[[T], R],
    items: Sequence[T],
    *,
    scheduler: str,
    workers: int,
    record: Callable[[int, Outcome[R]], None],
) -> None:
    """Apply ``function`` to every item on the workers of ``scheduler``.

    Args:
        function: As in :func:`osteoscope.apps.mapping.map_items`; the workers must have the same
            osteoscope installed.
        items: The work.
        scheduler: Address, scheduler file (``.json``) or a name of :data:`QUEUES`.
        workers: Jobs to ask for, where ``scheduler`` names a queue; else not used.
        record: Called here with the index and outcome of each item as it is done.

    Raises:
        ModelError: The extra ``cluster`` is missing.
        InputError: No scheduler answers, or the queue's configuration is incomplete.
        KeyboardInterrupt: After what was not done has been cancelled.
    """
    pickle.dumps(function)
    distributed = _require("distributed")
    with _connected(distributed, scheduler, workers) as client:
        everything = list(range(len(items)))
        suspects = _submit_and_record(distributed, client, (function, items), everything, record)
        for index in suspects:
            if _submit_and_record(distributed, client, (function, items), [index], record):
                record(index, Outcome(error=WORKER_DIED, error_type="KilledWorker"))


def _submit_and_record(
    distributed: ModuleType,
    client: Any,
    work: tuple[Callable[[T], R], Sequence[T]],
    indices: list[int],
    record: Callable[[int, Outcome[R]], None],
) -> list[int]:
    """Run some items; return those that Dask gave up on because their workers died.

    Dask blames every item that was assigned to the dying worker, so those returned may be
    innocent and deserve a run alone.
    """
    function, items = work
    index_of = {
        client.submit(_on_worker, function, items[index], pure=False): index for index in indices
    }
    suspects: list[int] = []
    try:
        for future in distributed.as_completed(list(index_of), loop=client.loop):
            index = index_of.pop(future)
            error = future.exception()
            if isinstance(error, distributed.KilledWorker):
                suspects.append(index)
            else:
                record(index, future.result() if error is None else failure(error))
    except BaseException:
        client.cancel(list(index_of), force=True)
        raise
    return sorted(suspects)


@contextmanager
def _connected(distributed: ModuleType, scheduler: str, workers: int) -> Iterator[Any]:
    if scheduler in QUEUES:
        with _queue(scheduler, workers) as cluster, distributed.Client(cluster) as client:
            yield client
        return
    options: dict[str, str] = {}
    if scheduler.endswith(".json"):
        if not Path(scheduler).is_file():
            raise InputError(
                "The scheduler file does not exist; start the scheduler with "
                "`dask scheduler --scheduler-file FILE` on a shared folder."
            )
        options["scheduler_file"] = scheduler
    elif "://" in scheduler:
        options["address"] = scheduler
    else:
        raise InputError(
            f"Unknown scheduler {scheduler!r}; give an address such as tcp://host:8786, a "
            f"scheduler file (.json), or one of {', '.join(QUEUES)}."
        )
    try:
        client = distributed.Client(**options, timeout=_ANSWER_WITHIN_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"No Dask scheduler answers at {options.get('address', 'the file’s address')} within "
            f"{_ANSWER_WITHIN_S} s; start one with `dask scheduler` or check the address."
        ) from error
    try:
        yield client
    finally:
        client.close()


@contextmanager
def _queue(name: str, jobs: int) -> Iterator[Any]:
    """A cluster of ``jobs`` jobs, set up as the user's Dask configuration says."""
    jobqueue = _require("dask_jobqueue")
    dask = _require("dask")
    # Asked before the cluster is built: dask-jobqueue's own refusal leaves half an object behind.
    unset = [key for key in ("cores", "memory") if not dask.config.get(f"jobqueue.{name}.{key}")]
    if unset:
        raise InputError(
            f"The queue {name!r} is not configured ({' and '.join(unset)} not set); set cores, "
            f"memory and queue under jobqueue.{name} in Dask's configuration "
            "(~/.config/dask/jobqueue.yaml)."
        )
    cluster = getattr(jobqueue, QUEUES[name])()
    try:
        cluster.scale(jobs=jobs)
        yield cluster
    finally:
        cluster.close()


def _require(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ModelError(
            'A scheduler needs the extra "cluster"; `osteoscope doctor` says how to add it.'
        ) from None


def _on_worker(function: Callable[[T], R], item: T) -> Outcome[R]:
    for name in THREAD_LIMITS:
        os.environ.setdefault(name, "1")
    sitk = sys.modules.get("SimpleITK")
    if sitk is not None:  # it read the environment long ago where the worker imported it before
        threads = int(os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"])
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    return run_guarded(function, item)
