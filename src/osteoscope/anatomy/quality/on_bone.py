"""Do the labels lie on bone: the rim of a vertebra is denser than what surrounds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from osteoscope.anatomy.nearby import distance_up_to
from osteoscope.anatomy.quality.limits import DEFAULT_LIMITS, QualityLimits
from osteoscope.anatomy.quality.surroundings import canonical_hu
from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.box import Box, bounding_box
from osteoscope.core.flag import Flag
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.volume import Volume

_COARSE_MM = 1.5
"""Every voxel about this far apart is looked at: shares need no more, and distances cost less."""
_RIM_MM = 3.0
_GAP_MM, _RING_MM = 1.0, 5.0
"""The rim reaches this deep; the ring around it starts beyond the blur and a voxel's error."""
_FEWEST_VOXELS = 30


def off_bone_flags(
    volume: Volume,
    labels: LabelMap,
    vertebrae: Mapping[str, Vertebra],
    wanted: Sequence[str],
    limits: QualityLimits = DEFAULT_LIMITS,
) -> list[Flag]:
    """``labels_off_bone`` where a label's rim is hardly denser than its surroundings; withholds.

    Labels of another scan, or displaced by a wrong position in their file, still look like a spine:
    names, volumes and distances are right, and what is measured is bowel or muscle.

    Args:
        volume: The scan, HU.
        labels: Labels on the scan's grid; neighbours do not count as surroundings.
        vertebrae: Every labelled vertebra.
        wanted: Levels to judge.
        limits: ``rim_denser_share``.
    """
    scan, named = canonical_hu(volume), labels.canonical()
    flags = []
    for level in wanted:
        if level not in vertebrae:
            continue
        share = rim_denser_share(scan, named, vertebrae[level])
        if share is None or share >= limits.rim_denser_share:
            continue
        flags.append(
            Flag(
                "labels_off_bone",
                f"The rim of {level}'s label is denser than its surroundings in {100 * share:.0f} "
                f"% of pairs of voxels (bone: above {100 * limits.rim_denser_share:.0f} %): the "
                "label does not lie on a vertebra and may belong to another scan.",
                "serious",
                "withhold",
                level,
                {
                    "rim_denser_share": round(share, 3),
                    "limit": limits.rim_denser_share,
                },
            )
        )
    return flags


def rim_denser_share(scan: Volume, labels: LabelMap, vertebra: Vertebra) -> float | None:
    """Probability that a voxel of the mask's rim is denser than one of the ring around it.

    The rim is the mask's outer 3 mm, the ring what carries no label at 1-5 mm from it. The
    probability (Mann-Whitney's U over the number of pairs) depends neither on the density of the
    bone nor on the tube voltage: 0.5 means that the mask's surface is no surface of anything.

    Args:
        scan: Canonical, HU.
        labels: Canonical, on the same grid.
        vertebra: Its box reaches beyond the mask.

    Returns:
        None where the rim or the ring holds fewer than 30 of the voxels looked at.
    """
    coarse, step = _around(vertebra)
    mask = vertebra.mask[coarse]
    spacing_mm = vertebra.grid.spacing_mm * step
    rim_mm = max(_RIM_MM, float(spacing_mm.max()))
    inside = distance_up_to(~mask, spacing_mm, rim_mm)
    outside = distance_up_to(mask, spacing_mm, _RING_MM)
    free = labels.array[vertebra.box][coarse] == 0
    values = scan.array[vertebra.box][coarse]
    rim = values[mask & (inside <= rim_mm)]
    ring = values[free & (outside > _GAP_MM) & (outside <= _RING_MM)]
    if min(len(rim), len(ring)) < _FEWEST_VOXELS:
        return None
    return _share_above(rim, ring)


def _around(vertebra: Vertebra) -> tuple[Box, NDArray[np.int_]]:
    """Every ``step``-th voxel of the mask and of the ring around it."""
    step = np.maximum(1, (_COARSE_MM / vertebra.grid.spacing_mm).astype(int))
    reach = np.ceil((_RING_MM + _GAP_MM) / vertebra.grid.spacing_mm).astype(int)
    inner = bounding_box(vertebra.mask)
    spans = [
        slice(max(0, s.start - r), min(n, s.stop + r), n_th)
        for s, r, n, n_th in zip(inner, reach, vertebra.mask.shape, step, strict=True)
    ]
    return (spans[0], spans[1], spans[2]), step


def _share_above(one: NDArray[np.generic], other: NDArray[np.generic]) -> float:
    """Share of the pairs in which the first is the larger; equal ones count half."""
    ordered = np.sort(other)
    below = np.searchsorted(ordered, one, side="left")
    not_above = np.searchsorted(ordered, one, side="right")
    return float((below + not_above).mean()) / (2.0 * len(ordered))
