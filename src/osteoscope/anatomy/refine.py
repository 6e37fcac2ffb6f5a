"""Heights below the voxel: the endplates of a measured body, found again in the scan itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from osteoscope.anatomy.edge_response import edge_response
from osteoscope.anatomy.endplate_fit import fit_profile
from osteoscope.anatomy.endplate_strip import Points, Strip, mask_profile
from osteoscope.anatomy.endplates import (
    RIM_MM,
    Surfaces,
    endplate_normal,
    mid_sagittal_run,
    read_profile,
)
from osteoscope.anatomy.frame import Frame
from osteoscope.anatomy.orient import surfaces_of_body
from osteoscope.anatomy.vertebra import BodyHeights, Vertebra
from osteoscope.core.box import bounding_box, outward
from osteoscope.core.errors import InputError
from osteoscope.core.volume import Volume

REFINED_METHOD = "endplates fitted to the attenuation across them, from the mask's"

_VOXELS_MM = (1.25, 4.0)
"""Voxels, along the superior axis, for which the fit helps. Below, a mask knows a height to a
quarter of a millimetre as the fit does; above, a voxel reaches from one endplate to the next."""
_HALF_WIDTH_MM = 4.5
_HALF_WIDTH_VOXELS = 2.0
"""Half width of the strip in which an endplate is fitted: the larger of the two."""
_FLARE_MM = 1.5
"""How far the anterior rims stand out beyond the waist, chosen: what reaches farther is an
osteophyte, which readers of heights pass over."""
_WALL_VOXELS = 0.6
"""Voxels this near to the rim see what lies in front of the body and are left out."""
_READ_VOXELS = 0.3
"""A rim is read this far behind its edge at least: nearer, the profile is extrapolated."""
_MARGIN_MM = 10.0
_METAL_HU = 2000.0
"""A strip that holds more than this is not bone and disc alone."""
_STEP_MM = 0.25


def refine_all(volume: Volume, vertebrae: Mapping[str, Vertebra]) -> dict[str, Vertebra]:
    """The vertebrae with heights from :func:`refine_heights`."""
    return {
        level: replace(vertebra, heights=refine_heights(volume, vertebra))
        for level, vertebra in vertebrae.items()
    }


def refine_heights(volume: Volume, vertebra: Vertebra) -> BodyHeights | None:
    """Heights of a body between endplates that are fitted to the scan, to a part of a voxel.

    A mask knows an endplate that runs parallel to the slices to half a voxel. The scan knows more:
    an endplate is a dense sheet between cancellous bone and disc, and how much of it each voxel
    shows tells where it lies. In a mid-sagittal strip each endplate's profile (a smooth line from
    rim to rim) is fitted to the voxels across it; see :mod:`osteoscope.anatomy.endplate_fit`. The
    heights are read off the two profiles as they are off a mask's.

    Measured on simulated patients, whose bodies have a height by construction: see
    ``docs/explanation/methods.md``.

    Args:
        volume: The scan, HU, in any orientation.
        vertebra: Measured on its labels.

    Returns:
        The refined heights; the mask's own where voxels along the vertebra's axis are smaller than
        1.25 mm or larger than 4 mm, where an endplate does not stand out from noise, or where
        metal lies in the strip; None where the vertebra has none.

    Raises:
        InputError: The scan is not in HU.
    """
    if volume.unit != "HU":
        raise InputError(f"Endplates are fitted to a scan in HU, not in {volume.unit}.")
    heights = vertebra.heights
    if heights is None or vertebra.body is None or vertebra.axes is None:
        return heights
    frame = Frame(vertebra.centre_mm, vertebra.axes)
    voxel_mm = _extents(vertebra, frame.axes)
    if not _VOXELS_MM[0] <= voxel_mm[2] <= _VOXELS_MM[1]:
        return heights
    surfaces = surfaces_of_body(vertebra.body, vertebra.grid, frame)
    run = None if surfaces is None else mid_sagittal_run(surfaces, voxel_mm)
    if surfaces is None or run is None:
        return heights
    half_step = float(surfaces.p_mm[1] - surfaces.p_mm[0]) / 2
    strip = Strip.between(
        max(float(surfaces.p_mm[run.start]) - half_step, surfaces.posterior_mm[0] - _FLARE_MM),
        float(surfaces.p_mm[run.stop - 1]) + half_step,
        max(_HALF_WIDTH_MM, _HALF_WIDTH_VOXELS * float(voxel_mm[0])),
    )
    samples = _in_strip(_samples(volume, vertebra, frame, surfaces), strip, voxel_mm)
    if not len(samples.values_hu) or samples.values_hu.max() > _METAL_HU:
        return heights
    posterior = np.arange(strip.knots_mm[0] + _STEP_MM / 2, strip.knots_mm[-1], _STEP_MM)
    total = np.zeros_like(posterior)
    for upper in (True, False):
        profile = _fitted(samples, surfaces, vertebra, strip, upper=upper)
        if profile is None:
            return heights
        total += strip.profile(profile, posterior)
    first = max(RIM_MM[0], _READ_VOXELS * float(voxel_mm[1]))
    read = read_profile(total, _STEP_MM, (first, first + RIM_MM[1] - RIM_MM[0]))
    return BodyHeights(*read, method=REFINED_METHOD)


def _fitted(
    samples: Points, surfaces: Surfaces, vertebra: Vertebra, strip: Strip, *, upper: bool
) -> NDArray[np.float64] | None:
    """Coefficients of one endplate's profile, counted outwards."""
    normal = endplate_normal(surfaces, upper)
    if normal is None or vertebra.axes is None:
        return None
    sign = 1.0 if upper else -1.0
    voxel_mm = _extents(vertebra, vertebra.axes)
    surface = _in_strip(_surface(surfaces, upper=upper), strip, voxel_mm)
    if len(surface.height_mm) < 4 * len(strip.knots_mm):
        return None
    size_mm = float(voxel_mm[2])
    start = mask_profile(strip, surface, size_mm)
    widths = np.abs((normal @ vertebra.axes) @ vertebra.grid.directions) * vertebra.grid.spacing_mm
    response = edge_response((float(widths[0]), float(widths[1]), float(widths[2])))
    outwards = replace(samples, height_mm=sign * samples.height_mm)
    voxel = (size_mm, vertebra.grid.voxel_volume_mm3)
    return fit_profile(strip, outwards, response, start, voxel)


