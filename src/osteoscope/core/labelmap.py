"""A segmentation: which structure each voxel belongs to, by a named scheme."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.box import Box
from osteoscope.core.errors import GeometryError
from osteoscope.core.grid import Grid, to_canonical
from osteoscope.core.label_schemes import LabelScheme


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Integer labels on a grid, with the scheme that names them.

    Args:
        array: (z, y, x) unsigned integers; 0 is background or *not labelled*.
        grid: Where the voxels lie.
        scheme: What each number means.
        notes: What a reader must know about their making, a sentence each.
    """

    array: NDArray[Any]
    grid: Grid
    scheme: LabelScheme
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.array.shape != self.grid.shape:
            raise GeometryError(
                f"The labels' shape {self.array.shape} differs from their grid's {self.grid.shape}."
            )
        if not np.issubdtype(self.array.dtype, np.integer):
            raise GeometryError(f"Labels must be integers, not {self.array.dtype}.")

    def canonical(self) -> LabelMap:
        """The same labels, as a view whose axes run most nearly towards +S, +P and +L."""
        return replace(self, array=to_canonical(self.array, self.grid), grid=self.grid.canonical())

    def crop(self, box: Box) -> LabelMap:
        """The labels inside ``box``, as a view."""
        return replace(self, array=self.array[box], grid=self.grid.crop(box))
