"""Cut the three planes of a picture out of a scan: views of slices, in mm, never a volume copy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.errors import GeometryError
from osteoscope.core.label_schemes import VERTEBRAE
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.volume import Volume
from osteoscope.densitometry.region import Region

Plane = Literal["sagittal", "coronal", "axial"]
PLANES: tuple[Plane, ...] = ("sagittal", "coronal", "axial")

_NORMAL: Mapping[Plane, int] = {"sagittal": 2, "coronal": 1, "axial": 0}
"""Canonical array axis across each plane."""

_TALLEST_MM = 480.0
"""A longer scan is shown around its vertebrae, since a narrower strip cannot be read."""
_SHORTEST_MM = 160.0
"""A shorter scan is shown at its own size on black, not blown up."""
_BESIDE_SPINE_MM = 80.0
_AXIAL_HALF_MM = (68.0, 75.0)
"""Half height and half width of the axial view: the vertebra, the aorta and the muscles."""


@dataclass(frozen=True, eq=False)
class PlaneCut:
    """One plane of a scan with what is drawn on it.

    Args:
        plane: ``sagittal``, ``coronal`` or ``axial``.
        image: (rows, columns) values of the scan, a view.
        labels: (rows, columns) labels of the same plane, a view.
        region: (rows, columns) weights of the measured region in this plane, and the row and
            column of their first voxel; None where the region does not meet the plane.
        spacing_mm: Distance of rows and of columns, mm.
        view_mm: First and last row position, first and last column position to show, mm from
            the centre of the first voxel.
        position_mm: Where the plane lies along its normal, mm from the first slice.
    """

    plane: Plane
    image: NDArray[Any]
    labels: NDArray[Any]
    region: tuple[NDArray[np.float32], int, int] | None
    spacing_mm: tuple[float, float]
    view_mm: tuple[float, float, float, float]
    position_mm: float


def nearest_level(vertebrae: Mapping[str, Vertebra], level: str) -> str | None:
    """``level`` where it was found, else the vertebra nearest to it in the spine, else None."""
    if level in vertebrae:
        return level
    wanted = VERTEBRAE.index(level)
    known = [name for name in VERTEBRAE if name in vertebrae]
    return min(known, key=lambda name: abs(VERTEBRAE.index(name) - wanted), default=None)


def cut_planes(
    volume: Volume,
    labels: LabelMap,
    vertebrae: Mapping[str, Vertebra],
    region: Region | None,
    level: str | None,
) -> dict[Plane, PlaneCut]:
    """The sagittal, coronal and axial slice through the body of a vertebra.

    Args:
        volume: The scan, canonical.
        labels: Its labels, canonical, on the same grid.
        vertebrae: The vertebrae found, by level.
        region: The measured region of ``level``; None where there is none.
        level: The vertebra to cut through; None cuts through the middle of the scan.

    Raises:
        GeometryError: Labels and scan have different shapes.
    """
    if volume.array.shape != labels.array.shape:
        raise GeometryError(
            f"The labels' shape {labels.array.shape} differs from the scan's "
            f"{volume.array.shape}; resample the labels to the scan's grid first."
        )
    centre = _centre_index(volume, vertebrae, level)
    if region is not None:
        centre[0] = _slice_through(region, int(centre[0]))
    return {plane: _cut(plane, volume, labels, vertebrae, region, centre) for plane in PLANES}


def _centre_index(
    volume: Volume, vertebrae: Mapping[str, Vertebra], level: str | None
) -> NDArray[np.int64]:
    last = np.array(volume.grid.shape) - 1
    if level is None:
        return np.asarray(last // 2, dtype=np.int64)
    index = volume.grid.world_mm_to_index(vertebrae[level].centre_mm)
    return np.clip(np.rint(index), 0, last).astype(np.int64)


def _slice_through(region: Region, k: int) -> int:
    """``k`` where the region meets that slice, else the slice where it is largest."""
    areas = region.weights.sum(axis=(1, 2))
    start = region.box[0].start
    if 0 <= k - start < len(areas) and areas[k - start] > 0:
        return k
    return int(start + np.argmax(areas)) if areas.any() else k


def _cut(
    plane: Plane,
    volume: Volume,
    labels: LabelMap,
    vertebrae: Mapping[str, Vertebra],
    region: Region | None,
    centre: NDArray[np.int64],
) -> PlaneCut:
    normal = _NORMAL[plane]
    at = int(centre[normal])
    spacing = np.delete(volume.grid.spacing_mm, normal)
    return PlaneCut(
        plane=plane,
        image=volume.array.take(at, axis=normal),
        labels=labels.array.take(at, axis=normal),
        region=_cut_region(region, normal, at),
        spacing_mm=(float(spacing[0]), float(spacing[1])),
        view_mm=_view(plane, volume, vertebrae, centre),
        position_mm=float(at * volume.grid.spacing_mm[normal]),
    )


def _cut_region(
    region: Region | None, normal: int, at: int
) -> tuple[NDArray[np.float32], int, int] | None:
    if region is None:
        return None
    offset = at - region.box[normal].start
    if not 0 <= offset < region.weights.shape[normal]:
        return None
    weights = region.weights.take(offset, axis=normal)
    if not np.any(weights > 0):
        return None
    row, column = (region.box[axis].start for axis in range(3) if axis != normal)
    return weights, int(row), int(column)


def _view(
    plane: Plane, volume: Volume, vertebrae: Mapping[str, Vertebra], centre: NDArray[np.int64]
) -> tuple[float, float, float, float]:
    """Rows from, rows to, columns from, columns to, in mm of the canonical array."""
    spacing = volume.grid.spacing_mm
    middle = centre * spacing
    if plane == "axial":
        half_rows, half_columns = _AXIAL_HALF_MM
        # More is seen in front of the body, where the aorta lies, than behind the arch.
        row = float(middle[1]) + 6.0
        column = float(middle[2])
        return row - half_rows, row + half_rows, column - half_columns, column + half_columns
    spine = _spine_mm(volume, vertebrae)
    across = {"sagittal": 1, "coronal": 2}[plane]
    along = spine[:, 0] if len(spine) else middle[[0]]
    beside = spine[:, across] if len(spine) else middle[[across]]
    bottom, top = _along_spine(volume, along, float(middle[0]))
    shift = 8.0 if plane == "sagittal" else 0.0  # the arch lies behind the bodies
    left = float(beside.min()) - _BESIDE_SPINE_MM + shift
    right = float(beside.max()) + _BESIDE_SPINE_MM + shift
    return bottom, top, left, right


def _spine_mm(volume: Volume, vertebrae: Mapping[str, Vertebra]) -> NDArray[np.float64]:
    """(n, 3) centres of the vertebrae as mm along the canonical array's axes."""
    if not vertebrae:
        return np.empty((0, 3))
    centres = np.array([vertebra.centre_mm for vertebra in vertebrae.values()])
    return volume.grid.world_mm_to_index(centres) * volume.grid.spacing_mm


def _along_spine(
    volume: Volume, spine_mm: NDArray[np.float64], level_mm: float
) -> tuple[float, float]:
    """The stretch of the scan to show: all of it, or what lies around the vertebrae."""
    spacing = float(volume.grid.spacing_mm[0])
    first, last = -spacing / 2, (volume.grid.shape[0] - 0.5) * spacing
    if last - first < _SHORTEST_MM:
        extra = (_SHORTEST_MM - (last - first)) / 2
        return first - extra, last + extra
    if last - first <= _TALLEST_MM:
        return first, last
    middle = (float(spine_mm.min()) + float(spine_mm.max())) / 2
    # However long the spine, the assessed vertebra stays in the picture.
    middle = float(np.clip(middle, level_mm - _TALLEST_MM / 3, level_mm + _TALLEST_MM / 3))
    middle = float(np.clip(middle, first + _TALLEST_MM / 2, last - _TALLEST_MM / 2))
    return middle - _TALLEST_MM / 2, middle + _TALLEST_MM / 2
