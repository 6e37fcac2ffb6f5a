"""What a simulated patient is made of: every number that the renderer turns into anatomy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from osteoscope.core.errors import InputError

FractureType = Literal["wedge", "biconcave", "crush"]
DefectKind = Literal["screws", "cement", "bone_island", "schmorl_node", "lytic_focus"]


@dataclass(frozen=True)
class VertebraSpec:
    """One vertebra.

    Args:
        level: ``T10`` to ``L6``.
        trabecular_vbmd_mg_cm3: Hydroxyapatite density inside the body, mg/cm3.
        arch_vbmd_mg_cm3: The same inside the arch and its processes.
        cortex_mm: Thickness of the body's side wall.
        endplate_mm: Thickness of each endplate.
        anterior_mm: Body height at the anterior margin, after any fracture.
        middle_mm: Body height in its centre.
        posterior_mm: Body height at the posterior margin.
        width_mm: Left to right at the endplates.
        depth_mm: Front to back.
        disc_mm: Thickness of the disc below.
        osteophyte_mm: How far osteophytes reach beyond the rims, 0 for none.
        endplate_sclerosis_mg_cm3: Mineral added within 4 mm of the endplates.
        facet_sclerosis_mg_cm3: Mineral added to the facets.
        fracture_type: Shape of the fracture, or None.
        fracture_grade: Genant's grade, 0 to 3.
        defects: Things planted in this vertebra.
    """

    level: str
    trabecular_vbmd_mg_cm3: float
    arch_vbmd_mg_cm3: float
    cortex_mm: float
    endplate_mm: float
    anterior_mm: float
    middle_mm: float
    posterior_mm: float
    width_mm: float
    depth_mm: float
    disc_mm: float
    osteophyte_mm: float = 0.0
    endplate_sclerosis_mg_cm3: float = 0.0
    facet_sclerosis_mg_cm3: float = 0.0
    fracture_type: FractureType | None = None
    fracture_grade: int = 0
    defects: tuple[DefectKind, ...] = ()

    def __post_init__(self) -> None:
        heights = (self.anterior_mm, self.middle_mm, self.posterior_mm)
        if min(heights) < 5.0 or max(heights) > 45.0:
            raise InputError(f"Body heights must lie in 5-45 mm, not {heights} at {self.level}.")
        if not 0.0 <= self.trabecular_vbmd_mg_cm3 <= 400.0:
            raise InputError(
                "Trabecular density must lie in 0-400 mg/cm3, not "
                f"{self.trabecular_vbmd_mg_cm3:g} at {self.level}."
            )
        if not 0 <= self.fracture_grade <= 3:
            raise InputError(f"A fracture's grade is 0 to 3, not {self.fracture_grade}.")


@dataclass(frozen=True)
class PatientSpec:
    """A patient: the body, the spine and what disease did to them.

    Args:
        age_years: Age.
        sex: ``F`` or ``M``.
        body_scale: Linear size of the skeleton; 1 is an average adult.
        body_half_width_mm: Half of the trunk's width.
        body_half_depth_mm: Half of the trunk's depth.
        subcutaneous_fat_mm: Thickness of the fat under the skin.
        marrow_fat_fraction: Yellow marrow's share of the marrow, 0-1.
        vertebrae: T10 (first) to the last lumbar vertebra.
        lordosis: Factor on the sagittal tilts, 0.6-1.3.
        scoliosis_deg: Cobb-like angle of a gentle lateral curve, 0 for straight.
        aortic_calcification: 0 (none) to 1 (circular calcified wall from T12 to L4).
        variant: ``T13`` or ``L6`` where the patient has one vertebra more.
        hip_implant: A metal hip joint on the left.
        dxa_noise_sd: The DXA's precision error in standard deviations, drawn once.
        texture_seed: Seeds the trabecular texture.
    """

    age_years: float
    sex: Literal["F", "M"]
    body_scale: float
    body_half_width_mm: float
    body_half_depth_mm: float
    subcutaneous_fat_mm: float
    marrow_fat_fraction: float
    vertebrae: tuple[VertebraSpec, ...]
    lordosis: float = 1.0
    scoliosis_deg: float = 0.0
    aortic_calcification: float = 0.0
    variant: Literal["T13", "L6"] | None = None
    hip_implant: bool = False
    dxa_noise_sd: float = 0.0
    texture_seed: int = 0
    by_level: dict[str, VertebraSpec] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.vertebrae:
            raise InputError("A patient needs at least one vertebra.")
        table = {v.level: v for v in self.vertebrae}
        if len(table) != len(self.vertebrae):
            raise InputError("A patient's vertebrae must each stand once.")
        object.__setattr__(self, "by_level", table)

    @property
    def levels(self) -> tuple[str, ...]:
        """Levels from the highest to the lowest."""
        return tuple(v.level for v in self.vertebrae)
