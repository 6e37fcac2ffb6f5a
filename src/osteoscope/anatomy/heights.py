"""Vertebral height loss in the sense of Genant: wedge, biconcave and crush deformities.

Source: Genant et al., J Bone Miner Res 1993, doi 10.1002/jbmr.5650080915: grade 1 from 20 %,
grade 2 from 25 %, grade 3 from 40 % loss of height.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from osteoscope.anatomy.vertebra import BodyHeights, Vertebra
from osteoscope.core.label_schemes import VERTEBRAE

Deformity = Literal["wedge", "biconcave", "crush"]

GENANT_THRESHOLDS: tuple[float, float, float] = (0.20, 0.25, 0.40)
"""Smallest loss of height of grades 1, 2 and 3."""

_REACH_LEVELS = 2
"""How many levels away a vertebra may still serve as the reference of another's height."""

_ONE_SIDED_ERROR = 0.06
"""Relative standard error added where only one neighbour stands for the expected height: the
posterior height steps by about 4 % a level in T11-L4 and by about 10 % from L4 to L5."""


@dataclass(frozen=True)
class HeightRatio:
    """One height over its reference.

    Args:
        kind: The deformity that a low ratio means.
        ratio: Height over reference, 1 where nothing is lost.
        standard_error: Of the ratio, from the size of the voxels along the vertebra's axis.
    """

    kind: Deformity
    ratio: float
    standard_error: float

    @property
    def loss(self) -> float:
        """``1 - ratio``, not below 0."""
        return max(0.0, 1.0 - self.ratio)


@dataclass(frozen=True)
class HeightLoss:
    """The deepest deformity of one vertebra.

    Args:
        kind: ``wedge``, ``biconcave`` or ``crush``, whichever lost most.
        fraction: Height lost, in [0, 1].
        grade: Genant's grade 0-3.
        standard_error: Of ``fraction``, from the size of the voxels.
        ratios: Every ratio that could be formed; no ``crush`` where no neighbour was measured.
        references: Levels whose posterior heights gave the expected height.
    """

    kind: Deformity
    fraction: float
    grade: int
    standard_error: float
    ratios: tuple[HeightRatio, ...]
    references: tuple[str, ...]


def genant_grade(fraction: float) -> int:
    """Genant's grade of a loss of height given as a fraction.

    >>> [genant_grade(f) for f in (0.19, 0.20, 0.25, 0.40)]
    [0, 1, 2, 3]
    """
    return sum(fraction >= threshold for threshold in GENANT_THRESHOLDS)


def height_loss(level: str, vertebrae: Mapping[str, Vertebra]) -> HeightLoss | None:
    """The deepest deformity of ``level``, from its own heights and its neighbours'.

    Wedge is anterior over posterior height, biconcave is middle over the mean of the two (the
    dent below the line from rim to rim: neither a wedge nor a lip at one rim makes one), crush is
    posterior over the height expected there: the posterior heights of the nearest undeformed
    vertebrae above and below, at most two levels away, interpolated. Where crush and one of the
    others both reach grade 1, anterior and middle heights are held against the expected height,
    since the posterior one is no longer a reference; a body that lost height evenly is a crush.

    Args:
        level: The vertebra to judge, for example ``L1``.
        vertebrae: Measured vertebrae by level; those without heights are passed over.

    Returns:
        The loss, or None where the vertebra or its heights are missing.
    """
    vertebra = vertebrae.get(level)
    if vertebra is None or vertebra.heights is None:
        return None
    heights = vertebra.heights
    error_mm = height_error_mm(vertebra)
    expected = _expected_posterior_mm(level, vertebrae)
    ratios = _own_ratios(heights, heights.posterior_mm, error_mm, error_mm)
    if expected is not None:
        expected_mm, expected_error_mm, _ = expected
        crush = _ratio("crush", heights.posterior_mm, expected_mm, error_mm, expected_error_mm)
        uneven = any(genant_grade(ratio.loss) > 0 for ratio in ratios)
        if uneven and genant_grade(crush.loss) > 0:
            ratios = _own_ratios(heights, expected_mm, error_mm, expected_error_mm)
        ratios = (*ratios, crush)
    worst = max(ratios, key=lambda r: r.loss)
    return HeightLoss(
        kind=worst.kind,
        fraction=worst.loss,
        grade=genant_grade(worst.loss),
        standard_error=worst.standard_error,
        ratios=ratios,
        references=() if expected is None else expected[2],
    )


