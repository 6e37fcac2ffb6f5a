"""The example result, and small scans whose every voxel is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.grid import Grid, grid_from_spacing
from osteoscope.core.label_schemes import label_scheme
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.volume import Acquisition, Volume
from osteoscope.densitometry.region import Region

L1 = 31
Box = tuple[slice, slice, slice]
BODY: Box = (slice(30, 42), slice(40, 56), slice(44, 62))
"""Voxels of the drawn L1."""


def example_result() -> dict[str, Any]:
    """A fresh copy of the result that was written by hand."""
    path = Path(__file__).with_name("example_result.json")
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result


def withheld_result() -> dict[str, Any]:
    """The example with its headline withheld."""
    result = example_result()
    entry = result["assessment"][0]
    result["status"] = "withheld"
    result["assessment"][0] = {
        "criterion": entry["criterion"],
        "source": entry["source"],
        "level": "L1",
        "withheld": "L1 holds metal.",
    }
    return result


def failed_result() -> dict[str, Any]:
    """A result of a scan that could not be read."""
    example = example_result()
    kept = ("schema_version", "created_with", "disclaimer")
    return {key: example[key] for key in kept} | {
        "status": "failed",
        "simulated": False,
        "error": {"type": "GeometryError", "message": "Two slices are missing."},
    }


def drawn_scan(
    *, spacing_mm: tuple[float, float, float] = (2.0, 1.0, 1.0), simulated: bool = False
) -> tuple[Volume, LabelMap, dict[str, Vertebra], dict[str, Region]]:
    """Soft tissue with one vertebra and no region weights outside it."""
    array = np.full((80, 100, 110), 40, dtype=np.int16)
    array[BODY] = 300
    grid = grid_from_spacing(array.shape, spacing_mm, (-55.0, -50.0, 0.0))
    volume = Volume(array, grid, acquisition=Acquisition(simulated=simulated))
    numbers = np.zeros(array.shape, dtype=np.uint8)
    numbers[BODY] = L1
    labels = LabelMap(numbers, grid, label_scheme("totalsegmentator"))
    inner: Box = (slice(33, 39), slice(44, 52), slice(48, 58))
    weights = np.ones(tuple(s.stop - s.start for s in inner), dtype=np.float32)
    region = Region("L1", "drawn", inner, grid.crop(inner), weights)
    return volume, labels, {"L1": _vertebra("L1", grid, numbers)}, {"L1": region}


def _vertebra(level: str, grid: Grid, numbers: np.ndarray) -> Vertebra:
    crop = grid.crop(BODY)
    mask = numbers[BODY] == L1
    centre = crop.index_to_world_mm((np.array(mask.shape) - 1) / 2)
    return Vertebra(level, BODY, crop, mask, mask, np.eye(3)[[0, 1, 2]], centre, None)
