"""One endplate's profile from front to back, fitted to the attenuation across it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscope.anatomy.edge_response import EdgeResponse
from osteoscope.anatomy.endplate_strip import SURFACE_SD, Points, Strip, cauchy
from osteoscope.core.robust import MAD_TO_SD

_BEND_MM, _KINK_MM = 0.2, 0.4
"""SD of the second differences between knots, and where a bend starts to count as a kink, which is
punished less and less: endplates are smooth but for the inner edge of the rim."""
_COMPACT_HU = 1300.0
"""What compact bone adds to cancellous bone, chosen: about 1.05 g/cm3 of mineral at 120 kVp. The
sheet's mass over this is its thickness, by half of which its surface lies above its middle."""
_SHEET_MM, _SHEETS_MM = 0.6, (0.2, 1.5)
"""The thickness that a fit starts with, and between which it stays."""
_INSIDE_MM, _OUTSIDE_MM = 4.5, 3.5
"""How far beyond the voxel's own reach bone and disc are looked at."""
_MODEL_ERROR_HU = 50.0
"""What real bone deviates from the model, at least, in a volume of 3 mm cubed."""
_INDEPENDENT_MM3 = 27.0
"""Smaller voxels deviate together: a sample counts by its volume up to this."""
_OUTLIER_SDS = 1.5
_MOST_ROUNDS = 30
_STILL_MM = 0.02
"""A fit that moves no knot by more than this has arrived."""
_SHIFTS_VOXELS = np.linspace(-0.75, 0.75, 7)
_LEAST_CONTRAST = 0.5
"""An endplate must stand out by this many SDs of a voxel's residual to be believed: it is seen by a
hundred voxels, so that this is five standard errors."""


def fit_profile(
    strip: Strip,
    samples: Points,
    response: EdgeResponse,
    start: NDArray[np.float64],
    voxel: tuple[float, float],
) -> NDArray[np.float64] | None:
    """Coefficients of the profile whose blurred endplate fits the attenuation best.

    Gauss-Newton on the heights; attenuation of bone, disc and endplate follow by least squares in
    each round. Voxels that fit badly (vessels, gas, a neighbour's endplate) weigh little, bends are
    punished, and the mask's profile is a prior with the SD of a surface known to the voxel. Since a
    fit that starts a voxel off may stay there, it is made from the mask's profile and from the
    shift of it that fits best, and the better end stands.

    Args:
        strip: Where.
        samples: Voxels around the endplate.
        response: Of the voxel along the endplate's normal.
        start: From :func:`osteoscope.anatomy.endplate_strip.mask_profile`.
        voxel: Extent along the superior axis (mm) and volume (mm3) of a voxel.

    Returns:
        None where the endplate does not stand out, or not enough voxels are there.
    """
    size_mm, volume_mm3 = voxel
    design = strip.design(samples.posterior_mm, samples.left_mm)
    distance = samples.height_mm - design @ start
    reach = response.half_width_mm
    near = (distance > -_INSIDE_MM - reach) & (distance < _OUTSIDE_MM + reach)
    if np.count_nonzero(near) < 4 * len(strip.knots_mm):
        return None
    problem = _Problem(
        strip=strip,
        design=design[near],
        height_mm=samples.height_mm[near],
        values_hu=samples.values_hu[near],
        response=response,
        start=start,
        size_mm=size_mm,
        counts=min(1.0, volume_mm3 / _INDEPENDENT_MM3),
    )
    ends = [_descend(problem, shift) for shift in {0.0, _best_shift(problem)}]
    best = min(ends, key=lambda end: end.cost)
    return best.coefficients if best.contrast >= _LEAST_CONTRAST else None


