"""Draw a patient: size, density, degeneration and disease, correlated as they are in people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from osteoscope.core.errors import InputError
from osteoscope.simulation.fractures import FRACTURE_NAMES, fractured
from osteoscope.simulation.levels import REFERENCE, levels_with
from osteoscope.simulation.patient_spec import DefectKind, PatientSpec, VertebraSpec

__all__ = ["CohortSpec", "PatientSpec", "VertebraSpec", "sample_patient"]

LEVEL_DENSITY = {
    "T10": 1.05, "T11": 1.04, "T12": 1.02, "T13": 1.01, "L1": 1.0, "L2": 0.98, "L3": 0.97,
    "L4": 0.985, "L5": 1.0, "L6": 1.0,
}  # fmt: skip
"""Trabecular density by level relative to L1. Chosen: a slight fall from T10 to L3, with T12 above
L4 by the 3-4 % of 193 and 186 mg/cm3 (QCT, doi 10.1097/00004728-200101000-00027)."""

WALL_MM, ENDPLATE_SHARE, ARCH_MG_CM3 = 0.69, 1.4, 212.0
"""At 50 years, of an average skeleton: the body's wall, its endplates over it, and cancellous bone
of the arch. Chosen so that the areal density stays that of the population (mean T -1.3)
with bodies and arches of people's size; wall and arch cortex then are 0.5-0.7 mm thick, and some
six tenths of a vertebra's mineral are in its body, as ashed (Nottestad et al., JBMR 1987)."""

SIZE_SD, FORM_SD = 0.045, 0.025
"""Spread between people of one sex of the skeleton's size, and of each side of their vertebrae
beside it: together 5-6 % of a length, near the 6-7 % of published series."""

_IN_VERTEBRA: dict[str, DefectKind] = {
    "metal": "screws",
    "cement": "cement",
    "bone_island": "bone_island",
    "schmorl_node": "schmorl_node",
    "lytic_focus": "lytic_focus",
}
DEFECT_NAMES = (*FRACTURE_NAMES, *_IN_VERTEBRA, "hip_implant", "T13", "L6")
"""What ``sample_patient(defects=...)`` takes, alone or with a level, as in ``cement:L2``."""


@dataclass(frozen=True)
class CohortSpec:
    """The population that patients are drawn from.

    The defaults were tuned until the trabecular attenuation of L1 separates osteoporosis by DXA
    with an AUC near 0.80, inside the 0.74-0.83 of the literature, at a prevalence near 17 %. What
    weakens it is what does in people: cortex and arch that follow trabecular bone loosely,
    sclerotic facets (doi 10.21129/nerve.2021.7.2.64), osteophytes, a calcified aorta and fat in
    the marrow.

    Args:
        age_range_years: Youngest and oldest.
        female_share: Share of women.
        vbmd_at_50_mg_cm3: Mean trabecular density of L1 at 50 years.
        vbmd_loss_mg_cm3_year: Loss a year after 50.
        vbmd_sd_mg_cm3: Spread between people of one age.
        shell_correlation: How closely cortex and arch follow trabecular density, 0-1.
        shell_sd: Spread of cortical thickness and arch density between people, as a share.
        osteophyte_prevalence: Share with osteophytes at 50; it rises by 1 % a year.
        facet_prevalence: Share with sclerotic facets at 50; it rises by 1 % a year.
        calcification_prevalence: Share with a calcified aorta at 50; it rises by 1.5 % a year.
    """

    age_range_years: tuple[float, float] = (50.0, 90.0)
    female_share: float = 0.7
    vbmd_at_50_mg_cm3: float = 141.0
    vbmd_loss_mg_cm3_year: float = 1.35
    vbmd_sd_mg_cm3: float = 25.0
    shell_correlation: float = 0.05
    shell_sd: float = 0.18
    osteophyte_prevalence: float = 0.4
    facet_prevalence: float = 0.4
    calcification_prevalence: float = 0.2

    def __post_init__(self) -> None:
        low, high = self.age_range_years
        if not 18.0 <= low <= high <= 110.0:
            raise InputError(f"Ages must rise within 18-110 years, not {low:g} to {high:g}.")
        shares = (
            self.female_share, self.shell_correlation, self.osteophyte_prevalence,
            self.facet_prevalence, self.calcification_prevalence,
        )  # fmt: skip
        if min(shares) < 0.0 or max(shares) > 1.0:
            raise InputError("Shares and prevalences of a cohort must lie in 0-1.")


