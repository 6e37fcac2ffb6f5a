"""Does the edge of the reconstructed field cut through the body at the level of the spine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteoscope.anatomy.quality.limits import DEFAULT_LIMITS, QualityLimits
from osteoscope.anatomy.quality.surroundings import canonical_hu
from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.flag import Flag
from osteoscope.core.volume import Volume

_MOST_SLICES = 12
_NO_AIR_BELOW_HU = -1000.0
"""A constant corner at or below this is padding, not air with noise."""


def field_of_view_flags(
    volume: Volume,
    vertebrae: Mapping[str, Vertebra],
    limits: QualityLimits = DEFAULT_LIMITS,
) -> list[Flag]:
    """``truncated_field_of_view`` where the field cuts the body beside the vertebrae; it warns.

    In up to 12 slices through the vertebrae, the length is taken along which the body (tissue
    above -300 HU that is joined to the vertebra) meets the image's border or the padding around
    the reconstruction circle. Attenuation in the spine stays right where only the displayed field
    is small; tissue calibration and body size do not.

    Args:
        volume: The scan, HU.
        vertebrae: Where the spine is.
        limits: ``border_contact_mm`` and ``tissue_hu``.
    """
    if not vertebrae:
        return []
    scan = canonical_hu(volume)
    lengths = []
    for index in _slices(vertebrae):
        seed = _seed(index, vertebrae, scan)
        if seed is not None:
            lengths.append(
                border_contact_mm(
                    scan.array[index], seed, scan.grid.spacing_mm[1:], scan.padding, limits
                )
            )
    if not lengths:
        return []
    longest = max(lengths)
    if longest < limits.border_contact_mm:
        return []
    share = float(np.mean([length >= limits.border_contact_mm for length in lengths]))
    return [
        Flag(
            "truncated_field_of_view",
            f"The field of view cuts the body along {longest:.0f} mm of its outline at the spine's "
            "level: tissue calibration and body size are not to be relied on.",
            "warning",
            "warn",
            evidence={
                "longest_contact_mm": round(longest, 1),
                "share_of_slices": round(share, 2),
                "slices": len(lengths),
                "limit_mm": limits.border_contact_mm,
            },
        )
    ]


def border_contact_mm(
    image_hu: NDArray[Any],
    seed: tuple[int, int],
    spacing_mm: NDArray[np.float64],
    padding: float | None,
    limits: QualityLimits = DEFAULT_LIMITS,
) -> float:
    """Length, mm, along which the body in one axial slice meets the end of the field.

    Args:
        image_hu: (y, x) attenuation.
        seed: ``(y, x)`` index of a voxel inside the body.
        spacing_mm: (2,) spacing along ``(y, x)``.
        padding: The declared padding value; where None, a constant value at or below -1000 HU
            in opposite corners is taken as padding.
        limits: ``tissue_hu``.
    """
    components, _ = ndimage.label(image_hu > limits.tissue_hu)
    number = components[seed]
    if number == 0:
        return 0.0
    body = components == number
    outside = np.zeros((body.shape[0] + 2, body.shape[1] + 2), dtype=bool)
    outside[0], outside[-1], outside[:, 0], outside[:, -1] = True, True, True, True
    outside[1:-1, 1:-1] = _padding_mask(image_hu, padding)
    above_below = outside[:-2, 1:-1] | outside[2:, 1:-1]
    left_right = outside[1:-1, :-2] | outside[1:-1, 2:]
    contact = body & (above_below | left_right)
    return float(np.count_nonzero(contact) * np.sqrt(spacing_mm[0] * spacing_mm[1]))


def _padding_mask(image_hu: NDArray[Any], padding: float | None) -> NDArray[np.bool_]:
    if padding is None:
        first, last = image_hu[0, 0], image_hu[-1, -1]
        if first != last or first > _NO_AIR_BELOW_HU:
            return np.zeros(image_hu.shape, dtype=bool)
        padding = float(first)
    return np.asarray(image_hu == padding)


def _slices(vertebrae: Mapping[str, Vertebra]) -> list[int]:
    start = min(v.box[0].start for v in vertebrae.values())
    stop = max(v.box[0].stop for v in vertebrae.values())
    chosen = np.linspace(start, stop - 1, min(_MOST_SLICES, stop - start)).round().astype(int)
    return [int(k) for k in np.unique(chosen)]


def _seed(index: int, vertebrae: Mapping[str, Vertebra], scan: Volume) -> tuple[int, int] | None:
    """The voxel of a vertebra's mask in that slice that is nearest to the mask's middle."""
    for vertebra in vertebrae.values():
        box = vertebra.box
        if not box[0].start <= index < box[0].stop:
            continue
        rows, columns = np.nonzero(vertebra.mask[index - box[0].start])
        if rows.size == 0:
            continue
        far = (rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2
        nearest = int(np.argmin(far))
        row, column = int(rows[nearest]) + box[1].start, int(columns[nearest]) + box[2].start
        if row < scan.array.shape[1] and column < scan.array.shape[2]:
            return row, column
    return None
