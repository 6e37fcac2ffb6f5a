"""Where a lumbar DXA draws its regions: mid-disc to mid-disc, a little wider than the bodies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.errors import QualityError
from osteoscope.core.volume import Volume

LATERAL_MARGIN_MM = 4.0
"""The region's sides lie this far outside the body; transverse processes are cut off, as the
region of a lumbar DXA is drawn."""


@dataclass(frozen=True, eq=False)
class BodyExtent:
    """Where a body's endplates and sides lie.

    Args:
        level: The vertebra.
        upper_mm: (3,) LPS middle of the upper endplate, mm.
        lower_mm: (3,) LPS middle of the lower endplate, mm.
        centre_mm: (3,) LPS centre of the body, mm.
        half_width_mm: Half its width between the sides, mm.
    """

    level: str
    upper_mm: NDArray[np.float64]
    lower_mm: NDArray[np.float64]
    centre_mm: NDArray[np.float64]
    half_width_mm: float

    @staticmethod
    def of(level: str, vertebra: Vertebra | None) -> BodyExtent:
        """The extent of a measured vertebra, in its own axes where they are known.

        Raises:
            QualityError: The vertebra or its body is missing.
        """
        if vertebra is None or vertebra.body is None or not vertebra.body.any():
            reason = vertebra.withheld if vertebra is not None and vertebra.withheld else "missing"
            raise QualityError(
                f"A virtual DXA needs the body of {level} ({reason.rstrip('.')}); choose levels "
                "that are whole."
            )
        up = np.array([0.0, 0.0, 1.0]) if vertebra.axes is None else vertebra.axes[2]
        left = np.array([1.0, 0.0, 0.0]) if vertebra.axes is None else vertebra.axes[0]
        points = vertebra.grid.index_to_world_mm(np.argwhere(vertebra.body).astype(np.float64))
        centre = points.mean(axis=0)
        along = (points - centre) @ up
        if vertebra.heights is not None:
            half = vertebra.heights.middle_mm / 2.0
        else:
            half = float(np.diff(np.percentile(along, [2, 98]))[0]) / 2.0
        width = float(np.diff(np.percentile((points - centre) @ left, [1, 99]))[0])
        return BodyExtent(level, centre + half * up, centre - half * up, centre, width / 2.0)


def row_edges(bodies: Sequence[BodyExtent], volume: Volume) -> list[float]:
    """Slice coordinates of the regions' borders, from the top of the first level down.

    Between levels they lie in mid-disc; at both ends half a mean disc beyond the endplate.

    Args:
        bodies: Two or more, from the top down.
        volume: The scan in canonical orientation.

    Raises:
        QualityError: The levels do not follow each other, or the scan ends within them.
    """
    middles = [(a.lower_mm + b.upper_mm) / 2.0 for a, b in pairwise(bodies)]
    gaps = [float(np.linalg.norm(a.lower_mm - b.upper_mm)) for a, b in pairwise(bodies)]
    half_disc = float(np.mean(gaps)) / 2.0
    first, last = bodies[0], bodies[-1]
    up = _unit(first.upper_mm - first.lower_mm)
    down = _unit(last.lower_mm - last.upper_mm)
    borders = [first.upper_mm + half_disc * up, *middles, last.lower_mm + half_disc * down]
    order = [float(body.centre_mm[2]) for body in bodies]
    edges = [float(volume.grid.world_mm_to_index(point)[0]) for point in borders]
    if any(low >= high for high, low in (*pairwise(edges), *pairwise(order))):
        raise QualityError(
            "The lumbar levels do not follow each other from the top down; check the labels."
        )
    if edges[-1] < -0.5 or edges[0] > volume.grid.shape[0] - 0.5:
        raise QualityError("The scan ends within L1-L4; a virtual DXA needs all of its levels.")
    return edges


def column_span(body: BodyExtent, volume: Volume) -> tuple[float, float]:
    """Column coordinates of a region's sides: the body's, 4 mm wider on each side."""
    middle = float(volume.grid.world_mm_to_index(body.centre_mm)[2])
    reach = (body.half_width_mm + LATERAL_MARGIN_MM) / float(volume.grid.spacing_mm[2])
    return middle - reach, middle + reach


def whole_voxels(low: float, high: float, count: int) -> slice:
    """Every voxel that the span from ``low`` to ``high`` touches."""
    return slice(max(0, math.floor(low + 0.5)), min(count, math.floor(high + 0.5) + 1))


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float64)
