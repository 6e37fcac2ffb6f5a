"""Where the spine lies in a scan: the crops in which the flags look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.box import Box, box_around
from osteoscope.core.errors import InputError
from osteoscope.core.grid import Grid
from osteoscope.core.label_schemes import VERTEBRAE
from osteoscope.core.volume import Volume


def canonical_hu(volume: Volume) -> Volume:
    """The canonical view of a scan in HU.

    Raises:
        InputError: The scan is not in HU, so no attenuation limit applies.
    """
    if volume.unit != "HU":
        raise InputError(f"Quality flags need a scan in HU, not in {volume.unit}.")
    return volume.canonical()


def grown_box(boxes: Iterable[Box], margin_mm: tuple[float, float, float], grid: Grid) -> Box:
    """The smallest box around ``boxes``, grown by ``margin_mm`` along ``(z, y, x)``, in the grid.

    Raises:
        InputError: There is no box.
    """
    listed = list(boxes)
    if not listed:
        raise InputError("A box around the spine needs at least one vertebra.")
    grown = []
    sides = zip(box_around(listed), margin_mm, grid.spacing_mm, grid.shape, strict=True)
    for side, margin, spacing, count in sides:
        extra = int(np.ceil(margin / spacing))
        grown.append(slice(max(0, side.start - extra), min(count, side.stop + extra)))
    return grown[0], grown[1], grown[2]


def from_head_down(vertebrae: Mapping[str, Vertebra]) -> list[Vertebra]:
    """The vertebrae in the order of their names, S1 left out."""
    return [vertebrae[name] for name in VERTEBRAE if name in vertebrae and name != "S1"]


def mask_volume_cm3(mask: NDArray[np.bool_], grid: Grid) -> float:
    """Volume of a mask on its grid, cm3."""
    return float(np.count_nonzero(mask)) * grid.voxel_volume_mm3 / 1000.0
