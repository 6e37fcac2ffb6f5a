"""The arch of a vertebra: pedicles, laminae and processes, as thick as they are in people.

Sizes follow published morphometry of lumbar vertebrae, rounded: pedicles (about 9 mm wide and
15 mm tall at L1: Zindrick et al., Spine 1987; Panjabi et al., Spine 1992), the canal (about 23 mm
between the pedicles, 18 mm deep: the same), laminae (6-7 mm thick, 20 mm tall: Xu et al., Spine
1999), the spinous process (0.8 of the body's height: Masharawi et al., Eur Spine J 2010,
doi 10.1007/s00586-009-1256-6) and the articular processes (Panjabi et al., Spine 1993). A phantom
needs the pattern, not the decimals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.box import Box, bounding_box
from osteoscope.simulation.patient_spec import VertebraSpec
from osteoscope.simulation.signed_distance import Field, Point, capsule, coverage

WIDTH_OF_SIZES_MM = 42.0
"""Width of the body that the arch's sizes are for; it grows with the body."""
ARCH_CORTEX_SHARE = 0.9
"""Thickness of the arch's cortex over that of the body's side wall."""
_LOOK_STEP = 4
_FAR_MM = 1e3

ARCUS, SPINOSUS, COSTAL_LEFT, COSTAL_RIGHT = 41, 42, 43, 44
SUPERIOR_LEFT, SUPERIOR_RIGHT, INFERIOR_LEFT, INFERIOR_RIGHT = 45, 46, 47, 48


@dataclass(frozen=True)
class ArchPart:
    """A capsule of the arch: its subregion, ends, radius and stretch along ``w``, 1 or above."""

    subregion: int
    start: Point
    end: Point
    radius_mm: float
    stretch: float


def arch_cortex_mm(spec: VertebraSpec) -> float:
    """Thickness of the compact bone around the arch: thin where the body's wall is thin."""
    return ARCH_CORTEX_SHARE * spec.cortex_mm


def arch_parts(spec: VertebraSpec) -> tuple[ArchPart, ...]:
    """The arch of a vertebra as capsules in its own frame, scaled by the body's width."""
    s = spec.width_mm / WIDTH_OF_SIZES_MM
    thoracic = spec.level.startswith("T") and spec.level not in ("T12", "T13")
    back = spec.depth_mm / 2
    swell = 1.0 + spec.facet_sclerosis_mg_cm3 / 820.0

    def at(u: float, v: float, w: float) -> Point:
        return (u * s, back + v * s, w * s)

    spine_end = at(0, 38 if thoracic else 42.5, -24 if thoracic else -11)
    if spec.level == "S1":
        spine_end = at(0, 27, -8)
    parts = [
        ArchPart(SPINOSUS, at(0, 23, -6.5), spine_end, 3.2 * s, 1.7 if thoracic else 3.0),
    ]
    for side, costal, superior, inferior in (
        (1.0, COSTAL_LEFT, SUPERIOR_LEFT, INFERIOR_LEFT),
        (-1.0, COSTAL_RIGHT, SUPERIOR_RIGHT, INFERIOR_RIGHT),
    ):
        tip = at(side * 27, 20, 6) if thoracic else at(side * 34.5, 16, 4)
        parts += [
            ArchPart(ARCUS, at(side * 16, -6, 4.5), at(side * 16.5, 12.5, 3.5), 4.25 * s, 1.75),
            ArchPart(ARCUS, at(side * 14, 15.5, -3), at(0, 21.5, -8), 3.1 * s, 2.9),
            ArchPart(superior, at(side * 17, 12.5, 2), at(side * 18.2, 13, 13), 4.1 * s * swell, 1),
        ]
        if spec.level == "S1":
            continue
        parts += [
            ArchPart(superior, at(side * 18, 14.5, 4), at(side * 19, 17.5, 9), 3.0 * s, 1.0),
            ArchPart(costal, at(side * 17, 12.5, 3), tip, 3.3 * s, 1.25),
            ArchPart(
                inferior, at(side * 12.5, 17, -5), at(side * 9.8, 19.5, -19), 4.1 * s * swell, 1.0
            ),
        ]
    return tuple(parts)


