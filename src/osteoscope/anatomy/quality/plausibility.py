"""Do the vertebrae have the sizes, distances and angles of a human spine."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from osteoscope.anatomy.quality.doubled import doubled_flags
from osteoscope.anatomy.quality.limits import DEFAULT_LIMITS, QualityLimits
from osteoscope.anatomy.quality.surroundings import from_head_down, mask_volume_cm3
from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.flag import Flag
from osteoscope.core.label_schemes import VERTEBRAE

TYPICAL_VOLUME_CM3: Mapping[str, float] = MappingProxyType(
    {
        "T9": 26.0, "T10": 28.0, "T11": 31.0, "T12": 37.0, "T13": 41.0,
        "L1": 44.0, "L2": 48.0, "L3": 52.0, "L4": 54.0, "L5": 53.0, "L6": 51.0,
    }
)  # fmt: skip
"""Typical volume of a whole adult vertebra, arch included. Chosen: rises to L4 and falls at L5
(doi 10.1007/s00276-015-1552-2), bodies near 30 cm3 in the lumbar spine and arches of two thirds of
that; L1 of the shared real scan holds 57.8 cm3. The limits around it are wide."""


def plausibility_flags(
    vertebrae: Mapping[str, Vertebra], limits: QualityLimits = DEFAULT_LIMITS
) -> list[Flag]:
    """``implausible_volume``, ``implausible_spacing`` and ``implausible_curvature``.

    An implausible volume withholds that level: its mask is not one vertebra. Spacing and curvature
    warn: they point at a wrong label or at a rare spine.

    Args:
        vertebrae: Every labelled vertebra; those cut by the scan's edge give no volume.
        limits: Thresholds.
    """
    flags = volume_flags(vertebrae, limits)
    sound = sound_vertebrae(vertebrae, limits)
    heights = [float(v.centre_mm[2]) for v in from_head_down(sound)]
    if heights == sorted(heights, reverse=True):
        # Out of order, distances and angles between names mean nothing more.
        flags += spacing_flags(sound, limits) + curvature_flags(sound, limits)
    return flags


def sound_vertebrae(
    vertebrae: Mapping[str, Vertebra], limits: QualityLimits = DEFAULT_LIMITS
) -> dict[str, Vertebra]:
    """Those whose mask is one whole vertebra, so that their centres can be compared."""
    wrong = {flag.level for flag in volume_flags(vertebrae, limits)}
    return {
        level: vertebra
        for level, vertebra in vertebrae.items()
        if level not in wrong and not doubled_flags(vertebra, limits)
    }


def volume_flags(
    vertebrae: Mapping[str, Vertebra], limits: QualityLimits = DEFAULT_LIMITS
) -> list[Flag]:
    """``implausible_volume``: against the level's typical volume and the median of the others.

    The others' volumes are scaled by the typical ones first, so that a small person's vertebrae
    are compared with each other; only those with both endplates count.
    """
    whole = {
        v.level: mask_volume_cm3(v.mask, v.grid)
        for v in from_head_down(vertebrae)
        if v.level in TYPICAL_VOLUME_CM3 and not v.touches and not _cut(v)
    }
    share = {level: volume / TYPICAL_VOLUME_CM3[level] for level, volume in whole.items()}
    flags = []
    for level, volume in whole.items():
        others = [s for other, s in share.items() if other != level and vertebrae[other].heights]
        relative = share[level] / float(np.median(others)) if len(others) >= 2 else 1.0
        bounds = (limits.volume_low_share, limits.volume_high_share)
        near = (limits.volume_neighbours_low, limits.volume_neighbours_high)
        if bounds[0] <= share[level] <= bounds[1] and near[0] <= relative <= near[1]:
            continue
        flags.append(
            Flag(
                "implausible_volume",
                f"The mask of {level} holds {volume:.0f} cm3, {share[level]:.2f} times the typical "
                f"volume and {relative:.2f} times what the other levels suggest: it may be partial "
                "or merged.",
                "serious",
                "withhold",
                level,
                {
                    "volume_cm3": round(volume, 2),
                    "typical_cm3": TYPICAL_VOLUME_CM3[level],
                    "share_of_typical": round(share[level], 3),
                    "relative_to_others": round(relative, 3),
                    "limits": [*bounds],
                    "limits_relative": [*near],
                },
            )
        )
    return flags


def spacing_flags(
    vertebrae: Mapping[str, Vertebra], limits: QualityLimits = DEFAULT_LIMITS
) -> list[Flag]:
    """``implausible_spacing`` between successive levels, in mm and against the median spacing."""
    pairs = _successive(vertebrae)
    distances = [float(np.linalg.norm(a.centre_mm - b.centre_mm)) for a, b in pairs]
    flags = []
    for number, ((a, b), distance) in enumerate(zip(pairs, distances, strict=True)):
        rest = distances[:number] + distances[number + 1 :]
        relative = distance / float(np.median(rest)) if len(rest) >= 2 else 1.0
        bounds = (limits.spacing_low_mm, limits.spacing_high_mm)
        near = (limits.spacing_neighbours_low, limits.spacing_neighbours_high)
        if bounds[0] <= distance <= bounds[1] and near[0] <= relative <= near[1]:
            continue
        flags.append(
            Flag(
                "implausible_spacing",
                f"{a.level} and {b.level} lie {distance:.0f} mm apart, {relative:.2f} times the "
                "spacing of the other levels: a vertebra may be skipped or split.",
                "warning",
                "warn",
                b.level,
                {
                    "levels": [a.level, b.level],
                    "distance_mm": round(distance, 1),
                    "relative_to_others": round(relative, 3),
                    "limits_mm": [*bounds],
                    "limits_relative": [*near],
                },
            )
        )
    return flags


def curvature_flags(
    vertebrae: Mapping[str, Vertebra], limits: QualityLimits = DEFAULT_LIMITS
) -> list[Flag]:
    """``implausible_curvature``: bends of the centre line and angles between endplate normals."""
    pairs = _successive(vertebrae)
    flags = []
    for (a, b), (c, d) in pairwise(pairs):
        if b.level != c.level:
            continue
        bend = _angle_deg(a.centre_mm - b.centre_mm, c.centre_mm - d.centre_mm)
        if bend > limits.curvature_deg:
            flags.append(_bend_flag(b.level, [a.level, b.level, d.level], bend, limits))
    flagged = {flag.level for flag in flags}
    for a, b in pairs:
        if a.axes is None or b.axes is None or b.level in flagged or a.level in flagged:
            continue
        tilt = _angle_deg(a.axes[2], b.axes[2])
        if tilt > limits.axis_tilt_deg:
            flags.append(_bend_flag(b.level, [a.level, b.level], tilt, limits))
    return flags


def _bend_flag(level: str, levels: list[str], angle: float, limits: QualityLimits) -> Flag:
    return Flag(
        "implausible_curvature",
        f"The spine bends by {angle:.0f} degrees at {level} ({' to '.join(levels)}): a severe "
        "deformity or a wrong label.",
        "warning",
        "warn",
        level,
        {
            "angle_deg": round(angle, 1),
            "levels": levels,
            "limit_deg": limits.curvature_deg if len(levels) == 3 else limits.axis_tilt_deg,
        },
    )


def _successive(vertebrae: Mapping[str, Vertebra]) -> list[tuple[Vertebra, Vertebra]]:
    """Pairs whose names follow each other, T13 and L6 only where the labels hold them."""
    chain = [n for n in VERTEBRAE if n not in ("T13", "L6") or n in vertebrae]
    listed = from_head_down(vertebrae)
    return [
        (a, b)
        for a, b in pairwise(listed)
        if chain.index(b.level) - chain.index(a.level) == 1 and not _cut(a) and not _cut(b)
    ]


def _cut(vertebra: Vertebra) -> bool:
    """Whether its centre is not that of a whole body."""
    return bool({"superior", "inferior"} & set(vertebra.touches)) or (
        vertebra.body is not None and vertebra.heights is None and vertebra.withheld is not None
    )


def _angle_deg(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    cosine = float(one @ other) / float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))
