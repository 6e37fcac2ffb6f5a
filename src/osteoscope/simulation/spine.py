"""Where each vertebra stands: a stack of bodies and discs along the lordosis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscope.simulation.levels import REFERENCE
from osteoscope.simulation.patient_spec import PatientSpec, VertebraSpec
from osteoscope.simulation.signed_distance import Field

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class VertebraFrame:
    """Place and direction of a vertebra in LPS.

    Args:
        spec: The vertebra.
        centre_mm: (3,) centre of the body.
        axes: (3, 3) rows are the unit vectors left, posterior and superior of the vertebra.
    """

    spec: VertebraSpec
    centre_mm: Vector
    axes: Vector

    def to_local(self, x: Field, y: Field, z: Field) -> tuple[Field, Field, Field]:
        """``(u, v, w)`` of LPS points given as broadcastable arrays, mm."""
        dx, dy, dz = (p - np.float32(c) for p, c in zip((x, y, z), self.centre_mm, strict=True))
        rows = self.axes.astype(np.float32)
        u, v, w = (dx * r[0] + dy * r[1] + dz * r[2] for r in rows)
        return u, v, w

    def to_world(self, local: tuple[float, float, float]) -> Vector:
        """(3,) LPS mm of a point in the vertebra's frame."""
        return self.centre_mm + np.asarray(local, dtype=np.float64) @ self.axes

    @property
    def canal_mm(self) -> Vector:
        """(3,) centre of the spinal canal behind the body."""
        return self.to_world((0.0, self.spec.depth_mm / 2 + 8.5 * self.spec.width_mm / 42, 0.0))


def _axes(forward_deg: float, left_deg: float) -> Vector:
    """Axes of a vertebra whose superior axis leans forward and to the left by the angles."""
    a, b = np.deg2rad(forward_deg), np.deg2rad(left_deg)
    superior = np.array([np.sin(b), -np.sin(a) * np.cos(b), np.cos(a) * np.cos(b)])
    posterior = np.array([0.0, superior[2], -superior[1]])
    posterior /= np.linalg.norm(posterior)
    return np.stack([np.cross(posterior, superior), posterior, superior])


def sacral_body(patient: PatientSpec) -> VertebraSpec:
    """The first sacral body, sized by the patient; its density follows the lowest lumbar one."""
    lowest = patient.vertebrae[-1]
    ref = REFERENCE["S1"]
    k = patient.body_scale
    return VertebraSpec(
        level="S1",
        trabecular_vbmd_mg_cm3=lowest.trabecular_vbmd_mg_cm3 * 0.9,
        arch_vbmd_mg_cm3=lowest.arch_vbmd_mg_cm3 * 0.8,
        cortex_mm=lowest.cortex_mm,
        endplate_mm=lowest.endplate_mm,
        anterior_mm=ref.height_mm * k * 1.05,
        middle_mm=ref.height_mm * k * 0.98,
        posterior_mm=ref.height_mm * k * 0.95,
        width_mm=ref.width_mm * k,
        depth_mm=ref.depth_mm * k,
        disc_mm=0.0,
    )


def spine_frames(patient: PatientSpec) -> dict[str, VertebraFrame]:
    """Frame of every vertebra from S1 (included) up, with L3's centre at the origin.

    Raises:
        InputError: Never for a valid spec; a spine without L3 has its lowest body at the origin.
    """
    stack = (*patient.vertebrae, sacral_body(patient))
    count = len(stack)
    frames: dict[str, VertebraFrame] = {}
    below: VertebraFrame | None = None
    for index in range(count - 1, -1, -1):
        spec = stack[index]
        height_share = (count - 1 - index) / max(count - 1, 1)
        sway = patient.scoliosis_deg / 2 * np.cos(np.pi * (height_share * 1.4 - 0.2))
        axes = _axes(REFERENCE[spec.level].tilt_deg * patient.lordosis, float(sway))
        if below is None:
            centre = np.zeros(3)
        else:
            top = below.centre_mm + below.axes[2] * _mean_height(below.spec) / 2
            between = below.axes[2] + axes[2]
            between /= np.linalg.norm(between)
            centre = top + between * spec.disc_mm + axes[2] * _mean_height(spec) / 2
        below = VertebraFrame(spec, centre, axes)
        frames[spec.level] = below
    origin = frames.get("L3", below)
    assert origin is not None  # the stack always holds S1
    shift = origin.centre_mm
    return {
        level: VertebraFrame(f.spec, f.centre_mm - shift, f.axes) for level, f in frames.items()
    }


def _mean_height(spec: VertebraSpec) -> float:
    return (spec.anterior_mm + spec.posterior_mm) / 2


def line_through(points: Vector, z_mm: Vector) -> tuple[Vector, Vector]:
    """x and y at heights ``z_mm`` of the line through (n, 3) points, upright beyond its ends."""
    known = points[np.argsort(points[:, 2])]
    x = np.interp(z_mm, known[:, 2], known[:, 0])
    y = np.interp(z_mm, known[:, 2], known[:, 1])
    return np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
