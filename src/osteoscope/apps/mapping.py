"""One function over many items: here, in several processes, or on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from osteoscope.apps.cluster import map_on_cluster
from osteoscope.apps.outcome import Outcome, log_failure, run_guarded
from osteoscope.apps.processes import map_in_processes
from osteoscope.core.errors import InputError

T = TypeVar("T")
R = TypeVar("R")


def map_items(
    function: Callable[[T], R],
    items: Sequence[T],
    *,
    workers: int = 1,
    scheduler: str | None = None,
    on_done: Callable[[int, Outcome[R]], None] | None = None,
) -> list[Outcome[R]]:
    """Apply ``function`` to every item; one that fails never stops the others.

    With one worker and no scheduler everything runs in this process. With several, each runs in
    a fresh process of its own, limited to one thread. A worker process that dies (memory, a
    crash in native code) costs its own item only, after one more try alone.

    Args:
        function: Defined at the top of a module, so that other processes can import it; the
            items and what it returns must pickle.
        items: The work; results come back in this order.
        workers: Processes on this machine, or jobs where ``scheduler`` names a queue.
        scheduler: A Dask scheduler's address (``tcp://host:8786``), its scheduler file
            (``.json``), or ``slurm``, ``pbs``, ``lsf``, ``sge``: jobs of that queueing system,
            set up by Dask's own configuration. The files that the items name must be visible
            there under the same paths.
        on_done: Called in this process as ``on_done(index, outcome)`` as soon as an item is done,
            in the order of completion; the place to write what a resumed run must not repeat.

    Returns:
        One :class:`Outcome` an item, in the items' order.

    Raises:
        InputError: ``workers`` is below one, or no scheduler answers at ``scheduler``.
        ModelError: The extra ``cluster`` is needed and missing.
        KeyboardInterrupt: The user stopped it. The workers are stopped first; ``on_done`` has
            seen every finished item and none of the cancelled ones.

    Example:
        >>> [outcome.value for outcome in map_items(abs, [-1, 2])]
        [1, 2]
    """
    if workers < 1:
        raise InputError(f"The number of workers must be at least 1, not {workers}.")
    outcomes: list[Outcome[R] | None] = [None] * len(items)

    def record(index: int, outcome: Outcome[R]) -> None:
        log_failure(index, outcome)
        outcomes[index] = outcome
        if on_done is not None:
            on_done(index, outcome)

    if scheduler is not None:
        map_on_cluster(function, items, scheduler=scheduler, workers=workers, record=record)
    elif workers > 1 and len(items) > 1:
        map_in_processes(function, items, workers=min(workers, len(items)), record=record)
    else:
        for index, item in enumerate(items):
            record(index, run_guarded(function, item))
    return [outcome for outcome in outcomes if outcome is not None]
