"""Painting bone: vertebrae with their discs, ribs, sacrum and iliac wings, and their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from osteoscope.core.box import Box
from osteoscope.core.label_schemes import label_scheme
from osteoscope.simulation.canvas import Canvas, Lattice
from osteoscope.simulation.patient_spec import PatientSpec
from osteoscope.simulation.signed_distance import (
    Field,
    Point,
    capsule,
    coverage,
    ellipsoid,
    superellipse,
)
from osteoscope.simulation.spine import VertebraFrame
from osteoscope.simulation.tissue_values import TissueValues
from osteoscope.simulation.torso import Trunk
from osteoscope.simulation.vertebra_shape import (
    BODY_POWER,
    CORTEX_MG_CM3,
    OSTEOPHYTE_MG_CM3,
    trabecular_share,
    vertebra_fields,
)

TEXTURE_SHARE = 0.08
TEXTURE_BAND_MM = (1.2, 3.0)
"""Standard deviations of the two blurs whose difference is the trabecular texture."""
PELVIS_MG_CM3 = 110.0
PELVIS_SHELL_MM = 1.6


def vertebra_box(voxels: Canvas | Lattice, frame: VertebraFrame) -> Box | None:
    """The box of the voxels that holds a vertebra with its processes."""
    s = frame.spec.width_mm / 42.0
    half_u = max(frame.spec.width_mm / 2 + 8.0, 43.0 * s)
    back = frame.spec.depth_mm / 2
    top = max(frame.spec.anterior_mm, frame.spec.posterior_mm) / 2 + 2.0
    corners = [
        frame.to_world((u, v, w))
        for u in (-half_u, half_u)
        for v in (-back - 9.0, back + 49.0 * s)
        for w in (-max(32.0 * s, top), max(22.0 * s, top))
    ]
    return voxels.box(np.min(corners, axis=0), np.max(corners, axis=0))


def paint_disc(canvas: Canvas, frame: VertebraFrame, values: TissueValues) -> None:
    """The disc below a vertebra, reaching into both endplates that are painted over it."""
    spec = frame.spec
    half = np.array([spec.width_mm / 2 + 3, spec.depth_mm / 2 + 3, spec.disc_mm / 2 + 7])
    centre = frame.to_world((0.0, 0.0, -(spec.anterior_mm + spec.posterior_mm) / 4))
    centre = centre - frame.axes[2] * spec.disc_mm / 2
    reach = np.abs(frame.axes.T) @ half
    box = canvas.box(centre - reach, centre + reach)
    if box is None:
        return
    u, v, w = VertebraFrame(spec, centre, frame.axes).to_local(*canvas.points(box))
    side = superellipse(u, v, spec.width_mm / 2 * 0.97, spec.depth_mm / 2 * 0.97, BODY_POWER)
    slab = np.abs(w) - np.float32(spec.disc_mm / 2 + 5.0)
    share = coverage(np.maximum(side, slab), canvas.in_plane_mm)
    canvas.blend(box, share, values.soft["disc"])


def _texture(shape: tuple[int, ...], canvas: Canvas, seed: Sequence[int]) -> Field:
    """Correlated noise of unit spread: trabecular bone is not uniform.

    It is band limited, so that every region a centimetre across has the mean that the truth says.
    """
    noise = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    voxel = np.array([canvas.slice_mm, canvas.in_plane_mm, canvas.in_plane_mm])
    fine, broad = (
        gaussian_filter(noise, mm / voxel, mode="wrap", truncate=2.5) for mm in TEXTURE_BAND_MM
    )
    texture = fine - broad
    return np.asarray(texture / max(float(texture.std()), 1e-6), dtype=np.float32)


def paint_vertebra(
    canvas: Canvas, frame: VertebraFrame, values: TissueValues, texture_seed: int
) -> None:
    """Paint one vertebra by mixing its materials in every voxel, and label it in each scheme.

    Its texture is made for all of it, also where a window holds a part of it.
    """
    whole = vertebra_box(canvas.scan, frame)
    shown = None if whole is None else canvas.part_of(whole)
    if whole is None or shown is None:
        return
    box, part = shown
    spec = frame.spec
    point = frame.to_local(*canvas.points(box))
    fields = vertebra_fields(spec, point, canvas.in_plane_mm, canvas.slice_mm)
    trabecular = np.float32(values.bone(spec.trabecular_vbmd_mg_cm3))
    weighted = (
        fields.trabecular * trabecular
        + fields.cortex * np.float32(values.bone(CORTEX_MG_CM3))
        + fields.arch * np.float32(values.bone(spec.arch_vbmd_mg_cm3))
        + fields.osteophyte * np.float32(values.bone(OSTEOPHYTE_MG_CM3))
        + fields.extra_mineral_mg_cm3 * np.float32(values.mineral_slope)
    )
    if fields.trabecular.any():
        texture = _vertebra_texture(canvas, frame, whole, texture_seed)
        if texture is not None:
            strength = np.float32(TEXTURE_SHARE * max(float(trabecular), 40.0))
            weighted += fields.trabecular * texture[part] * strength
    canvas.mix(box, fields.whole, np.asarray(weighted, dtype=np.float32))
    _label_vertebra(canvas, box, spec.level, fields.subregion)


def _vertebra_texture(
    canvas: Canvas, frame: VertebraFrame, whole: Box, texture_seed: int
) -> Field | None:
    """Texture of a vertebra's box, of mean zero inside its body; None where no voxel is inside."""
    spec = frame.spec
    point = frame.to_local(*canvas.scan.points(whole))
    core = trabecular_share(spec, point, canvas.in_plane_mm, canvas.slice_mm) >= 1.0
    if not core.any():
        return None
    texture = _texture(core.shape, canvas, [texture_seed, sum(map(ord, spec.level))])
    texture -= texture[core].mean()
    return texture