def sample_patient(
    rng: np.random.Generator,
    *,
    defects: Sequence[str] = (),
    cohort: CohortSpec | None = None,
) -> PatientSpec:
    """Draw one patient; without ``defects`` nothing is planted that a quality flag looks for.

    Args:
        rng: The only source of chance.
        defects: Names from ``DEFECT_NAMES``, each alone (a level between T11 and L4 is drawn) or
            with a level after a colon.
        cohort: The population; default ages 50-90.

    Raises:
        InputError: A defect or its level is unknown, or both variants are asked for.
    """
    cohort = cohort or CohortSpec()
    wanted = [_parse(name) for name in defects]
    variants = [name for name, _ in wanted if name in ("T13", "L6")]
    if len(variants) > 1:
        raise InputError("A simulated patient has one variant at most: T13 or L6.")
    variant: Literal["T13", "L6"] | None = None
    if variants:
        variant = "T13" if variants[0] == "T13" else "L6"
    patient = _healthy(rng, cohort, variant)
    taken: set[str] = set()
    for name, level in wanted:
        patient = _plant(patient, name, level, rng, taken)
    return patient


def _parse(text: str) -> tuple[str, str | None]:
    name, _, level = text.partition(":")
    if name not in DEFECT_NAMES:
        raise InputError(f"Unknown defect {name!r}; known: {', '.join(DEFECT_NAMES)}.")
    return name, level or None


def _plant(
    patient: PatientSpec,
    name: str,
    level: str | None,
    rng: np.random.Generator,
    taken: set[str],
) -> PatientSpec:
    """The patient with one defect more; levels drawn by chance are not used twice."""
    if name in ("T13", "L6"):
        return patient
    if name == "hip_implant":
        return replace(patient, hip_implant=True)
    free = [v for v in ("T11", "T12", "L1", "L2", "L3", "L4") if v in patient.by_level]
    free = [v for v in free if v not in taken] or free
    chosen = level or str(rng.choice(free))
    if chosen not in patient.by_level:
        raise InputError(f"No vertebra {chosen} to plant {name} in; there are {patient.levels}.")
    taken.add(chosen)
    old = patient.by_level[chosen]
    if name in FRACTURE_NAMES:
        new = fractured(old, name, rng, _neighbours_mm(patient, chosen))
    else:
        new = replace(old, defects=(*old.defects, _IN_VERTEBRA[name]))
    return replace(
        patient, vertebrae=tuple(new if v.level == chosen else v for v in patient.vertebrae)
    )


def _neighbours_mm(patient: PatientSpec, level: str) -> float:
    """Mean posterior height of the vertebrae next to a level."""
    place = patient.levels.index(level)
    near = [patient.vertebrae[i] for i in (place - 1, place + 1) if 0 <= i < len(patient.levels)]
    return float(np.mean([v.posterior_mm for v in near]))


