"""Foci inside a region: clusters that stand apart from its robust centre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteoscope.anatomy.quality.limits import DEFAULT_LIMITS, QualityLimits
from osteoscope.core.box import bounding_box
from osteoscope.core.robust import robust_centre_and_sd

_FWHM_TO_SIGMA = 1.0 / 2.3548
_GAP_MM = 3.0
"""Values farther than this outside the search never reach a voxel inside it by smoothing."""


@dataclass(frozen=True)
class Focus:
    """One cluster that is denser or less dense than the region around it.

    Args:
        volume_cm3: Its volume.
        share_of_region: Its share of the searched volume.
        mean_hu: Its mean.
        centre_hu: Weighted median of the region.
        robust_sd_hu: 1.4826 times the region's MAD, after smoothing.
        threshold_hu: The value beyond which voxels belong to it.
        centre_index: ``(k, j, i)`` of its centre, fractions allowed.
    """

    volume_cm3: float
    share_of_region: float
    mean_hu: float
    centre_hu: float
    robust_sd_hu: float
    threshold_hu: float
    centre_index: tuple[float, float, float]


def find_foci(
    values_hu: NDArray[np.float32],
    weights: NDArray[np.float32],
    search: NDArray[np.bool_],
    spacing_mm: NDArray[np.float64],
    limits: QualityLimits = DEFAULT_LIMITS,
) -> list[Focus]:
    """The largest dense and the largest low focus, where there are any.

    Values are smoothed inside ``search`` alone (normalised convolution), so that the cortex
    around it does not leak in. A focus is a face-connected cluster beyond
    ``centre +- max(focus_sds * robust SD, dense_focus_hu or lytic_focus_hu)`` of at least
    ``focus_volume_cm3``.

    Args:
        values_hu: (z, y, x) attenuation.
        weights: (z, y, x) in [0, 1], the region that gives centre and SD.
        search: (z, y, x) where foci are looked for.
        spacing_mm: (3,) spacing along ``(z, y, x)``.
        limits: ``focus_*``, ``dense_focus_hu``, ``lytic_focus_hu``.
    """
    if not search.any() or not np.any(weights > 0):
        return []
    box = bounding_box(search | (weights > 0))
    values, region, inside = values_hu[box], weights[box], search[box]
    smooth = _smoothed_inside(values, inside, spacing_mm, limits.focus_smoothing_mm)
    centre, spread = robust_centre_and_sd(smooth, np.where(inside, region, 0))
    found = []
    for sign, least in ((1.0, limits.dense_focus_hu), (-1.0, limits.lytic_focus_hu)):
        step = max(limits.focus_sds * spread, least)
        cluster = inside & (sign * (smooth - centre) > step)
        focus = _largest(cluster, values, inside, spacing_mm)
        if focus is None or focus[0] < limits.focus_volume_cm3:
            continue
        index = tuple(float(c + s.start) for c, s in zip(focus[3], box, strict=True))
        found.append(
            Focus(
                volume_cm3=focus[0],
                share_of_region=focus[1],
                mean_hu=focus[2],
                centre_hu=centre,
                robust_sd_hu=spread,
                threshold_hu=centre + sign * step,
                centre_index=(index[0], index[1], index[2]),
            )
        )
    return found


def _smoothed_inside(
    values: NDArray[np.float32],
    inside: NDArray[np.bool_],
    spacing_mm: NDArray[np.float64],
    fwhm_mm: float,
) -> NDArray[np.float32]:
    sigma = fwhm_mm * _FWHM_TO_SIGMA / spacing_mm
    truncate = _GAP_MM / (fwhm_mm * _FWHM_TO_SIGMA)
    share = inside.astype(np.float32)
    top = ndimage.gaussian_filter(values * share, sigma, mode="constant", truncate=truncate)
    bottom = ndimage.gaussian_filter(share, sigma, mode="constant", truncate=truncate)
    return np.asarray(np.where(inside, top / np.maximum(bottom, 1e-6), values), dtype=np.float32)


def _largest(
    cluster: NDArray[np.bool_],
    values: NDArray[np.float32],
    inside: NDArray[np.bool_],
    spacing_mm: NDArray[np.float64],
) -> tuple[float, float, float, tuple[float, float, float]] | None:
    """Volume (cm3), share, mean and centre of the largest face-connected component."""
    components, count = ndimage.label(cluster)
    if count == 0:
        return None
    sizes = np.bincount(components.ravel())[1:]
    chosen = components == int(sizes.argmax()) + 1
    place = np.argwhere(chosen).mean(axis=0)
    volume_cm3 = float(sizes.max() * np.prod(spacing_mm)) / 1000.0
    share = float(sizes.max()) / float(np.count_nonzero(inside))
    centre = (float(place[0]), float(place[1]), float(place[2]))
    return volume_cm3, share, float(values[chosen].mean()), centre
