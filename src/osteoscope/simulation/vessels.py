"""The aorta with its calcified wall, the iliac arteries and the inferior vena cava."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.label_schemes import label_scheme
from osteoscope.simulation.canvas import Canvas
from osteoscope.simulation.patient_spec import PatientSpec
from osteoscope.simulation.signed_distance import Point, capsule, coverage
from osteoscope.simulation.spine import VertebraFrame
from osteoscope.simulation.tissue_values import TissueValues

PLAQUE_MG_CM3 = 700.0


@dataclass(frozen=True)
class Plaque:
    """A calcified stretch of the aortic wall: a capsule, in LPS mm."""

    start: Point
    end: Point
    radius_mm: float

    @property
    def mass_g(self) -> float:
        """Its mineral."""
        length = float(np.linalg.norm(np.subtract(self.end, self.start)))
        volume = np.pi * self.radius_mm**2 * length + 4 / 3 * np.pi * self.radius_mm**3
        return float(volume * PLAQUE_MG_CM3 * 1e-6)


@dataclass(frozen=True, eq=False)
class Vessel:
    """A vessel as a chain of capsules.

    Args:
        name: Structure name in the label schemes.
        points_mm: (n, 3) its line, LPS.
        radius_mm: Its radius.
        tissue: Key of the tissue values.
    """

    name: str
    points_mm: NDArray[np.float64]
    radius_mm: float
    tissue: str


def vessels_of(patient: PatientSpec, frames: dict[str, VertebraFrame]) -> tuple[Vessel, ...]:
    """Aorta, cava and iliac arteries along a patient's spine."""
    k = patient.body_scale
    radius = (9.0 if patient.sex == "F" else 10.5) * k
    bodies = sorted(frames.values(), key=lambda f: -f.centre_mm[2])
    aorta, cava = [], []
    for frame in bodies:
        front = -frame.spec.depth_mm / 2 - radius - 3.0
        cava.append(frame.to_world((-14.0 * k, front + 1.0, 0.0)))
        if frame.spec.level not in ("L5", "L6", "S1"):
            aorta.append(frame.to_world((9.0 * k, front, 0.0)))
    up = np.array([0.0, 0.0, 60.0])
    aorta.insert(0, aorta[0] + up)
    cava.insert(0, cava[0] + up)
    fork, pelvis = aorta[-1], frames["S1"].to_world((0.0, -frames["S1"].spec.depth_mm / 2, -8.0))
    iliac = radius * 0.55
    out = [
        Vessel("inferior_vena_cava", np.stack(cava), radius * 1.05, "vein"),
        Vessel("aorta", np.stack(aorta), radius, "aorta"),
    ]
    for side, name in ((1.0, "iliac_artery_left"), (-1.0, "iliac_artery_right")):
        end = pelvis + np.array([side * 42.0 * k, -6.0, -20.0])
        out.append(Vessel(name, np.stack([fork, end]), iliac, "aorta"))
    return tuple(out)


def plaques_of(patient: PatientSpec, aorta: Vessel) -> tuple[Plaque, ...]:
    """Plaques in the aortic wall: their number grows with the calcification, lowest first."""
    count = round(patient.aortic_calcification * 24)
    rng = np.random.default_rng([patient.texture_seed, 52])
    points = aorta.points_mm[1:]
    low, high = points[-1], points[max(len(points) - 4, 0)]
    out = []
    for _ in range(count):
        centre = low + (high - low) * float(rng.beta(1.0, 1.6))
        angle = float(rng.uniform(0, 2 * np.pi))
        wall = np.array([np.cos(angle), np.sin(angle), 0.0]) * aorta.radius_mm
        along = np.array([0.0, 0.0, float(rng.uniform(2.0, 6.0))])
        start, end = centre + wall - along, centre + wall + along
        out.append(
            Plaque(
                (float(start[0]), float(start[1]), float(start[2])),
                (float(end[0]), float(end[1]), float(end[2])),
                float(rng.uniform(1.0, 2.2)),
            )
        )
    return tuple(out)


def paint_vessels(
    canvas: Canvas,
    patient: PatientSpec,
    frames: dict[str, VertebraFrame],
    values: TissueValues,
) -> None:
    """Paint and label the vessels and their plaques."""
    names = label_scheme("totalsegmentator").structures
    for vessel in vessels_of(patient, frames):
        points = vessel.points_mm
        for start, end in pairwise(points):
            _capsule(
                canvas, (_point(start), _point(end)), vessel.radius_mm,
                values.soft[vessel.tissue], names[vessel.name],
            )  # fmt: skip
        if vessel.name == "aorta":
            for plaque in plaques_of(patient, vessel):
                hu = values.bone(PLAQUE_MG_CM3)
                _capsule(canvas, (plaque.start, plaque.end), plaque.radius_mm, hu, 0)


def _point(p: NDArray[np.float64]) -> Point:
    return float(p[0]), float(p[1]), float(p[2])


def _capsule(
    canvas: Canvas, ends: tuple[Point, Point], radius_mm: float, hu: float, label: int
) -> None:
    reach = radius_mm + canvas.in_plane_mm
    box = canvas.box(np.minimum(*ends) - reach, np.maximum(*ends) + reach)
    if box is None:
        return
    share = coverage(capsule(canvas.points(box), *ends, radius_mm), canvas.in_plane_mm)
    canvas.blend(box, share, hu)
    if label:
        canvas.totalsegmentator[box][share >= 0.5] = label