def arch_distance(
    spec: VertebraSpec, point: tuple[Field, Field, Field], width_mm: float
) -> tuple[Field, Field, NDArray[np.uint8]]:
    """Distance to the arch, share of the voxel in a facet, and the nearest part's subregion.

    Each part is evaluated near itself only; where none is near, the distance is ``_FAR_MM``.
    """
    u, v, w = np.broadcast_arrays(*point)
    shape = u.shape
    best = np.full(shape, _FAR_MM, dtype=np.float32)
    facets = np.full(shape, _FAR_MM, dtype=np.float32)
    region = np.zeros(shape, dtype=np.uint8)
    for part in arch_parts(spec):
        box = _box_near(part, (u, v, w), width_mm)
        if box is None:
            continue
        distance = part_distance(part, (u[box], v[box], w[box]))
        if part.subregion in (SUPERIOR_LEFT, SUPERIOR_RIGHT, INFERIOR_LEFT, INFERIOR_RIGHT):
            facets[box] = np.minimum(facets[box], distance)
        nearer = distance < best[box]
        region[box][nearer] = part.subregion
        best[box] = np.minimum(best[box], distance)
    return best, coverage(facets, width_mm), region


def part_distance(part: ArchPart, point: tuple[Field, Field, Field]) -> Field:
    """First-order signed distance to a part, mm.

    The distance to the capsule in space squeezed along ``w``, over its gradient in space as it is:
    so a shell inside the part is equally thick all round.
    """
    squeezed, start, end = _squeezed(part, point)
    if part.stretch == 1.0:
        return capsule(squeezed, start, end, part.radius_mm)
    u, v, w = _from_axis(squeezed, start, end)
    in_plane2, along2 = u * u + v * v, w * w
    length = np.sqrt(in_plane2 + along2)
    gradient = np.sqrt(in_plane2 + along2 * np.float32(part.stretch**-2))
    # On the axis the gradient has no direction; the length cannot fall below the real one.
    stretched = length / np.maximum(gradient, np.float32(1e-3))
    stretched = np.clip(stretched, np.float32(1), np.float32(part.stretch))
    return np.asarray((length - np.float32(part.radius_mm)) * stretched, dtype=np.float32)


def _squeezed(
    part: ArchPart, point: tuple[Field, Field, Field]
) -> tuple[tuple[Field, Field, Field], Point, Point]:
    """Points and ends in the space in which the part is round."""
    u, v, w = point
    k = part.stretch
    start = (part.start[0], part.start[1], part.start[2] / k)
    end = (part.end[0], part.end[1], part.end[2] / k)
    return (u, v, np.asarray(w / np.float32(k), dtype=np.float32)), start, end


def _from_axis(
    point: tuple[Field, Field, Field], start: Point, end: Point
) -> tuple[Field, Field, Field]:
    """Vectors from the nearest place of a segment to the points."""
    off = [p - np.float32(s) for p, s in zip(point, start, strict=True)]
    way = [np.float32(e - s) for s, e in zip(start, end, strict=True)]
    length2 = np.float32(max(float(sum(d * d for d in way)), 1e-9))
    share = sum((o * d for o, d in zip(off, way, strict=True)), np.float32(0)) / length2
    share = np.clip(share, np.float32(0), np.float32(1))
    u, v, w = (o - share * d for o, d in zip(off, way, strict=True))
    return u, v, w


def _box_near(part: ArchPart, point: tuple[Field, Field, Field], width_mm: float) -> Box | None:
    """A box of voxels that holds all of which the part fills a share; None where there is none.

    The distance in squeezed space is looked at on every fourth voxel. It is never larger than the
    real one and changes by no more than one goes, so a voxel between these is in the part only if
    they are within their own distance of it.
    """
    step = _LOOK_STEP
    coarse = tuple(p[::step, ::step, ::step] for p in point)
    squeezed, start, end = _squeezed(part, (coarse[0], coarse[1], coarse[2]))
    distance = capsule(squeezed, start, end, part.radius_mm)
    origin = np.array([p[0, 0, 0] for p in point])
    reach = 0.0
    for axis in range(3):
        next_one = tuple(int(a == axis and point[0].shape[a] > 1) for a in range(3))
        reach += step * float(np.linalg.norm(np.array([p[next_one] for p in point]) - origin))
    near = distance < reach + width_mm
    if not near.any():
        return None
    cut = [
        slice(max(span.start - 1, 0) * step, min(span.stop * step, size))
        for span, size in zip(bounding_box(near), point[0].shape, strict=True)
    ]
    return cut[0], cut[1], cut[2]
