"""The measured regions on other grids: on their vertebrae's crops, and as labels of a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.box import box_around, inward
from osteoscope.core.grid import Grid
from osteoscope.core.labelmap import LabelMap
from osteoscope.densitometry.region import Region


class CropWeights(Mapping[str, NDArray[np.float32]]):
    """The regions' weights on their vertebrae's own crops, made when asked for: 15 MB each."""

    def __init__(self, regions: Mapping[str, Region], vertebrae: Mapping[str, Vertebra]) -> None:
        self._regions = regions
        self._vertebrae = vertebrae

    def __getitem__(self, level: str) -> NDArray[np.float32]:
        region, vertebra = self._regions[level], self._vertebrae[level]
        weights = np.zeros(vertebra.grid.shape, dtype=np.float32)
        weights[inward(region.box, vertebra.box)] = region.weights
        return weights

    def __iter__(self) -> Iterator[str]:
        return iter(self._regions)

    def __len__(self) -> int:
        return len(self._regions)


def region_labels(
    labels: LabelMap, regions: Mapping[str, Region]
) -> tuple[NDArray[np.uint8], Grid]:
    """Voxels of which at least half lies in a region, under their vertebra's number.

    Cut to the box that holds every region; its grid says where that lies in the scan.

    Args:
        labels: The canonical labels that the regions were drawn in.
        regions: One or more, by level.
    """
    box = box_around(region.box for region in regions.values())
    grid = labels.grid.crop(box)
    array = np.zeros(grid.shape, dtype=np.uint8)
    for level, region in regions.items():
        array[inward(region.box, box)][region.weights >= 0.5] = labels.scheme.vertebrae[level]
    return array, grid
