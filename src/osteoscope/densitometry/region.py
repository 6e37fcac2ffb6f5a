"""A region of interest as weights: which share of each voxel lies in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.box import Box
from osteoscope.core.grid import Grid


@dataclass(frozen=True, eq=False)
class Region:
    """A measured region of one vertebra.

    Args:
        level: The vertebra, for example ``L1``.
        method: How it was drawn, with its parameters, for example ``body eroded 5 mm``.
        box: Where it lies in the canonical scan array, slices along ``(z, y, x)``.
        grid: Grid of the weights: the scan's own voxels inside ``box``.
        weights: (z, y, x) float32 in [0, 1], the share of each voxel inside the region.
    """

    level: str
    method: str
    box: Box
    grid: Grid
    weights: NDArray[np.float32]