def _healthy(
    rng: np.random.Generator, cohort: CohortSpec, variant: Literal["T13", "L6"] | None
) -> PatientSpec:
    """A patient with age-related density and degeneration only."""
    female = bool(rng.random() < cohort.female_share)
    age = float(rng.uniform(*cohort.age_range_years))
    scale = float(np.clip(rng.normal(0.975 if female else 1.07, SIZE_SD), 0.86, 1.20))
    form = rng.normal(1.0, FORM_SD, size=3)
    trabecular_z, shell_z = rng.normal(size=2)
    rho = cohort.shell_correlation
    shell_z = rho * trabecular_z + np.sqrt(1 - rho**2) * shell_z
    mean = cohort.vbmd_at_50_mg_cm3 - cohort.vbmd_loss_mg_cm3_year * (age - 50.0)
    l1 = float(np.clip(mean + cohort.vbmd_sd_mg_cm3 * trabecular_z, 20.0, 260.0))
    years = max(age - 50.0, 0.0)
    osteophytes = rng.random() < cohort.osteophyte_prevalence + 0.01 * years
    facets = rng.random() < cohort.facet_prevalence + 0.01 * years
    calcified = rng.random() < cohort.calcification_prevalence + 0.015 * years
    severity = rng.gamma(2.0, 0.5, size=3)
    thinning = 1.0 - 0.004 * years
    shell = thinning * max(1.0 + cohort.shell_sd * shell_z, 0.4)
    cortex = float(np.clip(WALL_MM * shell, 0.2, 1.2))
    arch = float(np.clip(ARCH_MG_CM3 * shell, 60.0, 500.0))
    vertebrae = []
    for level in levels_with(variant):
        vertebrae.append(
            _vertebra(
                level,
                size=(scale * float(form[0]), scale * float(form[1]), scale * float(form[2])),
                vbmd=l1,
                shell=(cortex, arch),
                wear=(
                    float(osteophytes * min(severity[0], 2.5) * 2.6),
                    float(facets * min(severity[1], 2.5) * 120.0),
                ),
                rng=rng,
            )
        )
    half_width = float(np.clip(rng.normal(152.0 if female else 165.0, 12.0), 128.0, 190.0))
    return PatientSpec(
        age_years=round(age, 1),
        sex="F" if female else "M",
        body_scale=scale,
        body_half_width_mm=half_width,
        body_half_depth_mm=float(np.clip(half_width * rng.normal(0.70, 0.03), 92.0, 135.0)),
        subcutaneous_fat_mm=float(np.clip(rng.normal(20.0 if female else 15.0, 5.0), 6.0, 32.0)),
        marrow_fat_fraction=float(np.clip(rng.normal(0.46 + 0.005 * years, 0.09), 0.25, 0.8)),
        vertebrae=tuple(vertebrae),
        lordosis=float(np.clip(rng.normal(1.0, 0.12), 0.7, 1.3)),
        scoliosis_deg=float(np.clip(rng.normal(0.0, 3.0), -8.0, 8.0)),
        aortic_calcification=float(calcified * min(severity[2] / 2.5, 1.0)),
        variant=variant,
        dxa_noise_sd=float(rng.normal()),
        texture_seed=int(rng.integers(2**31)),
    )


def _vertebra(
    level: str,
    *,
    size: tuple[float, float, float],
    vbmd: float,
    shell: tuple[float, float],
    wear: tuple[float, float],
    rng: np.random.Generator,
) -> VertebraSpec:
    """One level: the reference vertebra times the patient's height, width and depth, with its own
    small spread."""
    ref = REFERENCE[level]
    height = ref.height_mm * size[0] * float(rng.normal(1.0, 0.012))
    wedge = ref.wedge * float(rng.normal(1.0, 0.012))
    anterior = 2.0 * height * wedge / (1.0 + wedge)
    posterior = 2.0 * height - anterior
    own = float(np.clip(rng.normal(1.0, 0.04), 0.88, 1.12))
    lumbar = level.startswith("L")
    wear_here = float(rng.uniform(0.4, 1.2)) * (1.0 if lumbar else 0.5)
    return VertebraSpec(
        level=level,
        trabecular_vbmd_mg_cm3=vbmd * LEVEL_DENSITY[level] * own,
        arch_vbmd_mg_cm3=shell[1],
        cortex_mm=shell[0],
        endplate_mm=shell[0] * ENDPLATE_SHARE,
        anterior_mm=anterior,
        middle_mm=height * float(np.clip(rng.normal(0.955, 0.008), 0.93, 0.98)),
        posterior_mm=posterior,
        width_mm=ref.width_mm * size[1] * float(rng.normal(1.0, 0.015)),
        depth_mm=ref.depth_mm * size[2] * float(rng.normal(1.0, 0.015)),
        disc_mm=ref.disc_mm * size[0] * float(rng.uniform(0.75, 1.1)),
        osteophyte_mm=wear[0] * wear_here,
        endplate_sclerosis_mg_cm3=wear[0] * wear_here * 12.0,
        facet_sclerosis_mg_cm3=wear[1] * wear_here,
    )
