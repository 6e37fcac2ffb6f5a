"""Labels on the grid of their own file, before a scheme names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from osteoscope.core.grid import Grid


@dataclass(frozen=True, eq=False)
class RawLabels:
    """Labels as their file holds them, on their own grid.

    Args:
        array: (z, y, x) uint8, or uint16 where a number is above 255; 0 is background.
        grid: Where the voxels lie.
        names: What the file itself says that each number means; None where it does not say.
        notes: What was done.
    """

    array: NDArray[Any]
    grid: Grid
    names: Mapping[int, str] | None = None
    notes: tuple[str, ...] = ()
