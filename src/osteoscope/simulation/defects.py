"""Things that a quality check must find: screws, cement, islands, nodes, lytic foci, implants."""

from __future__ import annotations

import numpy as np

from osteoscope.core.box import Box
from osteoscope.simulation.canvas import Canvas
from osteoscope.simulation.signed_distance import Field, Point, capsule, coverage, ellipsoid
from osteoscope.simulation.skeleton import vertebra_box
from osteoscope.simulation.spine import VertebraFrame
from osteoscope.simulation.tissue_values import TissueValues

DEFECT_FLAG = {
    "screws": "metal_in_region",
    "cement": "cement",
    "bone_island": "dense_focus",
    "schmorl_node": "dense_focus",
    "lytic_focus": "lytic_focus",
}
"""The quality flag that each planted thing must raise."""

ISLAND_MG_CM3 = 700.0
SCHMORL_RIM_MG_CM3 = 520.0


def paint_defects(canvas: Canvas, frame: VertebraFrame, values: TissueValues, seed: int) -> None:
    """Plant a vertebra's defects in the painted body."""
    box = vertebra_box(canvas, frame)
    if box is None or not frame.spec.defects:
        return
    rng = np.random.default_rng([seed, sum(map(ord, frame.spec.level)), 7])
    point = frame.to_local(*canvas.points(box))
    for kind in frame.spec.defects:
        if kind == "screws":
            _screws(canvas, box, frame, point)
        elif kind == "cement":
            _cement(canvas, box, frame, point, (values, rng))
        elif kind == "bone_island":
            centre, radius = _inside(rng, 4.0), float(rng.uniform(4.2, 5.5))
            _sphere(canvas, box, point, (centre, radius), values.bone(ISLAND_MG_CM3))
        elif kind == "lytic_focus":
            centre, radius = _inside(rng, 5.0), float(rng.uniform(6.5, 8.0))
            _sphere(canvas, box, point, (centre, radius), _lytic_hu(frame, values))
        else:
            _schmorl(canvas, box, frame, point, (values, rng))


def _lytic_hu(frame: VertebraFrame, values: TissueValues) -> float:
    """Soft tissue, or fattier where thin bone would hide soft tissue (down to pure fat)."""
    bone = values.bone(frame.spec.trabecular_vbmd_mg_cm3)
    return max(min(values.soft["muscle"], bone - 130.0), values.soft["fat"])


def _inside(rng: np.random.Generator, spread_mm: float) -> Point:
    """A point near the centre of the body, off the midline."""
    side = 1.0 if rng.random() < 0.5 else -1.0
    u = side * float(rng.uniform(4.0, 4.0 + spread_mm))
    return u, float(rng.uniform(-4.0, 1.0)), float(rng.uniform(-2.0, 2.0))


def _sphere(
    canvas: Canvas,
    box: Box,
    point: tuple[Field, Field, Field],
    ball: tuple[Point, float],
    hu: float,
) -> None:
    centre, radius = ball
    share = coverage(ellipsoid(point, centre, (radius, radius, radius)), canvas.in_plane_mm)
    canvas.blend(box, share, hu)


def _cement(
    canvas: Canvas,
    box: Box,
    frame: VertebraFrame,
    point: tuple[Field, Field, Field],
    made_of: tuple[TissueValues, np.random.Generator],
) -> None:
    """Two overlapping pools of acrylic cement, as after vertebroplasty."""
    values, rng = made_of
    height = frame.spec.middle_mm
    for side in (-1.0, 1.0):
        centre = (side * float(rng.uniform(5.0, 8.0)), float(rng.uniform(-5.0, 0.0)), 0.0)
        size = float(rng.uniform(6.0, 7.5))
        half = (size, size, min(size, height * 0.33))
        share = coverage(ellipsoid(point, centre, half), canvas.in_plane_mm)
        canvas.blend(box, share, values.soft["cement"])


def _schmorl(
    canvas: Canvas,
    box: Box,
    frame: VertebraFrame,
    point: tuple[Field, Field, Field],
    made_of: tuple[TissueValues, np.random.Generator],
) -> None:
    """Disc that broke into an endplate, with a sclerotic rim around it inside the body."""
    values, rng = made_of
    up = 1.0 if rng.random() < 0.5 else -1.0
    radius = float(rng.uniform(4.5, 6.0))
    centre = (float(rng.uniform(-4, 4)), float(rng.uniform(-2, 4)), up * frame.spec.middle_mm / 2)
    rim = coverage(ellipsoid(point, centre, (radius + 3.2,) * 3), canvas.in_plane_mm)
    inside = np.asarray(
        np.float32(frame.spec.middle_mm / 2) - np.float32(up) * point[2], dtype=np.float32
    )
    rim = rim * coverage(-inside, canvas.in_plane_mm)
    canvas.blend(box, rim, values.bone(SCHMORL_RIM_MG_CM3))
    _sphere(canvas, box, point, (centre, radius), values.soft["disc"])


def _screws(
    canvas: Canvas, box: Box, frame: VertebraFrame, point: tuple[Field, Field, Field]
) -> None:
    """A titanium screw through each pedicle, and the rods behind."""
    s, back = frame.spec.width_mm / 42.0, frame.spec.depth_mm / 2
    for side in (-1.0, 1.0):
        for start, end, radius in (
            ((side * 18 * s, back + 24 * s, 4.0), (side * 8 * s, -0.35 * back, 1.0), 3.0),
            ((side * 18 * s, back + 25 * s, -22.0), (side * 18 * s, back + 25 * s, 17.0), 2.75),
        ):
            share = coverage(capsule(point, start, end, radius), canvas.in_plane_mm)
            canvas.blend(box, share, 3071.0)


def hip_implant_mm(s1: VertebraFrame, scale: float) -> tuple[Point, Point]:
    """Centre of the metal ball and lower end of the stem of a left hip joint, LPS mm."""
    ball = s1.centre_mm + np.array([92.0, -18.0, -78.0]) * scale
    stem = ball + np.array([22.0, 4.0, -60.0]) * scale
    return (
        (float(ball[0]), float(ball[1]), float(ball[2])),
        (float(stem[0]), float(stem[1]), float(stem[2])),
    )


def paint_hip_implant(canvas: Canvas, s1: VertebraFrame, scale: float) -> None:
    """A cobalt-chrome ball of 36 mm on a stem."""
    ball, stem = hip_implant_mm(s1, scale)
    for start, end, radius in ((ball, ball, 18.0), (ball, stem, 7.0)):
        reach = radius + 2.0
        box = canvas.box(np.minimum(start, end) - reach, np.maximum(start, end) + reach)
        if box is not None:
            distance = capsule(canvas.points(box), start, end, radius)
            canvas.blend(box, coverage(distance, canvas.in_plane_mm), 3071.0)