@dataclass(frozen=True, eq=False)
class _Problem:
    """What one endplate is fitted to."""

    strip: Strip
    design: NDArray[np.float64]
    height_mm: NDArray[np.float64]
    values_hu: NDArray[np.float64]
    response: EdgeResponse
    start: NDArray[np.float64]
    size_mm: float
    counts: float

    @property
    def prior(self) -> NDArray[np.float64]:
        """Precision of the mask's profile, by coefficient."""
        knots = len(self.strip.knots_mm)
        return np.array([*np.full(knots, (SURFACE_SD * self.size_mm) ** -2), 0.0, 0.0])

    def shifted(self, shift_mm: float) -> NDArray[np.float64]:
        """The mask's profile, higher by as much everywhere."""
        return self.start + shift_mm * np.array([*np.ones(len(self.strip.knots_mm)), 0.0, 0.0])

    def with_depth(self, terms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Terms of tissue with those of bone that is denser or less dense at the rims.

        Bone is hardened and bears osteophytes at the front: its attenuation is a parabola along
        the depth, else the profile would bend to explain it.
        """
        knots = len(self.strip.knots_mm)
        depth = self.design[:, :knots] @ np.linspace(-1.0, 1.0, knots)
        return np.column_stack([terms, terms[:, 1] * depth, terms[:, 1] * depth**2])

    def cost(self, found: NDArray[np.float64], residual_hu: NDArray[np.float64]) -> float:
        """Misfit, bends and distance from the mask, as the descent weighs them."""
        scaled = cauchy(residual_hu / _MODEL_ERROR_HU, _OUTLIER_SDS)
        away = 0.5 * float(self.prior @ (found - self.start) ** 2)
        bends = self.strip.penalty(found, _BEND_MM, _KINK_MM)
        return self.counts * float(scaled.sum()) + away + bends


@dataclass(frozen=True, eq=False)
class _End:
    """Where a descent arrived, at what cost, and how far the endplate stands out there."""

    coefficients: NDArray[np.float64]
    cost: float
    contrast: float


def _descend(problem: _Problem, shift_mm: float) -> _End:
    """Gauss-Newton from the mask's profile moved by a shift."""
    knots, size_mm, start = len(problem.strip.knots_mm), problem.size_mm, problem.start
    design, values, response = problem.design, problem.values_hu, problem.response
    found, sheet_mm, weight = problem.shifted(shift_mm), _SHEET_MM, np.ones_like(values)
    prior = np.diag(problem.prior)
    end = _End(found, np.inf, 0.0)
    for _ in range(_MOST_ROUNDS):
        distance = problem.height_mm - design @ found
        terms = problem.with_depth(response.terms(distance, sheet_mm))
        tissue = np.linalg.lstsq(terms * weight[:, None], values * weight, rcond=None)[0]
        residual = values - terms @ tissue
        spread = max(_MODEL_ERROR_HU, MAD_TO_SD * float(np.median(np.abs(residual))))
        contrast = float(tissue[2] * terms[:, 2].max()) / spread
        end = _End(found, problem.cost(found, residual), contrast)
        sheet_mm = float(np.clip(tissue[2] / _COMPACT_HU, *_SHEETS_MM))
        weight = 1.0 / np.sqrt(1.0 + (residual / (_OUTLIER_SDS * spread)) ** 2)
        precision = problem.counts * (weight / spread) ** 2
        slopes = problem.with_depth(response.slopes(distance, sheet_mm))
        jacobian = -design * (slopes @ tissue)[:, None]
        stiffness = problem.strip.stiffness(found, _BEND_MM, _KINK_MM)
        normal = jacobian.T @ (jacobian * precision[:, None]) + stiffness + prior
        pull = jacobian.T @ (precision * residual) - stiffness @ found - prior @ (found - start)
        step = np.clip(np.linalg.solve(normal, pull), -size_mm / 2, size_mm / 2)
        before, found = found, found + step
        # The mask may err by a voxel, not more: beyond it another edge was found.
        found[:knots] = np.clip(found[:knots], start[:knots] - size_mm, start[:knots] + size_mm)
        if np.abs(found - before).max() < _STILL_MM:
            break
    return end


def _best_shift(problem: _Problem) -> float:
    """How far the whole profile is to be moved to fit best as it is."""
    shifts = [float(shift) for shift in problem.size_mm * _SHIFTS_VOXELS]
    distance = problem.height_mm - problem.design @ problem.start

    def misfit(shift_mm: float) -> float:
        terms = problem.response.terms(distance - shift_mm, _SHEET_MM)
        tissue = np.linalg.lstsq(terms, problem.values_hu, rcond=None)[0]
        return float(np.abs(problem.values_hu - terms @ tissue).mean())

    return min(shifts, key=misfit)
