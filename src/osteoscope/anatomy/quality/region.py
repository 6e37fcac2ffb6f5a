"""What lies in one vertebra besides its own trabecular bone: metal, cement, foci, texture."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from osteoscope.anatomy.quality.foci import Focus, find_foci
from osteoscope.anatomy.quality.interior import Interior
from osteoscope.anatomy.quality.limits import DEFAULT_LIMITS, QualityLimits
from osteoscope.anatomy.quality.surroundings import canonical_hu, mask_volume_cm3
from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.flag import Flag
from osteoscope.core.robust import robust_centre_and_sd
from osteoscope.core.volume import Volume

_INNER_MM = 4.0
"""Foci are looked for this deep in the body: the default region's 5 mm and one millimetre more,
since what lies against the region blurs into it."""
_THIN_SLICE_MM = 2.0
_PER_THICKNESS = 0.8
"""Each millimetre of a slice beyond 2 mm is looked for this much deeper."""
_SURELY_INSIDE = 0.99
"""A given region's weight from which a voxel is searched whatever its depth."""
_CEMENT_DEPTH_MM = 3.0
"""Cement is looked for behind cortex and endplates."""
_CLIPPED_METAL_HU = 2800.0
"""Most scanners clip at 3071: what comes near is metal, what stays well below may be cement."""
_CEMENT_INSIDE = 0.9
"""Cement stays in the body; a screw comes through the pedicle."""


def interior_flags(
    interior: Interior,
    limits: QualityLimits = DEFAULT_LIMITS,
    *,
    noise_hu: float | None = None,
    others_hu: float | None = None,
) -> list[Flag]:
    """Flags of a body's inside: cement, which withholds, else foci and scatter.

    ``dense_focus``, ``lytic_focus`` and ``heterogeneous_region`` warn: the assessment uses the
    region's median, which they hardly move.

    Args:
        interior: The body, cut out of the scan.
        limits: Thresholds.
        noise_hu: SD of the scan's noise, taken out of the region's spread where known.
        others_hu: Median of the other levels' regions; a body that is dense or destroyed as a
            whole shows only against them.
    """
    cement = cement_flags(interior, limits)
    if cement or not interior.measurable:
        return cement
    flags = _foci(interior, limits)
    flags += _whole_body(interior, others_hu, limits) if not flags else []
    return [*flags, *_heterogeneous(interior, noise_hu, limits)]


def metal_near_flags(
    volume: Volume, vertebra: Vertebra, limits: QualityLimits = DEFAULT_LIMITS
) -> list[Flag]:
    """``metal_in_region``: in the vertebra or near its body it withholds, near the arch it warns.

    Args:
        volume: The whole scan, HU.
        vertebra: Its box holds at least 10 mm around the mask.
        limits: ``metal_near_spine_hu``, ``metal_volume_cm3``, ``metal_distance_mm``.
    """
    values = canonical_hu(volume).array[vertebra.box]
    # Integers are told apart from the limit one by one only where any may exceed it.
    if values.max() <= limits.metal_near_spine_hu:
        return []
    bright = values > limits.metal_near_spine_hu
    grid = vertebra.grid
    if mask_volume_cm3(bright, grid) < limits.metal_volume_cm3:
        return []
    body = vertebra.mask if vertebra.body is None else vertebra.body
    to_body = ndimage.distance_transform_edt(~body, sampling=grid.spacing_mm)
    to_mask = ndimage.distance_transform_edt(~vertebra.mask, sampling=grid.spacing_mm)
    near_body = bright & ((to_body <= limits.metal_distance_mm) | vertebra.mask)
    near = near_body | (bright & (to_mask <= limits.metal_distance_mm))
    volume_cm3 = mask_volume_cm3(near, grid)
    if volume_cm3 < limits.metal_volume_cm3:
        return []
    largest = float(values[near].max())
    inside = float(np.mean(body[near]))
    if inside > _CEMENT_INSIDE and largest < _CLIPPED_METAL_HU:
        return []
    close = mask_volume_cm3(near_body, grid) >= limits.metal_volume_cm3
    level = vertebra.level
    where = f"in {level} or within {limits.metal_distance_mm:g} mm of its body"
    text = (
        f"{volume_cm3:.1f} cm3 of metal (up to {largest:.0f} HU) lies {where}: its density is "
        "withheld."
        if close
        else f"{volume_cm3:.1f} cm3 of metal lies beside the arch of {level}, away from its body: "
        "streaks may reach it."
    )
    return [
        Flag(
            "metal_in_region",
            text,
            "serious" if close else "warning",
            "withhold" if close else "warn",
            level,
            {
                "volume_cm3": round(volume_cm3, 2),
                "max_hu": largest,
                "share_in_body": round(inside, 2),
                "near_body": close,
                "limit_hu": limits.metal_near_spine_hu,
                "limit_cm3": limits.metal_volume_cm3,
            },
        )
    ]


