"""What is true of a simulated patient in one scan, and which quality flags must be raised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.label_schemes import label_scheme
from osteoscope.simulation.canvas import Canvas
from osteoscope.simulation.defects import DEFECT_FLAG, hip_implant_mm
from osteoscope.simulation.dxa import DxaTruth
from osteoscope.simulation.levels import MUST_BE_THERE
from osteoscope.simulation.patient_spec import PatientSpec
from osteoscope.simulation.scan import ScanSpec
from osteoscope.simulation.spine import VertebraFrame
from osteoscope.simulation.tissue_values import TissueValues
from osteoscope.simulation.torso import Trunk

THICK_SLICE_MM = 2.5
"""Slices above this are thick."""
HIGH_NOISE_HU = 40.0
"""Noise from this spread on is high; what lies between 25 and 40 HU should not be simulated."""

Presence = Literal["whole", "partial", "absent"]


@dataclass(frozen=True, eq=False)
class LevelTruth:
    """What is true of one vertebra.

    Args:
        level: For example ``L1``.
        presence: Whether the scan holds it.
        vbmd_mg_cm3: Hydroxyapatite in the trabecular region, mg/cm3.
        trabecular_hu: Exact mean of the trabecular mixture in this scan, contrast and voltage
            included.
        unenhanced_120_hu: The same at 120 kVp without contrast.
        centre_lps_mm: (3,) centre of the body.
        axes: (3, 3) rows left, posterior, superior.
        anterior_mm: Body height at the anterior rim (it is constant over the front eighth of
            the depth).
        middle_mm: Body height in the centre.
        posterior_mm: Body height at the posterior rim.
        fracture_type: ``wedge``, ``biconcave``, ``crush`` or None.
        fracture_grade: Genant's grade, 0 to 3.
        defects: What was planted in it.
    """

    level: str
    presence: Presence
    vbmd_mg_cm3: float
    trabecular_hu: float
    unenhanced_120_hu: float
    centre_lps_mm: NDArray[np.float64]
    axes: NDArray[np.float64]
    anterior_mm: float
    middle_mm: float
    posterior_mm: float
    fracture_type: str | None
    fracture_grade: int
    defects: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class PatientTruth:
    """What is true of a patient in one scan.

    Args:
        levels: By level, T10 first.
        planted: ``(flag code, level or None)`` of everything that a quality check must find.
        dxa: The patient's DXA.
        age_years: Age.
        sex: ``F`` or ``M``.
        scan: The acquisition.
        marrow_enhancement_hu: What contrast added to the marrow.
        aorta_hu: Blood in the aorta.
        variant: ``T13``, ``L6`` or None.
    """

    levels: Mapping[str, LevelTruth]
    planted: tuple[tuple[str, str | None], ...]
    dxa: DxaTruth
    age_years: float
    sex: Literal["F", "M"]
    scan: ScanSpec
    marrow_enhancement_hu: float
    aorta_hu: float
    variant: str | None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        levels = {}
        for name, level in self.levels.items():
            row = {key: getattr(level, key) for key in level.__dataclass_fields__}
            row["centre_lps_mm"] = [round(float(c), 4) for c in level.centre_lps_mm]
            row["axes"] = [[round(float(c), 6) for c in r] for r in level.axes]
            row["defects"] = list(level.defects)
            levels[name] = row
        return {
            "simulated": True,
            "age_years": self.age_years,
            "sex": self.sex,
            "variant": self.variant,
            "scan": asdict(self.scan),
            "marrow_enhancement_hu": self.marrow_enhancement_hu,
            "aorta_hu": self.aorta_hu,
            "dxa": asdict(self.dxa),
            "planted": [list(p) for p in self.planted],
            "levels": levels,
        }


def level_truths(
    frames: Mapping[str, VertebraFrame],
    values: TissueValues,
    reference: TissueValues,
    presence: Mapping[str, Presence],
    turn: NDArray[np.float64],
) -> dict[str, LevelTruth]:
    """Truth of every vertebra; ``turn`` is the patient's rotation in the world."""
    out = {}
    for frame in sorted(frames.values(), key=lambda f: -float(f.centre_mm[2])):
        spec = frame.spec
        if spec.level == "S1":
            continue
        out[spec.level] = LevelTruth(
            level=spec.level,
            presence=presence[spec.level],
            vbmd_mg_cm3=spec.trabecular_vbmd_mg_cm3,
            trabecular_hu=values.bone(spec.trabecular_vbmd_mg_cm3),
            unenhanced_120_hu=reference.bone(spec.trabecular_vbmd_mg_cm3),
            centre_lps_mm=turn @ frame.centre_mm,
            axes=frame.axes @ turn.T,
            anterior_mm=spec.anterior_mm,
            middle_mm=spec.middle_mm,
            posterior_mm=spec.posterior_mm,
            fracture_type=spec.fracture_type,
            fracture_grade=spec.fracture_grade,
            defects=tuple(spec.defects),
        )
    return out


