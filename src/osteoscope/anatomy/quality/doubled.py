"""One name on two vertebrae."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteoscope.anatomy.quality.limits import DEFAULT_LIMITS, QualityLimits
from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.box import bounding_box
from osteoscope.core.flag import Flag

_COARSE_MM = 3.0
"""Components are counted at this spacing: what matters is centimetres large."""
_BRIDGE_MM = 5.0
"""Erosion that breaks the bridges (touching facets, pedicles) between two bodies."""
_SECOND_BODY_SHARE = 0.3
"""A second eroded core this large beside the first is a second body; arches leave less."""


def doubled_flags(vertebra: Vertebra, limits: QualityLimits = DEFAULT_LIMITS) -> list[Flag]:
    """``labels_doubled`` where one name covers two vertebrae; it withholds that level.

    Two ways to see it: a separate second component, large and as far away as a neighbour; or,
    where facets bridge the two, a second core after an erosion by 5 mm.
    """
    step = np.maximum(1, (_COARSE_MM / vertebra.grid.spacing_mm).astype(int))
    if not vertebra.mask.any():
        return []
    mask = vertebra.mask[bounding_box(vertebra.mask)][:: step[0], :: step[1], :: step[2]]
    spacing = vertebra.grid.spacing_mm * step
    second = _second_component(mask, spacing, limits)
    if second is None:
        depth = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing)
        core = np.asarray(depth[1:-1, 1:-1, 1:-1] > _BRIDGE_MM)
        second = _second_core(core, spacing, limits)
    if second is None:
        return []
    volume_cm3, distance_mm = second
    return [
        Flag(
            "labels_doubled",
            f"The label {vertebra.level} covers two separate pieces {distance_mm:.0f} mm apart "
            f"(the second {volume_cm3:.1f} cm3): it may name two vertebrae.",
            "serious",
            "withhold",
            vertebra.level,
            {
                "second_volume_cm3": round(volume_cm3, 2),
                "distance_mm": round(distance_mm, 1),
                "limit_cm3": limits.doubled_volume_cm3,
                "limit_mm": limits.doubled_distance_mm,
            },
        )
    ]


def _second_component(
    mask: NDArray[np.bool_], spacing: NDArray[np.float64], limits: QualityLimits
) -> tuple[float, float] | None:
    components, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    if count < 2:
        return None
    sizes = np.bincount(components.ravel())[1:]
    first, second = np.argsort(sizes)[::-1][:2]
    volume_cm3 = float(sizes[second] * np.prod(spacing)) / 1000.0
    distance_mm = _rise_mm(components, int(first) + 1, int(second) + 1, spacing)
    if volume_cm3 < limits.doubled_volume_cm3 or distance_mm < limits.doubled_distance_mm:
        return None
    return volume_cm3, distance_mm


def _second_core(
    core: NDArray[np.bool_], spacing: NDArray[np.float64], limits: QualityLimits
) -> tuple[float, float] | None:
    components, count = ndimage.label(core)
    if count < 2:
        return None
    sizes = np.bincount(components.ravel())[1:]
    first, second = np.argsort(sizes)[::-1][:2]
    distance_mm = _rise_mm(components, int(first) + 1, int(second) + 1, spacing)
    if sizes[second] < _SECOND_BODY_SHARE * sizes[first]:
        return None
    if distance_mm < limits.doubled_distance_mm * 0.8:
        return None
    return float(sizes[second] * np.prod(spacing)) / 1000.0, distance_mm


def _rise_mm(
    components: NDArray[np.integer], one: int, other: int, spacing: NDArray[np.float64]
) -> float:
    """Distance of two components' centres along the patient's axis, mm."""
    heights = [np.argwhere(components == n)[:, 0].mean() * spacing[0] for n in (one, other)]
    return float(abs(heights[0] - heights[1]))
