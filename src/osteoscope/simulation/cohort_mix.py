"""How often a virtual cohort shows each disease, implant, protocol and labelling fault."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from osteoscope.core.errors import InputError
from osteoscope.simulation.scan import ContrastPhase, ScanSpec

_VOXELS = ("in_plane_mm", "slice_mm")


@dataclass(frozen=True)
class CohortMix:
    """Shares between 0 and 1 of the patients of a cohort, all independent, and its voxels.

    The defaults are those of a mixed abdominal CT archive of people above 50, in round numbers.

    Args:
        fracture: At least one vertebral fracture.
        metal: Pedicle screws at one level.
        cement: Vertebroplasty at one level.
        bone_island: A bone island.
        schmorl_node: A Schmorl node.
        lytic_focus: A lytic focus.
        hip_implant: A metal hip joint in the scan.
        t13: A thirteenth thoracic vertebra.
        l6: A sixth lumbar vertebra.
        contrast: Contrast enhanced; two in three of these are venous.
        kvp_100: Scanned at 100 kVp.
        kvp_140: Scanned at 140 kVp.
        kvp_unknown: The file does not tell the voltage.
        thick_slices: 4 or 5 mm slices.
        high_noise: Noise of 45 HU.
        bone_kernel: A sharp kernel.
        truncated: The body reaches beyond the reconstructed circle.
        prone: Scanned prone.
        label_shift: All vertebrae are labelled one level too high.
        in_plane_mm: Pixel size of every scan.
        slice_mm: Slice thickness of the scans that are not thick.
    """

    fracture: float = 0.12
    metal: float = 0.02
    cement: float = 0.02
    bone_island: float = 0.05
    schmorl_node: float = 0.05
    lytic_focus: float = 0.02
    hip_implant: float = 0.03
    t13: float = 0.01
    l6: float = 0.02
    contrast: float = 0.4
    kvp_100: float = 0.15
    kvp_140: float = 0.05
    kvp_unknown: float = 0.02
    thick_slices: float = 0.1
    high_noise: float = 0.03
    bone_kernel: float = 0.08
    truncated: float = 0.02
    prone: float = 0.02
    label_shift: float = 0.02
    in_plane_mm: float = 1.0
    slice_mm: float = 2.0

    def __post_init__(self) -> None:
        for entry in fields(self):
            if entry.name not in _VOXELS and not 0.0 <= getattr(self, entry.name) <= 1.0:
                raise InputError(
                    f"A share of a cohort must lie in 0-1, not {getattr(self, entry.name)} "
                    f"for {entry.name}."
                )
        if self.kvp_100 + self.kvp_140 > 1.0 or self.t13 + self.l6 > 1.0:
            raise InputError("kvp_100 and kvp_140, and t13 and l6, must not exceed 1 together.")


NOTHING_PLANTED = CohortMix(**{e.name: 0.0 for e in fields(CohortMix) if e.name not in _VOXELS})
"""Healthy patients at 120 kVp without contrast."""


def draw_defects(rng: np.random.Generator, mix: CohortMix) -> tuple[str, ...]:
    """Names for ``sample_patient(defects=...)``."""
    names = (
        "fracture", "metal", "cement", "bone_island", "schmorl_node", "lytic_focus",
        "hip_implant",
    )  # fmt: skip
    draws = rng.random(len(names))
    out = [n for n, d in zip(names, draws, strict=True) if d < getattr(mix, n)]
    variant = float(rng.random())
    if variant < mix.t13:
        out.append("T13")
    elif variant < mix.t13 + mix.l6:
        out.append("L6")
    return tuple(out)


def draw_scan(rng: np.random.Generator, mix: CohortMix, body_half_width_mm: float) -> ScanSpec:
    """An acquisition for a patient of that width."""
    draws = rng.random(8)
    voltage = float(rng.random())
    kvp = 100.0 if voltage < mix.kvp_100 else 140.0 if voltage > 1.0 - mix.kvp_140 else 120.0
    phase: ContrastPhase | None = None
    if draws[0] < mix.contrast:
        phase = "arterial" if rng.random() < 1 / 3 else "venous"
    slice_mm = float(rng.choice([4.0, 5.0])) if draws[1] < mix.thick_slices else mix.slice_mm
    kernel: Literal["soft", "bone"] = "bone" if draws[2] < mix.bone_kernel else "soft"
    noise = 45.0 if draws[3] < mix.high_noise else float(rng.uniform(8.0, 20.0))
    circle = 1.7 * body_half_width_mm if draws[4] < mix.truncated else None
    return ScanSpec(
        kvp=kvp,
        in_plane_mm=mix.in_plane_mm,
        slice_mm=slice_mm,
        kernel=kernel,
        noise_sd_hu=noise,
        contrast_phase=phase,
        circle_mm=None if circle is None else round(circle),
        patient_position="HFP" if draws[5] < mix.prone else "HFS",
        header_names_kvp=bool(draws[6] >= mix.kvp_unknown),
    )


def draw_label_shift(rng: np.random.Generator, mix: CohortMix) -> bool:
    """Whether this patient's labels are one level too high."""
    return bool(rng.random() < mix.label_shift)
