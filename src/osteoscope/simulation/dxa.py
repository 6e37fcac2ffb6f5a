"""The patient's DXA from the same body: mineral projected front to back over L1-L4.

Areal BMD is the mineral in the region over the bone's projected area. Everything in the way
counts: bodies, cortex, arches, osteophytes, sclerotic facets and plaques in the aorta.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from osteoscope.core import who
from osteoscope.core.dxa_reference import DxaReference, dxa_reference
from osteoscope.core.errors import InputError
from osteoscope.simulation.patient_spec import PatientSpec
from osteoscope.simulation.signed_distance import Field
from osteoscope.simulation.spine import VertebraFrame, spine_frames
from osteoscope.simulation.vertebra_shape import mineral_mg_cm3, vertebra_fields
from osteoscope.simulation.vessels import plaques_of, vessels_of

WhoClass = Literal["normal", "osteopenia", "osteoporosis"]
_WHO_NAMES: tuple[WhoClass, ...] = get_args(WhoClass)

DXA_LEVELS = ("L1", "L2", "L3", "L4")
STEP_MM = 2.5
LATERAL_MARGIN_MM = 4.0
"""The region's sides lie this far outside the body; transverse processes are cut off."""
EDGE_G_CM2 = 0.20
"""Projected mineral above which a pixel counts as bone, as an edge detector would draw it."""
PRECISION_CV = 0.0108
"""Short-term precision of Hologic at the spine, mean of 57 studies (Wilson and Smith, Hologic)."""


HOLOGIC_WOMEN_L1_L4 = dxa_reference("hologic-women-l1-l4")
"""One reference for both sexes, as the WHO's definition has it; the values commonly quoted for this
manufacturer (after Kelly, J Bone Miner Res 1990), whose tables are not public."""


@dataclass(frozen=True)
class DxaTruth:
    """A DXA examination of a simulated patient.

    Args:
        areal_bmd_g_cm2: Error-free areal BMD of each of L1-L4.
        area_cm2: Projected bone area of each.
        total_g_cm2: Error-free areal BMD of L1-L4 together.
        measured_g_cm2: The same with this examination's precision error.
        t_score: From the measured value.
        who_class: From the T-score, rounded to one decimal as reports print it.
        reference: The reference, in words.
    """

    areal_bmd_g_cm2: Mapping[str, float]
    area_cm2: Mapping[str, float]
    total_g_cm2: float
    measured_g_cm2: float
    t_score: float
    who_class: WhoClass
    reference: str


def who_class(t_score: float) -> WhoClass:
    """Name of the WHO class: see :func:`osteoscope.core.who.who_class`."""
    return _WHO_NAMES[who.who_class(t_score)]


def examine_dxa(
    patient: PatientSpec,
    reference: DxaReference = HOLOGIC_WOMEN_L1_L4,
    step_mm: float = STEP_MM,
) -> DxaTruth:
    """Project a patient's mineral over L1-L4 and score it; no CT is rendered.

    Args:
        patient: The patient; L1-L4 must be there.
        reference: What the T-score is relative to.
        step_mm: Spacing of the points that the mineral is summed over.

    Raises:
        InputError: A level of L1-L4 is missing.
    """
    if any(level not in patient.by_level for level in DXA_LEVELS):
        raise InputError("A simulated DXA needs L1 to L4; the patient lacks one of them.")
    frames = spine_frames(patient)
    regions = _regions(frames)
    x, z = _pixels(regions, step_mm)
    bone = np.zeros((len(z), len(x)))
    for frame in frames.values():
        if frame.spec.level != "S1":
            _project(frame, x, z, bone, step_mm)
    mineral = bone + _plaques(patient, frames, x, z, step_mm)
    areal: dict[str, float] = {}
    area: dict[str, float] = {}
    mass = 0.0
    for level in DXA_LEVELS:
        low, high, left, right = regions[level]
        inside = ((z >= low) & (z < high))[:, None] & ((x > left) & (x < right))[None, :]
        edge = inside & (bone > EDGE_G_CM2)
        content = float(mineral[edge].sum()) * step_mm**2 / 100.0
        area[level] = float(np.count_nonzero(edge)) * step_mm**2 / 100.0
        areal[level] = content / area[level]
        mass += content
    total = mass / sum(area.values())
    measured = total * (1.0 + PRECISION_CV * patient.dxa_noise_sd)
    score = round((measured - reference.mean_g_cm2) / reference.sd_g_cm2, 1)
    return DxaTruth(areal, area, total, measured, score, who_class(score), reference.source)