def height_error_mm(vertebra: Vertebra) -> float:
    """Standard error of one height, mm: two surfaces, each uniform within half a voxel.

    The voxel's extent is taken along the vertebra's superior axis; the mean over a patch of
    columns can only be better.
    """
    spacing = vertebra.grid.spacing_mm
    if vertebra.axes is None:
        return float(spacing[0]) / math.sqrt(6.0)
    along = vertebra.axes[2] @ vertebra.grid.directions
    return float(np.linalg.norm(along * spacing)) / math.sqrt(6.0)


def _own_ratios(
    heights: BodyHeights, reference_mm: float, error_mm: float, reference_error_mm: float
) -> tuple[HeightRatio, ...]:
    rims_mm, rims_error_mm = (heights.anterior_mm + reference_mm) / 2, error_mm / math.sqrt(2.0)
    if reference_mm > heights.posterior_mm:  # crushed: no rim of its own is a reference
        rims_mm, rims_error_mm = reference_mm, reference_error_mm
    return (
        _ratio("wedge", heights.anterior_mm, reference_mm, error_mm, reference_error_mm),
        _ratio("biconcave", heights.middle_mm, rims_mm, error_mm, rims_error_mm),
    )


def _ratio(
    kind: Deformity, height_mm: float, reference_mm: float, error_mm: float, ref_error_mm: float
) -> HeightRatio:
    ratio = height_mm / reference_mm
    error = math.hypot(error_mm, ratio * ref_error_mm) / reference_mm
    return HeightRatio(kind, ratio, error)


def _expected_posterior_mm(
    level: str, vertebrae: Mapping[str, Vertebra]
) -> tuple[float, float, tuple[str, ...]] | None:
    """Expected posterior height, its standard error and the levels it rests on."""
    above = _reference(level, vertebrae, -1)
    below = _reference(level, vertebrae, +1)
    if above is not None and below is not None:
        share = above[1] / (above[1] + below[1])
        height = (1 - share) * above[2] + share * below[2]
        error = math.hypot((1 - share) * above[3], share * below[3])
        return height, error, (above[0], below[0])
    one = above or below
    if one is None:
        return None
    return one[2], math.hypot(one[3], _ONE_SIDED_ERROR * one[2]), (one[0],)


def _reference(
    level: str, vertebrae: Mapping[str, Vertebra], step: int
) -> tuple[str, int, float, float] | None:
    """Nearest undeformed level in one direction: name, distance, posterior height, error."""
    chain = [name for name in VERTEBRAE if name in vertebrae or name == level]
    position = chain.index(level)
    for distance in range(1, _REACH_LEVELS + 1):
        place = position + step * distance
        if not 0 <= place < len(chain) or _levels_apart(level, chain[place]) > _REACH_LEVELS:
            return None
        neighbour = vertebrae[chain[place]]
        # The sacrum's first segment has no comparable posterior height.
        if neighbour.level != "S1" and neighbour.heights and _undeformed(neighbour.heights):
            return (
                chain[place],
                distance,
                neighbour.heights.posterior_mm,
                height_error_mm(neighbour),
            )
    return None


def _levels_apart(one: str, other: str) -> int:
    """Levels between two names; the variants T13 and L6 count where a scan has them."""
    return abs(VERTEBRAE.index(one) - VERTEBRAE.index(other)) - (
        1 if {one[0], other[0]} == {"T", "L"} and "T13" not in (one, other) else 0
    )


def _undeformed(heights: BodyHeights) -> bool:
    lowest = min(heights.anterior_mm, heights.middle_mm)
    return 1.0 - lowest / heights.posterior_mm < GENANT_THRESHOLDS[0]
