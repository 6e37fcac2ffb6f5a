"""What a fit needs to be told: what is learned, and where its samples come from."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Batch: TypeAlias = dict[str, Tensor]
"""Tensors by name; the first axis of each counts samples."""

Outputs: TypeAlias = dict[str, NDArray[Any]]
"""Arrays by name; the first axis of each counts samples, in the order of the batches."""


class Objective(Protocol):
    """What is learned: a loss to descend, outputs to collect, and the metrics that judge them.

    Windows, augmentation and the head belong here: they run on the device, inside ``loss`` and
    ``outputs``.
    """

    @property
    def digest(self) -> str:
        """Text that changes whenever the objective would compute something else.

        It tells whether an interrupted fit may be taken up again.
        """
        ...

    def loss(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
        """The mean loss over the batch's samples, a tensor without axes.

        Args:
            model: Call it; its other methods would pass by the synchronisation of several
                processes and by the precision of the fit.
            batch: On the device.
            generator: On the device, for augmentation; already seeded for this step.
        """
        ...

    def outputs(self, model: nn.Module, batch: Batch) -> Batch:
        """What validation and prediction collect: tensors whose first axis counts samples.

        Here ``model`` is the plain network in evaluation mode: all its methods may be called.
        """
        ...

    def score(self, outputs: Outputs) -> dict[str, float]:
        """Metrics of a whole set by name; not a number where one is not defined."""
        ...


class Batches(Protocol):
    """Samples that can be read in any order."""

    @property
    def digest(self) -> str:
        """Text that changes whenever a sample does, or which samples belong."""
        ...

    def __len__(self) -> int:
        """Number of samples."""
        ...

    def batch(self, indices: NDArray[np.int64]) -> Batch:
        """These samples as tensors in the computer's memory; called from another thread."""
        ...

    def order(self, epoch: int, seed: int) -> NDArray[np.int64]:
        """Indices that an epoch goes through, a function of its arguments alone.

        An index may come several times or not at all; their number is the same in every epoch.
        """
        ...
