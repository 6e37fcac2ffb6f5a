"""Landmarks that name a vertebra: the ribs it bears and the sacrum below it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteoscope.anatomy.quality.limits import DEFAULT_LIMITS, QualityLimits
from osteoscope.anatomy.quality.surroundings import from_head_down, grown_box
from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.labelmap import LabelMap

_COARSE_MM = 2.0
"""Distances are taken on every voxel this far apart: ten times faster, and a millimetre off."""
_SACRUM_REACH_MM = 60.0
_TIGHT_MM = 4.0
"""Where a rib's own vertebra is not labelled, only a rib this close to another one counts."""
_BLOCK = 64


@dataclass(frozen=True)
class RibContact:
    """Which vertebra a labelled rib meets.

    Args:
        rib: Name in the scheme, for example ``rib_left_12``.
        number: 11 or 12.
        level: The nearest vertebra.
        distance_mm: Between rib and vertebra.
    """

    rib: str
    number: int
    level: str
    distance_mm: float


@dataclass(frozen=True)
class SacrumContact:
    """How far the lowest labelled vertebra stands from the sacrum.

    Args:
        level: The lowest labelled vertebra.
        gap_mm: From its body (or mask) to the sacrum; None where none is within 60 mm.
    """

    level: str
    gap_mm: float | None


def rib_contacts(
    labels: LabelMap,
    vertebrae: Mapping[str, Vertebra],
    limits: QualityLimits = DEFAULT_LIMITS,
) -> list[RibContact]:
    """The vertebra nearest to each labelled rib 11 and 12, where one is in contact.

    Ribs above the eleventh have two facets and decide nothing. A rib whose own vertebra is not
    labelled counts only where it all but touches another.

    Args:
        labels: Canonical labels.
        vertebrae: Every labelled vertebra.
        limits: ``rib_contact_mm``.
    """
    names = {
        name: number
        for name, number in labels.scheme.structures.items()
        if name.startswith("rib_") and name.endswith(("_11", "_12"))
    }
    met: dict[str, list[RibContact]] = {}
    for level in ("T9", "T10", "T11", "T12", "T13", "L1", "L2", "L3") if names else ():
        vertebra = vertebrae.get(level)
        if vertebra is None:
            continue
        strided, spacing = _coarse(vertebra.grid.spacing_mm)
        crop = labels.array[vertebra.box][strided]
        if not np.isin(crop, list(names.values())).any():
            continue
        distance = ndimage.distance_transform_edt(~vertebra.mask[strided], sampling=spacing)
        for name, number in names.items():
            reached = distance[crop == number]
            if reached.size:
                nearest = float(reached.min())
                met.setdefault(name, []).append(RibContact(name, int(name[-2:]), level, nearest))
    contacts = [_decided(found, vertebrae, limits) for found in met.values()]
    return [contact for contact in contacts if contact is not None]


def _decided(
    found: list[RibContact], vertebrae: Mapping[str, Vertebra], limits: QualityLimits
) -> RibContact | None:
    """The nearest vertebra of one rib, where it is near and clearly nearer than the next."""
    ranked = sorted(found, key=lambda contact: contact.distance_mm)
    best = ranked[0]
    own_is_labelled = f"T{best.number}" in vertebrae
    if best.distance_mm > (limits.rib_contact_mm if own_is_labelled else _TIGHT_MM):
        return None
    if len(ranked) > 1 and ranked[1].distance_mm - best.distance_mm < limits.rib_lead_mm:
        return None
    return best


def sacrum_contact(labels: LabelMap, vertebrae: Mapping[str, Vertebra]) -> SacrumContact | None:
    """Distance from the lowest labelled vertebra to the sacrum; None where no scheme names it."""
    numbers = [labels.scheme.structures.get("sacrum"), labels.scheme.vertebrae.get("S1")]
    known = [n for n in numbers if n is not None]
    chain = from_head_down(vertebrae)
    if not known or not chain:
        return None
    lowest = chain[-1]
    reach = (_SACRUM_REACH_MM, _SACRUM_REACH_MM, 0.0)
    box = grown_box([lowest.box], reach, labels.grid)
    strided, _ = _coarse(labels.grid.spacing_mm)
    sacrum = np.isin(labels.array[box][strided], known)
    if not sacrum.any():
        return SacrumContact(lowest.level, None)
    mask = lowest.mask if lowest.body is None else lowest.body
    # Two clouds of points: a distance map of the box between them would cost 100 MB in a fine scan.
    grid = labels.grid.crop(box)
    steps = np.array([part.step for part in strided])
    ours = lowest.grid.index_to_world_mm(np.argwhere(_surface(mask[strided])) * steps)
    theirs = grid.index_to_world_mm(np.argwhere(_surface(sacrum)) * steps)
    if not len(ours):
        return SacrumContact(lowest.level, None)
    return SacrumContact(lowest.level, _least_distance(ours, theirs))


def _least_distance(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """Between two clouds of points, in blocks that keep the table of distances small."""
    least = math.inf
    columns = np.ascontiguousarray(theirs.T)
    for start in range(0, len(ours), _BLOCK):
        block = ours[start : start + _BLOCK].T[:, :, None]
        table = (block[0] - columns[0]) ** 2
        table += (block[1] - columns[1]) ** 2
        table += (block[2] - columns[2]) ** 2
        least = min(least, float(table.min()))
    return math.sqrt(least)


def _surface(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The voxels of a mask that touch its outside."""
    return np.asarray(mask & ~ndimage.binary_erosion(mask), dtype=np.bool_)


def _coarse(
    spacing_mm: NDArray[np.float64],
) -> tuple[tuple[slice, slice, slice], NDArray[np.float64]]:
    """A subset of a grid's voxels about 2 mm apart, and its spacing."""
    step = np.maximum(1, (_COARSE_MM / spacing_mm).astype(int))
    return (slice(None, None, step[0]), slice(None, None, step[1]), slice(None, None, step[2])), (
        spacing_mm * step
    )
