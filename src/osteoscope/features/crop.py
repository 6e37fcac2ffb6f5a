"""The box of voxels around one vertebra that networks look at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteoscope.anatomy.measure import measure_vertebrae
from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.crop_spec import OUTSIDE_HU, CropSpec
from osteoscope.core.errors import GeometryError, InputError, QualityError
from osteoscope.core.grid import Grid
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.volume import Volume
from osteoscope.features.resample import patch_grid, resample

_HIGHEST_HU = np.iinfo(np.int16).max


def crop_vertebra(
    volume: Volume, labels: LabelMap, level: str, spec: CropSpec
) -> NDArray[np.int16]:
    """One vertebra of a scan, cut out, turned and resampled as the specification says.

    Args:
        volume: The scan in HU, any orientation.
        labels: Labels on the scan's grid.
        level: For example ``L1``.
        spec: Shape, spacing, masking and axes of the crop.

    Returns:
        (z, y, x) HU of shape ``spec.shape``: see :func:`crop_measured`.

    Raises:
        QualityError: The level is not labelled, or has no axes of its own where those are asked.
        GeometryError: The labels do not lie on the scan's grid.
        InputError: The scan is not in HU.
    """
    if not labels.grid.matches(volume.grid):
        raise GeometryError(
            "The labels do not lie on the scan's grid; resample them onto it before cropping."
        )
    vertebra = measure_vertebrae(labels, levels=(level,)).get(level)
    if vertebra is None:
        raise QualityError(f"{level} is not among the labelled vertebrae, so it has no crop.")
    return crop_measured(volume, vertebra, spec)


def crop_measured(volume: Volume, vertebra: Vertebra, spec: CropSpec) -> NDArray[np.int16]:
    """The crop of a vertebra that is measured already.

    HU are interpolated linearly, and averaged over the crop's voxel where that is the coarser.
    What lies outside the scan is :data:`OUTSIDE_HU`, and so is everything below it. Without
    surroundings, voxels of which less than half lies in the vertebra's label are too.

    Args:
        volume: The scan in HU, any orientation.
        vertebra: From ``measure_vertebrae`` on the scan's labels.
        spec: Shape, spacing, masking and axes of the crop.

    Returns:
        (z, y, x) HU of shape ``spec.shape``; where it lies tells :func:`crop_grid`.

    Raises:
        QualityError: The vertebra's own axes are asked for and were not found.
        InputError: The scan is not in HU.
    """
    if volume.unit != "HU":
        raise InputError(f"Crops are cut from scans in HU, not in {volume.unit}.")
    target = crop_grid(volume.grid, vertebra, spec)
    scan = volume.canonical()
    values = resample(scan.array, scan.grid, target, outside=OUTSIDE_HU, lowest=OUTSIDE_HU)
    crop = np.rint(np.minimum(values, _HIGHEST_HU)).astype(np.int16)
    if not spec.surroundings:
        mask = vertebra.mask.view(np.uint8)
        crop[resample(mask, vertebra.grid, target, outside=0.0) < 0.5] = OUTSIDE_HU
    return crop


def crop_grid(scan: Grid, vertebra: Vertebra, spec: CropSpec) -> Grid:
    """Where the voxels of a vertebra's crop lie in the world.

    The crop is centred on the vertebra's body, or on its label where the body is not known.

    Args:
        scan: The scan's grid, any orientation.
        vertebra: The vertebra.
        spec: Shape, spacing and axes of the crop.

    Raises:
        QualityError: The vertebra's own axes are asked for and were not found.
    """
    if spec.axes == "scanner":
        axes = scan.canonical().directions[:, ::-1].T
    elif vertebra.axes is not None:
        axes = vertebra.axes
    else:
        reason = f" ({vertebra.withheld.rstrip('.')})" if vertebra.withheld else ""
        raise QualityError(
            f"{vertebra.level} has no axes of its own to crop along{reason}; crop along the "
            "scanner's axes instead."
        )
    return patch_grid(vertebra.centre_mm, axes, spec.shape, spec.spacing_mm)
