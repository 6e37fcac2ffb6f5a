"""Reading the next batches while the device works on this one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from osteoscope.learning.objective import Batch, Batches


def prefetched(
    batches: Batches, plan: Iterable[NDArray[np.int64]], device: torch.device, ahead: int
) -> Iterator[Batch]:
    """The planned batches on the device, in order.

    A thread reads (a memory map gives its pages without holding Python's lock) and pins the
    memory where the device is a GPU, so that the copy runs beside the computing.

    Args:
        batches: Where samples come from.
        plan: Indices of each batch.
        device: Where they are needed.
        ahead: How many are read ahead, at least 1.
    """
    pinned = device.type == "cuda"

    def read(indices: NDArray[np.int64]) -> Batch:
        batch = batches.batch(indices)
        return {k: v.pin_memory() for k, v in batch.items()} if pinned else batch

    waiting: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="read") as reader:
        try:
            for indices in plan:
                waiting.append(reader.submit(read, indices))
                if len(waiting) > ahead:
                    yield _moved(waiting.popleft().result(), device)
            while waiting:
                yield _moved(waiting.popleft().result(), device)
        finally:
            for future in waiting:
                future.cancel()


def _moved(batch: Batch, device: torch.device) -> Batch:
    if device.type == "cpu":
        return batch
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
