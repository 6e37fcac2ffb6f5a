"""A mid-sagittal strip of an endplate: its profile as knots, and a mask's profile in it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_KNOT_MM = 3.0
_MASK_BEND_MM, _MASK_KINK_MM = 0.3, 0.3
"""SD of the second differences of a mask's profile between knots, and where a bend starts to count
as a kink, which is punished less and less."""
_ACROSS_SD = 0.1
"""SD of the slope from side to side, and of what the curvature adds at the strip's edge over its
width."""
_MASK_ROUNDS = 6
SURFACE_SD = 1.0 / math.sqrt(12.0)
"""SD, in voxels, of where a surface lies that a mask knows to the voxel."""


@dataclass(frozen=True, eq=False)
class Points:
    """Points near one endplate, in the body's frame.

    Args:
        left_mm: (n,) from the strip's middle line.
        posterior_mm: (n,) coordinate along the depth.
        height_mm: (n,) along the superior axis, counted outwards from the body's centre.
        values_hu: (n,) attenuation of voxels; empty for points of a mask's surface.
    """

    left_mm: NDArray[np.float64]
    posterior_mm: NDArray[np.float64]
    height_mm: NDArray[np.float64]
    values_hu: NDArray[np.float64]

    def where(self, chosen: NDArray[np.bool_]) -> Points:
        """The points chosen."""
        values = self.values_hu[chosen] if len(self.values_hu) else self.values_hu
        return Points(
            self.left_mm[chosen], self.posterior_mm[chosen], self.height_mm[chosen], values
        )


def cauchy(residual: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """Half the square of a residual that is small against ``scale``; its logarithm beyond."""
    return np.asarray(0.5 * scale**2 * np.log1p((residual / scale) ** 2))


@dataclass(frozen=True, eq=False)
class Strip:
    """A mid-sagittal strip over which an endplate's height is piecewise linear along the depth.

    Its coefficients are the heights at the knots, averaged across the strip, then a slope and a
    curvature from side to side.

    Args:
        knots_mm: (k,) even, from the anterior to the posterior rim.
        half_width_mm: To either side of its middle line.
    """

    knots_mm: NDArray[np.float64]
    half_width_mm: float

    @classmethod
    def between(cls, front_mm: float, back_mm: float, half_width_mm: float) -> Strip:
        """A strip with knots about 3 mm apart between two rims."""
        count = max(4, round((back_mm - front_mm) / _KNOT_MM) + 1)
        return cls(np.linspace(front_mm, back_mm, count), half_width_mm)

    def design(
        self, posterior_mm: NDArray[np.float64], left_mm: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """(n, k + 2) share of each coefficient in the height at n places."""
        k = len(self.knots_mm)
        place = np.interp(posterior_mm, self.knots_mm, np.arange(k))
        index = np.minimum(place.astype(np.intp), k - 2)
        share = place - index
        design = np.zeros((len(place), k + 2))
        rows = np.arange(len(place))
        design[rows, index], design[rows, index + 1] = 1.0 - share, share
        design[:, k] = left_mm
        design[:, k + 1] = left_mm**2 / self.half_width_mm - self.half_width_mm / 3
        return design

    def profile(
        self, coefficients: NDArray[np.float64], posterior_mm: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Heights along the depth, averaged across the strip."""
        return np.interp(posterior_mm, self.knots_mm, coefficients[: len(self.knots_mm)])

    def stiffness(
        self, coefficients: NDArray[np.float64], bend_mm: float, kink_mm: float
    ) -> NDArray[np.float64]:
        """(k + 2, k + 2) curvature of :meth:`penalty`, kinks weighted down."""
        k = len(self.knots_mm)
        bends = np.zeros((k - 2, k + 2))
        bends[:, :k] = np.diff(np.eye(k), n=2, axis=0)
        weight = 1.0 / (1.0 + (bends @ coefficients / kink_mm) ** 2) / bend_mm**2
        across = np.diag([*np.zeros(k), _ACROSS_SD**-2, _ACROSS_SD**-2])
        return np.asarray(bends.T @ (bends * weight[:, None]) + across)

    def penalty(self, coefficients: NDArray[np.float64], bend_mm: float, kink_mm: float) -> float:
        """What bends cost: Gaussian while they are small, Cauchy beyond ``kink_mm``."""
        k = len(self.knots_mm)
        bends = np.diff(coefficients[:k], n=2)
        across = 0.5 * float(np.sum((coefficients[k:] / _ACROSS_SD) ** 2))
        return across + float(cauchy(bends, kink_mm).sum()) / bend_mm**2


def mask_profile(strip: Strip, surface: Points, voxel_mm: float) -> NDArray[np.float64]:
    """Coefficients of a smooth profile through a mask's surface.

    Args:
        strip: Where.
        surface: Points of the surface.
        voxel_mm: Extent of a voxel along the superior axis: the steps of the staircase.
    """
    k = len(strip.knots_mm)
    design = strip.design(surface.posterior_mm, surface.left_mm)
    # However many columns a knot has, the staircase leaves it no surer than one surface.
    weight = k / (len(design) * (SURFACE_SD * voxel_mm) ** 2)
    data, target = weight * design.T @ design, weight * design.T @ surface.height_mm
    found: NDArray[np.float64] = np.zeros(k + 2)
    for _ in range(_MASK_ROUNDS):
        stiffness = strip.stiffness(found, _MASK_BEND_MM, _MASK_KINK_MM)
        found = np.asarray(np.linalg.solve(data + stiffness, target), dtype=np.float64)
    return found
