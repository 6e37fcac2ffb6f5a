"""The CT number of every tissue in one scan: tube voltage and contrast phase applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from osteoscope.simulation.materials import (
    MATERIALS,
    REFERENCE_KVP,
    bone_hu,
    iodine_hu_per_mg_ml,
    material_hu,
)
from osteoscope.simulation.patient_spec import PatientSpec
from osteoscope.simulation.scan import ScanSpec

ENHANCEMENT_HU: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "arterial": MappingProxyType(
            {"aorta": 260.0, "vein": 40.0, "kidney": 90.0, "liver": 15.0, "muscle": 6.0}
        ),
        "venous": MappingProxyType(
            {"aorta": 110.0, "vein": 115.0, "kidney": 140.0, "liver": 50.0, "muscle": 14.0}
        ),
    }
)
"""HU added at 120 kVp, typical of abdominal protocols."""
MARROW_ENHANCEMENT_HU: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"arterial": (14.4, 4.0), "venous": (25.7, 6.0)}
)
"""Mean and spread between patients of the HU added to L1 at 120 kVp (means: ECR, n = 288; see
doi 10.1007/s00198-015-3224-9 for how widely it spreads)."""


@dataclass(frozen=True)
class TissueValues:
    """CT numbers of one scan.

    Args:
        kvp: Tube voltage.
        marrow_fat_fraction: Yellow marrow's share.
        marrow_enhancement_hu: HU that contrast adds to marrow in this scan.
        soft: HU of each soft material, contrast included.
    """

    kvp: float
    marrow_fat_fraction: float
    marrow_enhancement_hu: float
    soft: Mapping[str, float]

    def bone(self, mineral_mg_cm3: float) -> float:
        """HU of bone tissue with that mineral density, contrast in its marrow included."""
        marrow = 1.0 - min(mineral_mg_cm3 / 1700.0, 1.0)
        value = bone_hu(round(mineral_mg_cm3, 6), self.marrow_fat_fraction, self.kvp)
        return value + self.marrow_enhancement_hu * marrow

    @property
    def mineral_slope(self) -> float:
        """HU that one mg/cm3 of mineral adds."""
        return (self.bone(300.0) - self.bone(100.0)) / 200.0


def tissue_values(patient: PatientSpec, scan: ScanSpec, rng: np.random.Generator) -> TissueValues:
    """CT numbers for a patient in a scan; ``rng`` draws this patient's marrow enhancement."""
    soft = {name: material_hu(name, scan.kvp) for name in MATERIALS}
    soft["aorta"] = soft["vein"] = soft["blood"]
    draw = float(rng.normal())
    marrow = 0.0
    if scan.contrast_phase is not None:
        scale = iodine_hu_per_mg_ml(scan.kvp) / iodine_hu_per_mg_ml(REFERENCE_KVP)
        for name, added in ENHANCEMENT_HU[scan.contrast_phase].items():
            soft[name] += added * scale
        mean, spread = MARROW_ENHANCEMENT_HU[scan.contrast_phase]
        marrow = max(mean + spread * draw, 0.0) * scale
    return TissueValues(scan.kvp, patient.marrow_fat_fraction, marrow, MappingProxyType(soft))
