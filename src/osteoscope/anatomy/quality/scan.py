"""Flags from how the scan was made: slices, tube voltage, kernel, contrast."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from osteoscope.anatomy.quality.limits import DEFAULT_LIMITS, QualityLimits
from osteoscope.core.flag import Flag
from osteoscope.core.volume import Acquisition, Volume

_BONE_BY_KVP: Mapping[float, float] = {80.0: 1.37, 100.0: 1.14, 120.0: 1.0, 140.0: 0.907}
"""Attenuation of one trabecular bone against 120 kVp, computed from the simulator's spectra
(evidence, no correction). Means of different patients differ by half of that: 148.1, 140.9 and
131.3 HU at 100, 120 and 140 kVp (AAPM 2026)."""

_SIEMENS = re.compile(r"^(?:[BHISTU]|B[rlvf]|H[rncv]|Q[r]|T[r]|S[a]|I)(\d{2})[a-z0-9\\\s/]*$")
_CANON = re.compile(r"^FC(\d{2})$")
_SHARP_WORDS = ("BONE", "EDGE", "LUNG", "ULTRA", "SHARP", "DETAIL HR")
_SHARP_PHILIPS = frozenset({"D", "E", "L", "YA", "YB", "YC", "YD"})


def acquisition_flags(volume: Volume, limits: QualityLimits = DEFAULT_LIMITS) -> list[Flag]:
    """Flags that the grid and the header alone give.

    ``thick_slices``, ``kvp_unknown``, ``kvp_not_120`` and ``sharp_kernel``; all warn. Contrast
    needs the aorta as well: see :func:`osteoscope.anatomy.quality.contrast.contrast_flags`.

    Args:
        volume: The scan, in any orientation.
        limits: Thresholds.
    """
    return [
        *_slice_flags(volume, limits),
        *_voltage_flags(volume.acquisition, limits),
        *_kernel_flags(volume.acquisition, limits),
    ]


def kernel_sharpness(kernel: str) -> int | None:
    """Sharpness of a reconstruction kernel on Siemens' scale of 10-90, None where unknown.

    Siemens names carry the number (``B60s``, ``Br38f``, ``I70f``, ``Bl57d``). GE, Philips and
    Canon (Toshiba) names are set to 70 where the vendor offers them for bone or lung (``BONE``,
    ``EDGE``, ``LUNG``; ``D``, ``E``, ``L``, ``YA``-``YD``; ``FC30``-``FC39``, ``FC50``-``FC59``,
    ``FC80``-``FC89``).

    >>> kernel_sharpness("Br38f"), kernel_sharpness("BONEPLUS"), kernel_sharpness("?")
    (38, 70, None)
    """
    name = kernel.strip()
    siemens = _SIEMENS.match(name)
    if siemens:
        return int(siemens.group(1))
    upper = name.upper()
    canon = _CANON.match(upper)
    if canon:
        return 70 if int(canon.group(1)) // 10 in (3, 5, 8) else 40
    if upper in _SHARP_PHILIPS or any(word in upper for word in _SHARP_WORDS):
        return 70
    return 35 if upper in {"A", "B", "C", "SOFT", "STANDARD"} else None


def _slice_flags(volume: Volume, limits: QualityLimits) -> list[Flag]:
    spacing_mm = volume.grid.canonical().spacing_mm
    stated_mm = volume.acquisition.slice_thickness_mm
    # A thick slice reconstructed at a small increment is still a thick slice.
    thickness_mm = max(float(spacing_mm[0]), stated_mm or 0.0)
    if thickness_mm <= limits.slice_mm + 1e-3:
        return []
    return [
        Flag(
            "thick_slices",
            f"Slices are {thickness_mm:.1f} mm thick (limit {limits.slice_mm:g} mm): heights, "
            "small foci and the region's edge are less sure.",
            "warning",
            "warn",
            evidence={
                "slice_mm": round(thickness_mm, 3),
                "spacing_mm": [round(float(s), 3) for s in spacing_mm],
                "header_thickness_mm": stated_mm,
                "limit_mm": limits.slice_mm,
            },
        )
    ]


def _voltage_flags(acquisition: Acquisition, limits: QualityLimits) -> list[Flag]:
    kvp = acquisition.kvp
    if kvp is None:
        return [
            Flag(
                "kvp_unknown",
                "The file does not state the tube voltage; the published thresholds hold at "
                f"{limits.kvp_standard:g} kVp only.",
                "warning",
                "warn",
                evidence={"kvp": None, "standard_kvp": limits.kvp_standard},
            )
        ]
    if abs(kvp - limits.kvp_standard) <= limits.kvp_tolerance:
        return []
    # The computed range ends at 80 and 140 kVp; beyond it the nearest end stands.
    known = sorted(_BONE_BY_KVP)
    ratio = float(np.interp(kvp, known, [_BONE_BY_KVP[k] for k in known]))
    way = "higher" if ratio > 1 else "lower"
    return [
        Flag(
            "kvp_not_120",
            f"The scan was made at {kvp:g} kVp: bone reads about {100 * abs(ratio - 1):.0f} % "
            f"{way} than at {limits.kvp_standard:g} kVp, for which the published thresholds hold.",
            "warning",
            "warn",
            evidence={
                "kvp": float(kvp),
                "standard_kvp": limits.kvp_standard,
                "approximate_ratio": round(ratio, 3),
            },
        )
    ]


def _kernel_flags(acquisition: Acquisition, limits: QualityLimits) -> list[Flag]:
    if acquisition.kernel is None:
        return []
    sharpness = kernel_sharpness(acquisition.kernel)
    if sharpness is None or sharpness < limits.kernel_sharpness:
        return []
    return [
        Flag(
            "sharp_kernel",
            f"The reconstruction kernel {acquisition.kernel} is sharp: noise and edge overshoot "
            "change bone attenuation; prefer a soft-tissue series where there is one.",
            "warning",
            "warn",
            evidence={
                "kernel": acquisition.kernel,
                "sharpness": sharpness,
                "limit": limits.kernel_sharpness,
            },
        )
    ]
