"""Virtual hospitals: each has a scanner that reads its own CT numbers, and its own protocols."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError
from osteoscope.core.volume import Volume
from osteoscope.simulation.cohort_mix import CohortMix, draw_scan
from osteoscope.simulation.scan import KERNEL_FWHM_MM, Kernel, ScanSpec

_AIR_HU, _BONE_HU = -1000.0, 1000.0
_LOWEST_HU, _HIGHEST_HU = -1024, 3071


@dataclass(frozen=True)
class VirtualSite:
    """A hospital with one scanner.

    The scanner's response is a line through air, which calibration fixes at -1000 HU, and water,
    and another from water upwards: its slope is how bone reads at the scanner's own effective
    energy. Scanners of one voltage differ in trabecular bone by up to some 20 HU.

    Args:
        name: Written into the table's ``site``.
        share: Its share of the patients; those of a preset's sites are scaled to sum to one.
        water_hu: What it reads in water, -20 to 20 HU.
        bone_scale: Factor on what lies above water, 0.8 to 1.25.
        kernel: Its usual kernel.
        noise: Factor on the noise, 0.3 to 3.
        contrast: Share of enhanced scans.
        kvp_100: Share of scans at 100 kVp.
        kvp_140: Share of scans at 140 kVp.
        in_plane_mm: Pixel size.
        slice_mm: Slice thickness of scans that are not thick.
        thick_slices: Share of 4 or 5 mm slices.
    """

    name: str
    share: float = 1.0
    water_hu: float = 0.0
    bone_scale: float = 1.0
    kernel: Kernel = "soft"
    noise: float = 1.0
    contrast: float = 0.4
    kvp_100: float = 0.15
    kvp_140: float = 0.05
    in_plane_mm: float = 1.0
    slice_mm: float = 2.0
    thick_slices: float = 0.1

    def __post_init__(self) -> None:
        if self.share <= 0.0:
            raise InputError(f"A site's share must be above 0, not {self.share:g}.")
        if abs(self.water_hu) > 20.0 or not 0.8 <= self.bone_scale <= 1.25:
            raise InputError(
                "A scanner reads water within 20 HU and scales bone by 0.8-1.25, not "
                f"{self.water_hu:g} HU and {self.bone_scale:g}."
            )
        if not 0.3 <= self.noise <= 3.0:
            raise InputError(f"A site's noise must be 0.3-3 times the usual, not {self.noise:g}.")
        if self.kernel not in KERNEL_FWHM_MM:
            raise InputError(f"Unknown kernel {self.kernel!r}; known: {', '.join(KERNEL_FWHM_MM)}.")

    def reads(self, hu: NDArray[Any] | float) -> NDArray[np.float64]:
        """What the scanner shows where an ideal one shows ``hu``, not rounded."""
        knots = (_AIR_HU, 0.0, _BONE_HU)
        shown = (_AIR_HU, self.water_hu, self.water_hu + self.bone_scale * _BONE_HU)
        values = np.asarray(hu, dtype=np.float64)
        inside = np.interp(values, knots, shown)
        above = shown[2] + self.bone_scale * (values - _BONE_HU)
        return np.where(values > _BONE_HU, above, np.where(values < _AIR_HU, values, inside))

    def rescanned(self, volume: Volume) -> Volume:
        """A simulated volume as this scanner shows it; padding stays what it is."""
        # A table of all values of a 12-bit image, padding included, is quicker than the formula.
        lowest = min(_LOWEST_HU, int(volume.array.min()))
        values = np.arange(lowest, _HIGHEST_HU + 1)
        table = np.rint(self.reads(values)).clip(lowest, _HIGHEST_HU).astype(np.int16)
        return replace(volume, array=table[volume.array.astype(np.int32) - lowest])

    def mix(self, base: CohortMix) -> CohortMix:
        """A cohort's shares with this site's protocols in place of the cohort's own."""
        return replace(
            base,
            contrast=self.contrast,
            kvp_100=self.kvp_100,
            kvp_140=self.kvp_140,
            in_plane_mm=self.in_plane_mm,
            slice_mm=self.slice_mm,
            thick_slices=self.thick_slices,
        )

    def draw_scan(
        self, rng: np.random.Generator, base: CohortMix, body_half_width_mm: float
    ) -> ScanSpec:
        """An acquisition by this site's protocols for a patient of that width."""
        scan = draw_scan(rng, self.mix(base), body_half_width_mm)
        kernel = scan.kernel if scan.kernel == "bone" else self.kernel
        return replace(scan, kernel=kernel, noise_sd_hu=scan.noise_sd_hu * self.noise)


def draw_site(rng: np.random.Generator, sites: Sequence[VirtualSite]) -> VirtualSite:
    """The site of a patient, by the sites' shares.

    Raises:
        InputError: There is no site.
    """
    if not sites:
        raise InputError("A cohort with sites needs at least one.")
    ends = np.cumsum([site.share for site in sites])
    drawn = float(rng.random()) * float(ends[-1])
    return sites[int(np.searchsorted(ends, drawn, side="right"))]