def cement_flags(interior: Interior, limits: QualityLimits = DEFAULT_LIMITS) -> list[Flag]:
    """``cement``: a large very dense cluster behind cortex and endplates; it withholds."""
    dense = (interior.values_hu > limits.cement_hu) & (interior.depth_mm > _CEMENT_DEPTH_MM)
    components, count = ndimage.label(dense)
    if count == 0:
        return []
    largest = np.bincount(components.ravel())[1:].argmax() + 1
    cluster = components == largest
    volume_cm3 = mask_volume_cm3(cluster, interior.grid)
    if volume_cm3 < limits.cement_volume_cm3:
        return []
    mean_hu = float(interior.values_hu[cluster].mean())
    level = interior.vertebra.level
    return [
        Flag(
            "cement",
            f"{volume_cm3:.1f} cm3 inside {level} reads {mean_hu:.0f} HU, as bone cement does: "
            "its density is withheld.",
            "serious",
            "withhold",
            level,
            {
                "volume_cm3": round(volume_cm3, 2),
                "mean_hu": round(mean_hu, 1),
                "limit_hu": limits.cement_hu,
            },
        )
    ]


def _foci(interior: Interior, limits: QualityLimits) -> list[Flag]:
    spacing_mm = interior.grid.spacing_mm
    # A thick slice through a tilted endplate shows the endplate deeper in the body.
    inner_mm = _INNER_MM + _PER_THICKNESS * max(0.0, float(spacing_mm[0]) - _THIN_SLICE_MM)
    search = (interior.depth_mm >= inner_mm) | (interior.weights > _SURELY_INSIDE)
    # Where weights are only this module's own 5 mm, depth alone decides.
    if interior.own_weights:
        search = interior.depth_mm >= inner_mm
    found = find_foci(interior.values_hu, interior.weights, search, spacing_mm, limits)
    return [_focus_flag(interior, focus, limits) for focus in found]


def _focus_flag(interior: Interior, focus: Focus, limits: QualityLimits) -> Flag:
    level = interior.vertebra.level
    dense = focus.mean_hu > focus.centre_hu
    what = "dense focus (bone island, sclerosis or the rim of a Schmorl node)"
    if not dense:
        what = "focus of low attenuation (fat, vessel, cyst or lysis)"
    place = interior.grid.index_to_world_mm(np.array(focus.centre_index))
    return Flag(
        "dense_focus" if dense else "lytic_focus",
        f"{level} holds a {what} of {focus.volume_cm3:.1f} cm3 at {focus.mean_hu:.0f} HU against "
        f"{focus.centre_hu:.0f} HU around it; the assessment uses the median, which it hardly "
        "moves.",
        "warning",
        "warn",
        level,
        {
            "volume_cm3": round(focus.volume_cm3, 2),
            "share_of_region": round(focus.share_of_region, 3),
            "mean_hu": round(focus.mean_hu, 1),
            "region_median_hu": round(focus.centre_hu, 1),
            "region_robust_sd_hu": round(focus.robust_sd_hu, 1),
            "threshold_hu": round(focus.threshold_hu, 1),
            "centre_lps_mm": [round(float(x), 1) for x in place],
            "limit_cm3": limits.focus_volume_cm3,
        },
    )


def _whole_body(interior: Interior, others_hu: float | None, limits: QualityLimits) -> list[Flag]:
    """A body replaced as a whole has no focus: its median stands apart from the others'."""
    if others_hu is None:
        return []
    median, spread = robust_centre_and_sd(interior.values_hu, interior.weights)
    difference = median - others_hu
    # Twice the focal limit: neighbours differ by some 10-30 HU in health.
    if -2 * limits.lytic_focus_hu < difference < 2 * limits.dense_focus_hu:
        return []
    level = interior.vertebra.level
    return [
        Flag(
            "dense_focus" if difference > 0 else "lytic_focus",
            f"{level} as a whole reads {median:.0f} HU against {others_hu:.0f} HU in the "
            "other levels: the body may be replaced, its median is not bone density alone.",
            "serious",
            "withhold",
            level,
            {
                "region_median_hu": round(median, 1),
                "others_median_hu": round(others_hu, 1),
                "region_robust_sd_hu": round(spread, 1),
            },
        )
    ]


def _heterogeneous(interior: Interior, noise_hu: float | None, limits: QualityLimits) -> list[Flag]:
    mean = float(np.average(interior.values_hu, weights=interior.weights))
    variance = float(np.average((interior.values_hu - mean) ** 2, weights=interior.weights))
    bone_sd = float(np.sqrt(max(0.0, variance - (noise_hu or 0.0) ** 2)))
    if bone_sd <= limits.heterogeneous_sd_hu:
        return []
    median, robust_sd = robust_centre_and_sd(interior.values_hu, interior.weights)
    level = interior.vertebra.level
    return [
        Flag(
            "heterogeneous_region",
            f"Attenuation in {level} scatters by {bone_sd:.0f} HU (limit "
            f"{limits.heterogeneous_sd_hu:g} HU, noise taken out): its mean is {mean:.0f} HU, its "
            f"median {median:.0f} HU; the assessment uses the median.",
            "warning",
            "warn",
            level,
            {
                "sd_hu": round(float(np.sqrt(variance)), 1),
                "noise_sd_hu": None if noise_hu is None else round(noise_hu, 1),
                "sd_without_noise_hu": round(bone_sd, 1),
                "mean_hu": round(mean, 1),
                "median_hu": round(median, 1),
                "robust_sd_hu": round(robust_sd, 1),
                "limit_hu": limits.heterogeneous_sd_hu,
            },
        )
    ]
