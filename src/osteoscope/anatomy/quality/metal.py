"""Metal anywhere in the scan: one pass over the integers, slab by slab."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteoscope.anatomy.quality.limits import DEFAULT_LIMITS, QualityLimits
from osteoscope.anatomy.quality.surroundings import canonical_hu
from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.flag import Flag
from osteoscope.core.volume import Volume

_SLAB = 8
_JOIN_MM = 4.0
"""Side of the bins in which voxels are joined to clusters: pieces of one implant stay one."""
_MOST_NAMED = 8


@dataclass(frozen=True)
class MetalCluster:
    """One piece of metal.

    Args:
        volume_cm3: Volume above the limit.
        max_hu: Largest value.
        centre_mm: LPS centre.
        first_slice: Lowest canonical slice that holds it.
        last_slice: Highest canonical slice that holds it.
    """

    volume_cm3: float
    max_hu: float
    centre_mm: tuple[float, float, float]
    first_slice: int
    last_slice: int


def metal_clusters(
    volume: Volume, limits: QualityLimits = DEFAULT_LIMITS
) -> tuple[MetalCluster, ...]:
    """Clusters above ``metal_hu`` of at least ``metal_volume_cm3``, largest first.

    The scan is read once in its own integer type; only slabs whose maximum exceeds the limit are
    looked at again.
    """
    scan = canonical_hu(volume)
    index, value = _voxels_above(scan.array, limits.metal_hu)
    if value.size == 0:
        return ()
    member = _cluster_numbers(index, scan.grid.spacing_mm)
    voxel_cm3 = scan.grid.voxel_volume_mm3 / 1000.0
    found = []
    counts = np.bincount(member)
    for number in np.flatnonzero(counts * voxel_cm3 >= limits.metal_volume_cm3):
        inside = member == number
        centre = scan.grid.index_to_world_mm(index[inside].mean(axis=0))
        found.append(
            MetalCluster(
                volume_cm3=float(counts[number]) * voxel_cm3,
                max_hu=float(value[inside].max()),
                centre_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
                first_slice=int(index[inside, 0].min()),
                last_slice=int(index[inside, 0].max()),
            )
        )
    return tuple(sorted(found, key=lambda c: -c.volume_cm3))


def metal_flags(
    clusters: tuple[MetalCluster, ...],
    vertebrae: Mapping[str, Vertebra],
    limits: QualityLimits = DEFAULT_LIMITS,
) -> list[Flag]:
    """``metal_in_scan`` where there is any; it warns and names the levels whose slices it shares.

    Metal in or beside a vertebra withholds that level: see
    :func:`osteoscope.anatomy.quality.region.metal_near_flags`.
    """
    if not clusters:
        return []
    sharing = [
        level
        for level, vertebra in vertebrae.items()
        if any(
            c.first_slice < vertebra.box[0].stop and c.last_slice >= vertebra.box[0].start
            for c in clusters
        )
    ]
    total = sum(c.volume_cm3 for c in clusters)
    nearest = _nearest(clusters, vertebrae)
    where = "" if nearest is None else f", the nearest {nearest[1]:.0f} mm from {nearest[0]}"
    streaks = (
        f"streaks may cross {', '.join(sharing)}"
        if sharing
        else "it shares no slice with a labelled vertebra"
    )
    return [
        Flag(
            "metal_in_scan",
            f"The scan holds {total:.1f} cm3 of metal (above {limits.metal_hu:g} HU){where}; "
            f"{streaks}.",
            "warning",
            "warn",
            evidence={
                "volume_cm3": round(total, 2),
                "clusters": len(clusters),
                "max_hu": max(c.max_hu for c in clusters),
                "centre_lps_mm": [round(x, 1) for x in clusters[0].centre_mm],
                "levels_in_same_slices": sharing[:_MOST_NAMED],
                "nearest_level": None if nearest is None else nearest[0],
                "nearest_mm": None if nearest is None else round(nearest[1], 1),
                "limit_hu": limits.metal_hu,
            },
        )
    ]


def _voxels_above(
    array: NDArray[Any], limit: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(n, 3) indices and (n,) values above ``limit``."""
    # Slabs along the axis with the longest stride are contiguous in memory, whatever the view.
    axis = int(np.argmax(np.abs(array.strides)))
    moved = np.moveaxis(array, axis, 0)
    indices, values = [], []
    for start in range(0, moved.shape[0], _SLAB):
        slab = moved[start : start + _SLAB]
        if slab.max() <= limit:
            continue
        place = np.argwhere(slab > limit)
        values.append(slab[tuple(place.T)].astype(np.float64))
        place[:, 0] += start
        order = [1, 2]
        order.insert(axis, 0)
        indices.append(place[:, order])
    if not indices:
        return np.empty((0, 3), dtype=np.int64), np.empty(0)
    return np.concatenate(indices), np.concatenate(values)


def _cluster_numbers(
    index: NDArray[np.int64], spacing_mm: NDArray[np.float64]
) -> NDArray[np.int64]:
    """(n,) the cluster of each voxel, joined where their bins of 4 mm touch."""
    bins = np.floor((index - index.min(axis=0)) * spacing_mm / _JOIN_MM).astype(np.int64)
    occupied = np.zeros(tuple(bins.max(axis=0) + 1), dtype=bool)
    occupied[tuple(bins.T)] = True
    labelled, _ = ndimage.label(occupied, structure=np.ones((3, 3, 3)))
    return np.asarray(labelled[tuple(bins.T)], dtype=np.int64)


def _nearest(
    clusters: tuple[MetalCluster, ...], vertebrae: Mapping[str, Vertebra]
) -> tuple[str, float] | None:
    pairs = [
        (level, float(np.linalg.norm(np.subtract(c.centre_mm, v.centre_mm))))
        for level, v in vertebrae.items()
        for c in clusters
    ]
    return min(pairs, key=lambda pair: pair[1]) if pairs else None