def _label_vertebra(canvas: Canvas, box: Box, level: str, subregion: NDArray[np.uint8]) -> None:
    """Write a vertebra's number in each scheme; a scheme without it leaves the voxels empty."""
    inside = subregion > 0
    for array, scheme in ((canvas.totalsegmentator, "totalsegmentator"), (canvas.verse, "verse")):
        table = label_scheme(scheme)
        whole = table.structures["sacrum"] if level == "S1" else 0
        number = table.vertebrae.get(level, whole)
        array[box][inside] = number
    if level != "S1":
        canvas.subregions[box][inside] = subregion[inside]


@dataclass(frozen=True)
class BonePart:
    """A simple bone: a distance function's corners and how to evaluate it."""

    start: Point
    end: Point
    radius_mm: float


def paint_capsules(
    canvas: Canvas,
    parts: Sequence[BonePart],
    shell_mm: float,
    hu: tuple[float, float],
    labels: tuple[int, int],
) -> None:
    """Compact bone first, marrow after it, so that joints between capsules hold no walls.

    Args:
        canvas: Painted on.
        parts: Capsules in LPS mm.
        shell_mm: Thickness of compact bone.
        hu: Compact and inner value.
        labels: Number in TotalSegmentator's and in VerSe's scheme, 0 for none.
    """
    for inner in (False, True):
        for part in parts:
            radius = part.radius_mm - shell_mm if inner else part.radius_mm
            reach = radius + canvas.in_plane_mm
            box = canvas.box(
                np.minimum(part.start, part.end) - reach, np.maximum(part.start, part.end) + reach
            )
            if box is None or radius <= 0:
                continue
            distance = capsule(canvas.points(box), part.start, part.end, radius)
            share = coverage(distance, canvas.in_plane_mm)
            canvas.blend(box, share, hu[1] if inner else hu[0])
            if not inner:
                _mark(canvas, box, share >= 0.5, labels)


def _mark(canvas: Canvas, box: Box, inside: NDArray[np.bool_], labels: tuple[int, int]) -> None:
    for array, number in ((canvas.totalsegmentator, labels[0]), (canvas.verse, labels[1])):
        if number:
            array[box][inside] = number


RIB_REACH_DEG = {"T10": 125.0, "T11": 100.0, "T12": 58.0, "T13": 45.0}


def paint_ribs(
    canvas: Canvas, frames: dict[str, VertebraFrame], trunk: Trunk, values: TissueValues
) -> None:
    """Ribs from each thoracic vertebra round the wall, falling forward; the twelfth is short."""
    names = label_scheme("totalsegmentator").structures
    shell, marrow = values.bone(900.0), values.bone(150.0)
    for level, reach in RIB_REACH_DEG.items():
        if level not in frames:
            continue
        frame = frames[level]
        for side, name in ((1.0, "left"), (-1.0, "right")):
            number = names.get(f"rib_{name}_{level[1:]}", 0)
            points = _rib_line(frame, trunk, side, reach)
            parts = [BonePart(_point(a), _point(b), 4.4) for a, b in pairwise(points)]
            paint_capsules(canvas, parts, 1.1, (shell, marrow), (number, 0))