def _regions(frames: dict[str, VertebraFrame]) -> dict[str, tuple[float, float, float, float]]:
    """Bottom, top, and x limits of each level's region: halfway through the discs."""
    out = {}
    for level in DXA_LEVELS:
        frame = frames[level]
        half = (frame.spec.anterior_mm + frame.spec.posterior_mm) / 4
        above = _above(frames, level)
        low = float(frame.to_world((0, 0, -half - frame.spec.disc_mm / 2))[2])
        high = float(frame.to_world((0, 0, half + above / 2))[2])
        reach = frame.spec.width_mm / 2 + LATERAL_MARGIN_MM
        out[level] = (low, high, frame.centre_mm[0] - reach, frame.centre_mm[0] + reach)
    return out


def _above(frames: dict[str, VertebraFrame], level: str) -> float:
    """Thickness of the disc above a level."""
    order = sorted(frames.values(), key=lambda f: float(f.centre_mm[2]))
    names = [f.spec.level for f in order]
    index = names.index(level) + 1
    return order[index].spec.disc_mm if index < len(order) else 6.0


def _pixels(
    regions: dict[str, tuple[float, float, float, float]],
    step_mm: float,
) -> tuple[Field, Field]:
    low = min(r[0] for r in regions.values())
    high = max(r[1] for r in regions.values())
    left = min(r[2] for r in regions.values())
    right = max(r[3] for r in regions.values())
    return (
        np.arange(left, right + step_mm, step_mm, dtype=np.float32),
        np.arange(low, high + step_mm, step_mm, dtype=np.float32),
    )


def _project(
    frame: VertebraFrame,
    x: Field,
    z: Field,
    bone: NDArray[np.float64],
    step_mm: float,
) -> None:
    """Add one vertebra's mineral in g/cm2 to the map."""
    spec, s = frame.spec, frame.spec.width_mm / 42.0
    reach_z = (-32.0 * s - 4.0, 22.0 * s + 4.0)
    rows = (z > frame.centre_mm[2] + reach_z[0]) & (z < frame.centre_mm[2] + reach_z[1])
    if not rows.any():
        return
    depth = spec.depth_mm / 2
    y = np.arange(
        frame.centre_mm[1] - depth - 14.0, frame.centre_mm[1] + depth + 56.0 * s, step_mm,
        dtype=np.float32,
    )  # fmt: skip
    point = frame.to_local(x[None, None, :], y[None, :, None], z[rows][:, None, None])
    fields = vertebra_fields(spec, point, step_mm, step_mm)
    bone[rows] += mineral_mg_cm3(spec, fields).sum(axis=1) * (step_mm / 10.0) / 1000.0


def _plaques(
    patient: PatientSpec, frames: dict[str, VertebraFrame], x: Field, z: Field, step_mm: float
) -> Field:
    """(nz, nx) mineral of aortic plaques, g/cm2."""
    out = np.zeros((len(z), len(x)), dtype=np.float32)
    aorta = next(v for v in vessels_of(patient, frames) if v.name == "aorta")
    for plaque in plaques_of(patient, aorta):
        for share in (0.1, 0.3, 0.5, 0.7, 0.9):
            spot = np.asarray(plaque.start) * (1 - share) + np.asarray(plaque.end) * share
            i = round(float((spot[0] - x[0]) / step_mm))
            k = round(float((spot[2] - z[0]) / step_mm))
            if 0 <= i < len(x) and 0 <= k < len(z):
                out[k, i] += plaque.mass_g / 5.0 / (step_mm / 10.0) ** 2
    return out
