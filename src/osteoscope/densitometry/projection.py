"""The mineral in front of a DXA detector: a scan's calibrated bone summed from front to back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.errors import GeometryError, QualityError
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.volume import Volume
from osteoscope.densitometry.calibration.line import Calibration

RIM_MM = 2.0
"""How far outside its mask bone still counts: blur carries part of the cortex across the edge."""

SOFT_TISSUE_HU = 50.0
RIM_THRESHOLD_HU = 120.0
"""In the rim, what attenuates more than the threshold is blurred bone and counts by what exceeds
soft tissue; below it lie muscle, disc and noise, which a DXA subtracts."""

PLAQUE_THRESHOLD_HU = 200.0
PLAQUE_RIM_MM = 2.0
"""Calcification of the aorta: the usual 130 HU would count noise along its whole wall."""

_MAX_TILT_DEGREES = 15.0


@dataclass(frozen=True, eq=False)
class MineralMap:
    """Projected attenuation and path of bone, from which the mineral follows by a calibration.

    Args:
        rows: Slices of the canonical scan that the map covers.
        columns: Columns of the canonical scan that the map covers.
        hu_cm: (rows, columns) integral of HU along the front-back line through bone, HU cm.
        path_cm: (rows, columns) length of that line inside the masks of bone, cm.
        plaque_hu_cm: The same as ``hu_cm`` for aortic calcification above soft tissue.
        pixel_cm2: Area of a pixel seen from the front.
    """

    rows: slice
    columns: slice
    hu_cm: NDArray[np.float64]
    path_cm: NDArray[np.float64]
    plaque_hu_cm: NDArray[np.float64]
    pixel_cm2: float

    def bone_g_cm2(self, calibration: Calibration) -> NDArray[np.float64]:
        """(rows, columns) projected mineral of the skeleton, g/cm2."""
        slope, intercept = calibration.slope_mg_cm3_per_hu, calibration.intercept_mg_cm3
        return (slope * self.hu_cm + intercept * self.path_cm) / 1000.0

    def plaque_g_cm2(self, calibration: Calibration) -> NDArray[np.float64]:
        """(rows, columns) projected mineral of aortic calcification, g/cm2."""
        return calibration.slope_mg_cm3_per_hu * self.plaque_hu_cm / 1000.0


def project_mineral(
    volume: Volume,
    vertebrae: Iterable[Vertebra],
    labels: LabelMap | None,
    rows: slice,
    columns: slice,
) -> MineralMap:
    """Sum bone front to back over a window of slices and columns, slice by slice.

    Inside the vertebrae's masks (body, cortex, arch, processes, and what of the neighbours reaches
    into the window) every voxel counts by its calibrated mineral. In a rim of 2 mm around them
    blurred bone counts by what it exceeds soft tissue. Calcification in and around the aorta
    counts where ``labels`` name it. Soft tissue, bowel and the table do not count, as dual energy
    removes them.

    Args:
        volume: The scan in canonical orientation, HU.
        vertebrae: Every vertebra that may reach into the window, canonical boxes.
        labels: Canonical labels on the volume's grid, for the aorta; None leaves it out.
        rows: Slices with a start and a stop.
        columns: Columns with a start and a stop.

    Raises:
        GeometryError: The labels lie on another grid.
        QualityError: The scan is tilted by more than 15 degrees from front to back, or no vertebra
            lies in the window.
    """
    _check_tilt(volume)
    if labels is not None and not labels.grid.matches(volume.grid):
        raise GeometryError("The labels lie on another grid than the scan; resample them first.")
    dz, dy, dx = (float(h) for h in volume.grid.spacing_mm)
    margin = max(1, int(np.ceil(RIM_MM / dz)))
    outer = slice(max(0, rows.start - margin), min(volume.grid.shape[0], rows.stop + margin))
    bone, depth = _bone_mask(vertebrae, outer, columns, volume.grid.shape)
    rim = ndimage.binary_dilation(bone, _ball(RIM_MM, (dz, dy, dx))) & ~bone
    plaque = _near_aorta(labels, outer, depth, columns, (dz, dy, dx))
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    hu_cm, path_cm, plaque_cm = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for row in range(shape[0]):
        k = rows.start - outer.start + row
        hu = volume.array[rows.start + row, depth, columns].astype(np.float64)
        inside, edge = bone[k], rim[k] & (hu > RIM_THRESHOLD_HU)
        hu_cm[row] = np.sum(hu, axis=0, where=inside)
        hu_cm[row] += np.sum(hu - SOFT_TISSUE_HU, axis=0, where=edge)
        path_cm[row] = np.sum(inside, axis=0)
        if plaque is not None:
            calcified = plaque[k] & ~inside & ~edge & (hu > PLAQUE_THRESHOLD_HU)
            plaque_cm[row] = np.sum(hu - SOFT_TISSUE_HU, axis=0, where=calcified)
    to_cm = dy / 10.0
    return MineralMap(
        rows, columns, hu_cm * to_cm, path_cm * to_cm, plaque_cm * to_cm, dz * dx / 100.0
    )


def _bone_mask(
    vertebrae: Iterable[Vertebra], rows: slice, columns: slice, shape: tuple[int, int, int]
) -> tuple[NDArray[np.bool_], slice]:
    """The vertebrae's masks inside the window, and the depths that it covers.

    The depths are those of the vertebrae and half as much again in front, where the aorta lies.
    """
    boxes = [v for v in vertebrae if v.box[0].start < rows.stop and v.box[0].stop > rows.start]
    if not boxes:
        raise QualityError("No vertebra lies in the window of a virtual DXA; check the labels.")
    front = min(v.box[1].start for v in boxes)
    back = max(v.box[1].stop for v in boxes)
    front = max(0, front - (back - front) // 2)
    depth = slice(front, min(shape[1], back + 2))
    window = (rows, depth, columns)
    mask = np.zeros(tuple(s.stop - s.start for s in window), dtype=bool)
    for vertebra in boxes:
        here, there = [], []
        for outer, inner in zip(window, vertebra.box, strict=True):
            start, stop = max(outer.start, inner.start), min(outer.stop, inner.stop)
            here.append(slice(start - outer.start, max(start, stop) - outer.start))
            there.append(slice(start - inner.start, max(start, stop) - inner.start))
        mask[tuple(here)] |= vertebra.mask[tuple(there)]
    return mask, depth


def _near_aorta(
    labels: LabelMap | None,
    rows: slice,
    depth: slice,
    columns: slice,
    spacing_mm: tuple[float, float, float],
) -> NDArray[np.bool_] | None:
    number = labels.scheme.structures.get("aorta") if labels is not None else None
    if labels is None or number is None:
        return None
    aorta = labels.array[rows, depth, columns] == number
    if not aorta.any():
        return None
    return np.asarray(ndimage.binary_dilation(aorta, _ball(PLAQUE_RIM_MM, spacing_mm)), dtype=bool)


def _ball(radius_mm: float, spacing_mm: tuple[float, float, float]) -> NDArray[np.bool_]:
    """A ball as a structuring element; at least one voxel along every axis."""
    reach = [max(1, int(radius_mm / h + 1e-6)) for h in spacing_mm]
    radius = [max(radius_mm, h) for h in spacing_mm]
    grids = np.ogrid[tuple(slice(-n, n + 1) for n in reach)]
    squared = sum((g * h / r) ** 2 for g, h, r in zip(grids, spacing_mm, radius, strict=True))
    return np.asarray(squared <= 1.0 + 1e-6, dtype=bool)


def _check_tilt(volume: Volume) -> None:
    cosine = abs(float(volume.grid.directions[1, 1]))
    if cosine < np.cos(np.deg2rad(_MAX_TILT_DEGREES)):
        tilt = float(np.rad2deg(np.arccos(min(1.0, cosine))))
        raise QualityError(
            f"A virtual DXA projects front to back, but the scan's axis is {tilt:.0f} degrees off "
            f"(limit {_MAX_TILT_DEGREES:.0f}); resample the scan upright first."
        )
