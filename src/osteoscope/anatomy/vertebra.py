"""One vertebra of a segmentation: its masks, axes and heights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscope.anatomy.canal import Canal
from osteoscope.core.box import Box
from osteoscope.core.grid import Grid


@dataclass(frozen=True)
class BodyHeights:
    """Heights of a vertebral body between its endplates, along the vertebra's own axis, mm.

    Args:
        anterior_mm: Just behind the anterior wall.
        middle_mm: Half-way.
        posterior_mm: Just in front of the posterior wall.
        method: How the endplates were found.
    """

    anterior_mm: float
    middle_mm: float
    posterior_mm: float
    method: str = "endplates of the mask"


@dataclass(frozen=True, eq=False)
class Vertebra:
    """A vertebra cut out of a segmentation with a margin around it.

    Args:
        level: For example ``L1``.
        box: Where the crop lies in the canonical label array, slices along ``(z, y, x)``.
        grid: Grid of the crop, canonical orientation.
        mask: (z, y, x) bool, the whole vertebra.
        body: (z, y, x) bool, the vertebral body (corpus) alone; None where body and arch
            could not be told apart.
        axes: (3, 3) rows are unit vectors in LPS: the vertebra's left, posterior and superior;
            superior is normal to the endplates. None where they could not be found.
        centre_mm: (3,) LPS centre of the body, mm.
        heights: Body heights; None where an endplate is outside the scan.
        touches: Names of the scan's edges that the mask touches, for example ``("superior",)``.
        withheld: Why body, axes or heights are None; None where all are there.
        canal: The spinal canal behind the body; None where it was not found.
    """

    level: str
    box: Box
    grid: Grid
    mask: NDArray[np.bool_]
    body: NDArray[np.bool_] | None
    axes: NDArray[np.float64] | None
    centre_mm: NDArray[np.float64]
    heights: BodyHeights | None
    touches: tuple[str, ...] = ()
    withheld: str | None = None
    canal: Canal | None = None
