"""One vertebra as fields: how much trabecular bone, cortex and arch each voxel holds.

The vertebra's own frame is ``(u, v, w)`` in mm: left, posterior, superior, from the centre of the
body. A thin shell is the difference of two coverages, so its mineral is right however coarse the
voxels are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscope.simulation.patient_spec import VertebraSpec
from osteoscope.simulation.signed_distance import Field, coverage, superellipse
from osteoscope.simulation.vertebra_arch import arch_cortex_mm, arch_distance

CORTEX_MG_CM3 = 1050.0
OSTEOPHYTE_MG_CM3 = 450.0
RIM_SHARE = 0.75
"""The ring apophysis: outside this share of the half depth the endplates are flat."""
BODY_POWER = 3.0
WAIST = 0.07
POSTERIOR_CONCAVITY_MM = 1.8

CORPUS_BORDER, CORPUS = 49, 50


@dataclass(frozen=True, eq=False)
class VertebraFields:
    """What each voxel of a box holds, as volume shares unless stated otherwise.

    Args:
        trabecular: Cancellous bone of the body.
        cortex: Compact bone: walls, endplates, shell of the arch.
        arch: Cancellous bone of the arch.
        osteophyte: Bone grown beyond the body's rims.
        extra_mineral_mg_cm3: Mineral that sclerosis adds, averaged over the voxel.
        body: All of the body: trabecular bone, its cortex and osteophytes.
        subregion: uint8, TPTBox subregion numbers where the vertebra fills half of the voxel.
    """

    trabecular: Field
    cortex: Field
    arch: Field
    osteophyte: Field
    extra_mineral_mg_cm3: Field
    body: Field
    subregion: NDArray[np.uint8]

    @property
    def whole(self) -> Field:
        """Share of each voxel that is this vertebra."""
        return self.trabecular + self.cortex + self.arch + self.osteophyte


def endplate_height(spec: VertebraSpec, u: Field, v: Field) -> Field:
    """Full body height above each point of the vertebra's plane, mm.

    Anterior and posterior heights hold on flat rims (the outer quarter of the half depth); between
    them the height runs linearly, less a paraboloid that brings the centre to ``middle_mm``.
    """
    half_depth, half_width = spec.depth_mm / 2, spec.width_mm / 2
    along = np.clip(v / np.float32(RIM_SHARE * half_depth), np.float32(-1), np.float32(1))
    mean = (spec.anterior_mm + spec.posterior_mm) / 2
    rim = np.float32(mean) + np.float32((spec.posterior_mm - spec.anterior_mm) / 2) * along
    across = u / np.float32(RIM_SHARE * half_width)
    bowl = np.maximum(np.float32(1) - across**2 - along**2, np.float32(0))
    return np.asarray(rim - np.float32(mean - spec.middle_mm) * bowl, dtype=np.float32)


def side_distance(spec: VertebraSpec, u: Field, v: Field, w: Field) -> Field:
    """Signed distance to the body's side wall: a superellipse with a waist, hollow behind."""
    half_height = np.float32((spec.anterior_mm + spec.posterior_mm) / 4)
    rise = np.clip(np.abs(w) / half_height, np.float32(0), np.float32(1.2))
    shrink = np.float32(1) - np.float32(WAIST) * np.maximum(np.float32(1) - rise**2, np.float32(0))
    u_scaled, v_scaled = u / shrink, v / shrink
    half_width = spec.width_mm / 2
    inner = np.maximum(
        np.float32(1) - (u_scaled / np.float32(0.6 * half_width)) ** 2, np.float32(0)
    )
    hollow = np.where(v_scaled > 0, np.float32(POSTERIOR_CONCAVITY_MM) * inner, np.float32(0))
    distance = superellipse(u_scaled, v_scaled + hollow, half_width, spec.depth_mm / 2, BODY_POWER)
    return distance * shrink


def _osteophyte_reach(spec: VertebraSpec, v: Field, w: Field, half: Field) -> Field:
    """How far bone reaches beyond the wall: a lip at each endplate, in front and at the sides."""
    lip = np.exp(-(((half - np.abs(w)) / np.float32(3.0)) ** 2))
    front = np.clip(np.float32(0.35) - v / np.float32(spec.depth_mm / 2), 0, 1)
    return np.asarray(np.float32(spec.osteophyte_mm) * lip * front, dtype=np.float32)


