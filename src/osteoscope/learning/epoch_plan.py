"""The batches of an epoch, and each process's part of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from lightning_fabric import Fabric
from numpy.typing import NDArray

from osteoscope.learning.devices import own_share


@dataclass(frozen=True, eq=False)
class Share:
    """This process's part of one batch.

    Args:
        indices: Samples to read, at least one.
        samples: How many of them count: 0 where the batch has fewer samples than processes. Such
            a process computes one sample with weight 0, for the others wait for its gradients.
        batch_samples: Samples of the whole batch.
    """

    indices: NDArray[np.int64]
    samples: int
    batch_samples: int


def plan_epoch(order: NDArray[np.int64], batch_size: int) -> list[NDArray[np.int64]]:
    """The batches of an epoch: as many as it takes, and as even as can be.

    311 samples in batches of 8 give 38 of 8 and one of 7; 17 give 6, 6 and 5 rather than 8, 8 and
    a last one of 1, whose batch statistics would be worthless.

    >>> [len(part) for part in plan_epoch(np.arange(17), 8)]
    [6, 6, 5]
    """
    return np.array_split(order, max(1, -(-len(order) // batch_size)))


def share_of(fabric: Fabric, batch: NDArray[np.int64]) -> Share:
    """This process's part of a batch."""
    own = own_share(fabric, batch)
    return Share(own if len(own) else batch[:1], len(own), len(batch))