def presence_of(canvas: Canvas, levels: Mapping[str, VertebraFrame]) -> dict[str, Presence]:
    """Whether each vertebra lies wholly, partly or not at all in the painted slices."""
    numbers = label_scheme("verse").vertebrae
    edges = set(np.unique(canvas.verse[0])) | set(np.unique(canvas.verse[-1]))
    for axis in (1, 2):
        for end in (0, -1):
            edges |= set(np.unique(canvas.verse.take(end, axis=axis)))
    present = set(np.flatnonzero(np.bincount(canvas.verse.ravel(), minlength=256)))
    out: dict[str, Presence] = {}
    for level in levels:
        if level == "S1":
            continue
        if numbers[level] not in present:
            out[level] = "absent"
        else:
            out[level] = "partial" if numbers[level] in edges else "whole"
    return out


def planted_flags(
    patient: PatientSpec,
    scan: ScanSpec,
    presence: Mapping[str, Presence],
    trunk: Trunk,
    canvas: Canvas,
) -> tuple[tuple[str, str | None], ...]:
    """The flags that a perfect quality check raises; label faults add theirs separately."""
    flags: list[tuple[str, str | None]] = []
    for level, state in presence.items():
        if state == "absent" and level in MUST_BE_THERE:
            flags.append(("level_missing", level))
        if state == "partial":
            flags.append(("touches_edge", level))
        if state == "whole":
            spec = patient.by_level[level]
            flags += [(DEFECT_FLAG[d], level) for d in spec.defects]
            if spec.fracture_grade > 0:
                flags.append(("fracture", level))
    if patient.variant is not None and presence[patient.variant] != "absent":
        flags.append(("transitional_anatomy", None))
    whole_scan = {
        "metal_in_scan": any(code == "metal_in_region" for code, _ in flags)
        or _implant_in_scan(patient, canvas),
        "contrast_enhanced": scan.contrast_phase is not None,
        "kvp_unknown": not scan.header_names_kvp,
        "kvp_not_120": scan.header_names_kvp and scan.kvp != 120.0,
        "thick_slices": scan.slice_mm > THICK_SLICE_MM,
        "high_noise": scan.noise_sd_hu >= HIGH_NOISE_HU,
        "truncated_field_of_view": _truncated(scan, trunk, canvas),
    }
    flags += [(code, None) for code, holds in whole_scan.items() if holds]
    return tuple(flags)


def _implant_in_scan(patient: PatientSpec, canvas: Canvas) -> bool:
    return patient.hip_implant and bool((canvas.hu[: canvas.hu.shape[0] // 3] >= 3000).any())


def _truncated(scan: ScanSpec, trunk: Trunk, canvas: Canvas) -> bool:
    """Whether the body reaches beyond the image or its reconstructed circle."""
    half = trunk.half_axes(float(canvas.z_mm[len(canvas.z_mm) // 2]))
    reach = max(half)
    limit = float(canvas.x_mm[-1] - canvas.x_mm[0]) / 2
    if scan.circle_mm is not None:
        limit = min(limit, scan.circle_mm / 2)
    return reach > limit


def hip_bottom_mm(s1: VertebraFrame, scale: float) -> float:
    """How low a scan must reach to hold the ball of a hip implant."""
    return hip_implant_mm(s1, scale)[0][2] - 24.0