def trabecular_share(
    spec: VertebraSpec,
    point: tuple[Field, Field, Field],
    in_plane_mm: float,
    slice_mm: float,
) -> Field:
    """The body's cancellous bone alone, as :func:`vertebra_fields` has it."""
    u, v, w = point
    side = side_distance(spec, u, v, w)
    plate = np.abs(w) - endplate_height(spec, u, v) / np.float32(2)
    return _inside_shell(spec, (side, plate), in_plane_mm, slice_mm)


def _inside_shell(
    spec: VertebraSpec, depth: tuple[Field, Field], in_plane_mm: float, slice_mm: float
) -> Field:
    """Share of each voxel inside wall and endplates, from the distances to their outside."""
    side, plate = depth
    wall = coverage(side + np.float32(spec.cortex_mm), in_plane_mm)
    return wall * coverage(plate + np.float32(spec.endplate_mm), slice_mm)


def vertebra_fields(
    spec: VertebraSpec,
    point: tuple[Field, Field, Field],
    in_plane_mm: float,
    slice_mm: float,
) -> VertebraFields:
    """Evaluate a vertebra on a box of points.

    Args:
        spec: The vertebra.
        point: ``(u, v, w)`` of every voxel, (z, y, x) each, mm in the vertebra's frame.
        in_plane_mm: Voxel size across the vertebra's axis.
        slice_mm: Voxel size along it.

    Returns:
        Volume shares that are zero outside the vertebra and sum to at most one.
    """
    u, v, w = point
    half = endplate_height(spec, u, v) / np.float32(2)
    side = side_distance(spec, u, v, w)
    plate = np.abs(w) - half
    outer = coverage(side, in_plane_mm) * coverage(plate, slice_mm)
    inner = _inside_shell(spec, (side, plate), in_plane_mm, slice_mm)
    if spec.osteophyte_mm > 0:
        reach = side - _osteophyte_reach(spec, v, w, half)
        grown = coverage(reach, in_plane_mm) * coverage(plate, slice_mm)
        osteophyte = np.maximum(grown - outer, np.float32(0))
    else:
        osteophyte = np.zeros_like(outer)

    to_arch, facet_share, region = arch_distance(spec, point, in_plane_mm)
    room = np.float32(1) - outer - osteophyte
    whole_arch = coverage(to_arch, in_plane_mm) * room
    arch = coverage(to_arch + np.float32(arch_cortex_mm(spec)), in_plane_mm) * room
    near_plate = np.clip((plate + np.float32(4.0)) / np.float32(4.0), 0, 1)
    extra = np.float32(spec.endplate_sclerosis_mg_cm3) * near_plate * inner
    extra = extra + np.float32(spec.facet_sclerosis_mg_cm3) * facet_share * arch
    body = outer + osteophyte
    subregion = np.where(
        body >= 0.5,
        np.where(inner >= 0.5, np.uint8(CORPUS), np.uint8(CORPUS_BORDER)),
        np.where(body + whole_arch >= 0.5, region, np.uint8(0)),
    ).astype(np.uint8)
    return VertebraFields(
        trabecular=inner,
        cortex=(outer - inner) + (whole_arch - arch),
        arch=arch,
        osteophyte=osteophyte,
        extra_mineral_mg_cm3=np.asarray(extra, dtype=np.float32),
        body=body,
        subregion=subregion,
    )


def mineral_mg_cm3(spec: VertebraSpec, fields: VertebraFields) -> Field:
    """Mineral per volume of each voxel, mg/cm3: what a projection of the body sums."""
    total = (
        fields.trabecular * np.float32(spec.trabecular_vbmd_mg_cm3)
        + fields.cortex * np.float32(CORTEX_MG_CM3)
        + fields.arch * np.float32(spec.arch_vbmd_mg_cm3)
        + fields.osteophyte * np.float32(OSTEOPHYTE_MG_CM3)
        + fields.extra_mineral_mg_cm3
    )
    return np.asarray(total, dtype=np.float32)