def _rib_line(
    frame: VertebraFrame, trunk: Trunk, side: float, reach_deg: float
) -> NDArray[np.float64]:
    """(n, 3) points of a rib from its head to its tip, LPS mm."""
    s, back = frame.spec.width_mm / 42.0, frame.spec.depth_mm / 2
    head = frame.to_world((side * (frame.spec.width_mm / 2 + 3), back - 1.0, 5.0))
    tubercle = frame.to_world((side * 31 * s, back + 17 * s, 4.0))
    half = trunk.half_axes(float(frame.centre_mm[2]), trunk.fat_mm + 8.0)
    lateral = tubercle[0] + side * 14.0
    first = float(np.arcsin(np.clip(abs(lateral) / half[0], 0.0, 0.95)))
    angles = np.linspace(first, np.deg2rad(reach_deg), max(4, int(reach_deg // 9)))
    x = side * half[0] * np.sin(angles)
    y = trunk.centre_y_mm + half[1] * np.cos(angles)
    y = np.minimum(y, tubercle[1] + 8.0)
    flat = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    z = tubercle[2] - 8.0 - 0.33 * flat
    return np.concatenate([[head, tubercle], np.stack([x, y, z], axis=1)])


def _point(p: NDArray[np.float64]) -> Point:
    return float(p[0]), float(p[1]), float(p[2])


def paint_pelvis(
    canvas: Canvas, patient: PatientSpec, frames: dict[str, VertebraFrame], values: TissueValues
) -> None:
    """The sacrum below its first body, and the iliac wings."""
    s1, k = frames["S1"], patient.body_scale
    scheme = label_scheme("totalsegmentator").structures
    verse = label_scheme("verse").structures["sacrum"]
    hu = (values.bone(850.0), values.bone(PELVIS_MG_CM3))
    spots = (
        ((-30.0, 10.0, -6.0), (30.0, 10.0, -6.0), 13.0),
        ((-34.0, 16.0, -22.0), (34.0, 16.0, -22.0), 10.0),
        ((0.0, 3.0, -20.0), (0.0, 14.0, -48.0), 13.5),
        ((-20.0, 16.0, -38.0), (20.0, 16.0, -38.0), 10.0),
        ((0.0, 14.0, -48.0), (0.0, 12.0, -76.0), 9.0),
        ((0.0, 12.0, -76.0), (0.0, -2.0, -98.0), 6.0),
    )
    parts = [
        BonePart(
            _point(s1.to_world((a[0] * k, a[1] * k, a[2] * k))),
            _point(s1.to_world((b[0] * k, b[1] * k, b[2] * k))),
            r * k,
        )
        for a, b, r in spots
    ]
    paint_capsules(canvas, parts, PELVIS_SHELL_MM, hu, (scheme["sacrum"], verse))
    for side, name in ((1.0, "left"), (-1.0, "right")):
        _iliac_wing(canvas, s1, side, k, hu, scheme[f"hip_{name}"])


def _iliac_wing(
    canvas: Canvas,
    s1: VertebraFrame,
    side: float,
    scale: float,
    hu: tuple[float, float],
    label: int,
) -> None:
    """A flat ellipsoid from the sacroiliac joint outwards and forwards."""
    centre = s1.centre_mm + np.array([side * 80.0, 2.0, -18.0]) * scale
    half = np.array([8.0, 56.0, 62.0]) * scale
    turn, lean = np.deg2rad(34.0) * side, np.deg2rad(14.0) * side
    about_z = np.array(
        [[np.cos(turn), np.sin(turn), 0], [-np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
    )
    about_y = np.array(
        [[np.cos(lean), 0, -np.sin(lean)], [0, 1, 0], [np.sin(lean), 0, np.cos(lean)]]
    )
    axes = about_z @ about_y
    reach = np.sqrt(((axes.T * half) ** 2).sum(axis=1)) + 2.0
    box = canvas.box(centre - reach, centre + reach)
    if box is None:
        return
    dx, dy, dz = (p - np.float32(c) for p, c in zip(canvas.points(box), centre, strict=True))
    local = tuple(
        np.asarray(dx * r[0] + dy * r[1] + dz * r[2], dtype=np.float32)
        for r in axes.astype(np.float32)
    )
    h = (float(half[0]), float(half[1]), float(half[2]))
    distance = ellipsoid((local[0], local[1], local[2]), (0.0, 0.0, 0.0), h)
    share = coverage(distance, canvas.in_plane_mm)
    canvas.blend(box, share, hu[0])
    canvas.blend(box, coverage(distance + np.float32(PELVIS_SHELL_MM), canvas.in_plane_mm), hu[1])
    _mark(canvas, box, share >= 0.5, (label, 0))
