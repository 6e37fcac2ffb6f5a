"""How a scan shows an endplate: a thin dense sheet between bone and disc, blurred by the voxel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_BLUR_MM = 0.3
"""SD of what a scanner blurs beyond its own voxel, chosen."""
_STEP_MM = 0.05


@dataclass(frozen=True, eq=False)
class EdgeResponse:
    """What a voxel sees of a surface at a distance, from :func:`edge_response`.

    With ``S(d)`` the share of the voxel's sensitivity below a surface that lies ``d`` below its
    centre, the attenuation across an endplate whose outer surface is at distance ``d`` is

        HU(d) = disc + (bone - disc) S(d + t) + m (S(d) - S(d + t)) / t

    with the sheet's thickness ``t`` and its mass ``m``, what it adds in HU mm.

    Args:
        distance_mm: (n,) rising.
        share: (n,) ``S`` there, from 1 to 0.
    """

    distance_mm: NDArray[np.float64]
    share: NDArray[np.float64]

    @property
    def half_width_mm(self) -> float:
        """How far from a voxel's centre it still sees a surface."""
        return float(self.distance_mm[-1])

    def terms(self, distance_mm: NDArray[np.float64], sheet_mm: float) -> NDArray[np.float64]:
        """(n, 3) what disc, bone less disc, and the sheet's mass contribute at each distance."""
        below_sheet = self._at(distance_mm + sheet_mm, self.share)
        sheet = (self._at(distance_mm, self.share) - below_sheet) / sheet_mm
        return np.stack([np.ones_like(distance_mm), below_sheet, sheet], axis=1)

    def slopes(self, distance_mm: NDArray[np.float64], sheet_mm: float) -> NDArray[np.float64]:
        """(n, 3) derivative of :meth:`terms` by the distance."""
        slope = np.gradient(self.share, self.distance_mm)
        below_sheet = self._at(distance_mm + sheet_mm, slope)
        sheet = (self._at(distance_mm, slope) - below_sheet) / sheet_mm
        return np.stack([np.zeros_like(distance_mm), below_sheet, sheet], axis=1)

    def _at(
        self, distance_mm: NDArray[np.float64], table: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        return np.asarray(np.interp(distance_mm, self.distance_mm, table), dtype=np.float64)


@lru_cache(maxsize=64)
def edge_response(widths_mm: tuple[float, float, float]) -> EdgeResponse:
    """The response of a box-shaped voxel, slightly blurred, to a plane.

    A box that is seen along a direction is the convolution of three boxes, its edges' extents
    along that direction.

    Args:
        widths_mm: Extents of the voxel's three edges along the surface's normal.

    >>> response = edge_response((3.0, 0.0, 0.0))
    >>> round(float(np.interp(0.75, response.distance_mm, response.share)), 3)
    0.25
    """
    reach = sum(widths_mm) / 2 + 4 * _BLUR_MM
    count = int(np.ceil(reach / _STEP_MM)) + 1
    at = np.arange(-count, count + 1) * _STEP_MM
    density = np.exp(-0.5 * (at / _BLUR_MM) ** 2)
    for width in widths_mm:
        box = np.clip((width / 2 - np.abs(at)) / _STEP_MM + 0.5, 0.0, 1.0)
        if box.sum() > 1.0:
            density = np.convolve(density, box, mode="same")
    density = density / density.sum()
    # Half of the sample at the centre lies on either side of it.
    share = 1.0 - (np.cumsum(density) - density / 2)
    return EdgeResponse(np.asarray(at, dtype=np.float64), np.asarray(share, dtype=np.float64))
