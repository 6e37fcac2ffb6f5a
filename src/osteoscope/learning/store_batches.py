"""Batches of crops from a memory-mapped array, in an order that depends on seed and epoch only."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Order = Callable[[int, int], NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class StoreBatches:
    """Some rows of a store, read as they are asked for.

    Args:
        store_digest: Of the store that the crops belong to.
        crops: (n, z, y, x) HU, int16, mostly a memory map.
        rows: (m,) rows of ``crops`` that take part.
        class_index: (m,) class of each row, -1 unknown.
        t_score: (m,) T-score of each, NaN unknown.
        ordering: ``(epoch, seed)`` to the positions 0..m-1 in the order of an epoch; None keeps
            them as they are.
    """

    store_digest: str
    crops: NDArray[np.int16]
    rows: NDArray[np.int64]
    class_index: NDArray[np.int64]
    t_score: NDArray[np.float32]
    ordering: Order | None = None

    @property
    def digest(self) -> str:
        """Changes with the store, the rows and their answers; not with the order of an epoch,
        which the objective's configuration names."""
        state = hashlib.sha256(self.store_digest.encode())
        for values in (self.rows, self.class_index, self.t_score):
            state.update(np.ascontiguousarray(values).tobytes())
        return state.hexdigest()

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.rows)

    def batch(self, indices: NDArray[np.int64]) -> dict[str, Tensor]:
        """Crops and answers at these positions: ``crop_hu`` (b, z, y, x), ``class_index`` (b,),
        ``t_score`` (b,).
        """
        crops = np.stack([self.crops[row] for row in self.rows[indices]])
        return {
            "crop_hu": torch.from_numpy(crops),
            "class_index": torch.from_numpy(self.class_index[indices]),
            "t_score": torch.from_numpy(self.t_score[indices]),
        }

    def order(self, epoch: int, seed: int) -> NDArray[np.int64]:
        """Positions in the order of an epoch."""
        if self.ordering is None:
            return np.arange(len(self), dtype=np.int64)
        return self.ordering(epoch, seed)