def _extents(vertebra: Vertebra, axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3,) extent of a voxel along each row of ``axes``, mm."""
    along = axes @ vertebra.grid.directions * vertebra.grid.spacing_mm
    return np.asarray(np.linalg.norm(along, axis=1))


def _samples(volume: Volume, vertebra: Vertebra, frame: Frame, surfaces: Surfaces) -> Points:
    """Every voxel of the body's box and 10 mm around it."""
    body = vertebra.mask if vertebra.body is None else vertebra.body
    margin = np.ceil(_MARGIN_MM / vertebra.grid.spacing_mm).astype(int)
    spans = [
        slice(max(0, s.start - m), min(n, s.stop + m))
        for s, m, n in zip(bounding_box(body), margin, body.shape, strict=True)
    ]
    box = (spans[0], spans[1], spans[2])
    values = volume.canonical().array[outward(box, vertebra.box)].astype(np.float64)
    index = np.indices(values.shape).reshape(3, -1).T
    left, posterior, height = frame.voxel_coordinates(vertebra.grid.crop(box), index).T
    return Points(left - float(np.mean(surfaces.left_mm)), posterior, height, values.ravel())


def _surface(surfaces: Surfaces, *, upper: bool) -> Points:
    """The mask's surface at every column that has one."""
    height = surfaces.upper_mm if upper else -surfaces.lower_mm
    left = surfaces.l_mm - float(np.mean(surfaces.left_mm))
    across, deep = np.meshgrid(left, surfaces.p_mm, indexing="ij")
    seen = np.isfinite(height)
    return Points(across[seen], deep[seen], height[seen], np.empty(0))


def _in_strip(points: Points, strip: Strip, voxel_mm: NDArray[np.float64]) -> Points:
    """Those over the strip and clear of the walls."""
    clear = _WALL_VOXELS * float(voxel_mm[1])
    return points.where(
        (np.abs(points.left_mm) <= strip.half_width_mm)
        & (points.posterior_mm >= strip.knots_mm[0] + clear)
        & (points.posterior_mm <= strip.knots_mm[-1] - clear)
    )
