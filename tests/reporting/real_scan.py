"""The shared real CT, its labels, and vertebrae and regions cut out of them for pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK
from scipy import ndimage

from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.grid import Grid
from osteoscope.core.label_schemes import label_scheme
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.volume import Acquisition, Volume
from osteoscope.densitometry.region import Region

FOLDER = (
    Path(__file__).resolve().parents[2]
    / ".."
    / "shared"
    / "data"
    / "ct"
    / "totalsegmentator_example"
)
Scene = tuple[Volume, LabelMap, dict[str, Vertebra], dict[str, Region]]


def read_scene(*, simulated: bool = False) -> Scene:
    """Volume, labels, vertebrae and an L1 region, read with SimpleITK alone."""
    image = SimpleITK.ReadImage(str(FOLDER / "ct.nii.gz"))
    array = SimpleITK.GetArrayFromImage(image).astype(np.int16)
    affine = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(3, 3)
    affine[:3, :3] = (direction * np.array(image.GetSpacing()))[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    grid = Grid(array.shape, affine)
    volume = Volume(array, grid, acquisition=Acquisition(simulated=simulated))
    numbers = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(FOLDER / "labels.nii.gz")))
    labels = LabelMap(numbers.astype(np.uint8), grid, label_scheme("totalsegmentator"))
    return volume, labels, *cut_scene(labels)


def cut_scene(labels: LabelMap) -> tuple[dict[str, Vertebra], dict[str, Region]]:
    """Vertebrae by label alone, and a stand-in region: the mask's inside in front of the canal."""
    labels = labels.canonical()
    vertebrae = {}
    boxes = ndimage.find_objects(labels.array)
    for level, number in labels.scheme.vertebrae.items():
        box = boxes[number - 1] if number <= len(boxes) else None
        if box is None:
            continue
        mask = labels.array[box] == number
        grid = labels.grid.crop(box)
        # The body is the front of the mask; good enough to place a picture.
        front = np.argwhere(mask)
        front = front[front[:, 1] < mask.shape[1] * 0.4]
        centre = grid.index_to_world_mm(front.mean(axis=0))
        vertebrae[level] = Vertebra(level, box, grid, mask, None, None, centre, None)
    regions = {level: _region(vertebra) for level, vertebra in vertebrae.items() if level == "L1"}
    return vertebrae, regions


def _region(vertebra: Vertebra) -> Region:
    inside = ndimage.binary_erosion(vertebra.mask, iterations=1)
    inside[:, int(inside.shape[1] * 0.42) :] = False
    grid = replace(vertebra.grid)
    return Region("L1", "stand-in", vertebra.box, grid, inside.astype(np.float32))
