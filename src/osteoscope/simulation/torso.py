"""Everything around the spine: skin, fat, muscle, organs, gas, vessels, lungs and the table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.label_schemes import label_scheme
from osteoscope.simulation.canvas import Canvas
from osteoscope.simulation.patient_spec import PatientSpec
from osteoscope.simulation.signed_distance import Field, coverage, ellipsoid
from osteoscope.simulation.spine import VertebraFrame, line_through
from osteoscope.simulation.tissue_values import TissueValues

KEY_SPACING_MM = 6.0
SKIN_MM = 2.0
WALL_MM = 11.0
BACK_MM = 88.0
"""Skin of the back behind the centre of L3, for a skeleton of average size."""


@dataclass(frozen=True)
class Trunk:
    """The outline of the trunk around the spine.

    Args:
        half_width_mm: Half of the width at L3.
        half_depth_mm: Half of the depth at L3.
        centre_y_mm: y of the outline's centre.
        fat_mm: Thickness of the fat under the skin.
        lung_z_mm: Height from which lung lies around the dome of the diaphragm.
    """

    half_width_mm: float
    half_depth_mm: float
    centre_y_mm: float
    fat_mm: float
    lung_z_mm: float

    def half_axes(self, z_mm: float, inset_mm: float = 0.0) -> tuple[float, float]:
        """Half width and depth of the outline at a height, less an inset; hips are wider."""
        hips = 1.0 / (1.0 + np.exp((z_mm + 85.0) / 25.0))
        chest = 1.0 / (1.0 + np.exp(-(z_mm - 90.0) / 30.0))
        swell = 1.0 + 0.07 * float(hips) - 0.03 * float(chest)
        return self.half_width_mm * swell - inset_mm, self.half_depth_mm - inset_mm


def trunk_of(patient: PatientSpec, frames: dict[str, VertebraFrame]) -> Trunk:
    """The trunk that fits a patient's spine."""
    back = BACK_MM * patient.body_scale + (patient.subcutaneous_fat_mm - 18.0) * 0.6
    deepest = max(f.canal_mm[1] for f in frames.values())
    back = max(back, float(deepest) + 48.0)
    lung = frames["T12"].centre_mm[2] - 8.0 if "T12" in frames else 1e6
    return Trunk(
        patient.body_half_width_mm,
        patient.body_half_depth_mm,
        back - patient.body_half_depth_mm,
        patient.subcutaneous_fat_mm,
        float(lung),
    )


def _ellipse(x: Field, y: Field, half_x: float, half_y: float) -> Field:
    """First-order signed distance to an ellipse about the origin."""
    sx, sy = x / np.float32(half_x), y / np.float32(half_y)
    radius = np.sqrt(sx * sx + sy * sy)
    gradient = np.sqrt((sx / np.float32(half_x)) ** 2 + (sy / np.float32(half_y)) ** 2)
    inside = np.float32(-min(half_x, half_y))
    distance = radius * (radius - 1) / np.maximum(gradient, np.float32(1e-6))
    return np.asarray(np.maximum(distance, inside), dtype=np.float32)


def _key_image(canvas: Canvas, trunk: Trunk, values: TissueValues, z_mm: float) -> Field:
    """(ny, nx) HU of the trunk's layers at one height."""
    soft, width = values.soft, canvas.in_plane_mm
    x = canvas.x_mm[None, :]
    y = canvas.y_mm[:, None] - np.float32(trunk.centre_y_mm)
    image = np.full((y.size, x.size), soft["air"], dtype=np.float32)
    table = np.abs(y - np.float32(trunk.half_depth_mm + 8.0) + x * x * np.float32(4e-4))
    image += coverage(table - np.float32(2.0), width) * np.float32(soft["table"] - soft["air"])
    wall = 7.0 if z_mm > trunk.lung_z_mm else WALL_MM
    outline = _ellipse(x, y, *trunk.half_axes(z_mm))
    for inset, name in (
        (0.0, "skin"),
        (SKIN_MM, "fat"),
        (SKIN_MM + trunk.fat_mm, "muscle"),
        (SKIN_MM + trunk.fat_mm + wall, "fat"),
    ):
        share = coverage(outline + np.float32(inset), width)
        image += share * (np.float32(soft[name]) - image)
    rise = (z_mm - trunk.lung_z_mm) / 120.0
    if rise > 0:
        inner = coverage(outline + np.float32(SKIN_MM + trunk.fat_mm + wall + 1.0), width)
        half = trunk.half_axes(z_mm, SKIN_MM + trunk.fat_mm + wall)
        dome = float(np.sqrt(max(1.0 - min(rise, 0.95) ** 2, 0.05)))
        below = _ellipse(x, y + np.float32(6.0), half[0] * dome, half[1] * dome)
        middle = coverage(np.float32(30.0) - np.abs(x), 4.0)
        share = inner * (np.float32(1) - coverage(below, width)) * middle
        image += share * (np.float32(soft["lung"]) - image)
    return image


def paint_trunk(canvas: Canvas, trunk: Trunk, values: TissueValues) -> None:
    """Fill every slice with the layers of the trunk, interpolated between a few heights."""
    whole, z = canvas.scan.z_mm, canvas.z_mm
    count = max(2, int(np.ceil((whole[-1] - whole[0]) / KEY_SPACING_MM)) + 1)
    heights = np.linspace(whole[0], whole[-1], count)
    step = float(heights[1] - heights[0]) or 1.0
    low, high = -1, -1
    images: dict[int, Field] = {}
    for k in range(len(z)):
        position = float(z[k] - heights[0]) / step
        low = min(int(position), count - 2)
        high = low + 1
        for key in (low, high):
            if key not in images:
                images = {i: im for i, im in images.items() if i in (low, high)}
                images[key] = _key_image(canvas, trunk, values, float(heights[key]))
        share = np.float32(position - low)
        canvas.hu[k] = np.rint(images[low] + share * (images[high] - images[low]))


def _tube(
    canvas: Canvas,
    line: tuple[Field, Field],
    half: tuple[Field, Field],
    z_range: tuple[float, float],
    hu: float,
    label: int = 0,
) -> None:
    """An upright tube: ellipses about a line, both given for every slice of the canvas."""
    first, last = (int(i) for i in np.searchsorted(canvas.z_mm, z_range))
    if last <= first:
        return
    cut = slice(first, last)
    cx, cy = line[0][cut], line[1][cut]
    hx, hy = half[0][cut], half[1][cut]
    box = canvas.box(
        (cx.min() - hx.max() - 2, cy.min() - hy.max() - 2, canvas.z_mm[first] - 1e-3),
        (cx.max() + hx.max() + 2, cy.max() + hy.max() + 2, canvas.z_mm[last - 1] + 1e-3),
    )
    if box is None:
        return
    x, y, _ = canvas.points(box)
    sx = (x - cx[:, None, None]) / hx[:, None, None]
    sy = (y - cy[:, None, None]) / hy[:, None, None]
    radius = np.sqrt(sx * sx + sy * sy)
    distance = (radius - 1) * np.minimum(hx, hy)[:, None, None]
    share = coverage(np.asarray(distance, dtype=np.float32), canvas.in_plane_mm)
    canvas.blend(box, share, hu)
    if label:
        canvas.totalsegmentator[box][share >= 0.5] = label


def paint_muscles(
    canvas: Canvas, frames: dict[str, VertebraFrame], values: TissueValues, scale: float
) -> None:
    """The erector spinae behind the arches and the psoas beside the lumbar bodies."""
    names = label_scheme("totalsegmentator").structures
    centres = np.stack([f.centre_mm for f in frames.values()])
    canals = np.stack([f.canal_mm for f in frames.values()])
    z = canvas.z_mm.astype(np.float64)
    body_x, body_y = line_through(centres, z)
    canal_x, canal_y = line_through(canals, z)
    muscle = values.soft["muscle"]
    top = frames["L1"].centre_mm[2] if "L1" in frames else float(centres[:, 2].max())
    bottom = float(z[0]) - 1.0
    grow = np.clip((top - z) / 110.0, 0.12, 1.0)
    high = np.clip((z - top) / 90.0, 0.0, 0.35)
    for side, name in ((1.0, "left"), (-1.0, "right")):
        line = _f32(canal_x + side * 29 * scale, canal_y + 26 * scale)
        half = _f32((27 - 14 * high) * scale, (20 - 9 * high) * scale)
        number = names[f"autochthon_{name}"]
        _tube(canvas, line, half, (bottom, float(z[-1]) + 1), muscle, number)
        # The multifidus fills the groove beside the spinous processes.
        line = _f32(canal_x + side * 11 * scale, canal_y + 25 * scale)
        half = _f32((9 - 3 * high) * scale, (14 - 6 * high) * scale)
        _tube(canvas, line, half, (bottom, float(z[-1]) + 1), muscle, number)
        line = _f32(body_x + side * (26 + 16 * grow) * scale, body_y + (10 - 8 * grow) * scale)
        half = _f32((4 + 17 * grow) * scale, (5 + 19 * grow) * scale)
        _tube(canvas, line, half, (bottom, top), muscle, names[f"iliopsoas_{name}"])


def paint_canal(
    canvas: Canvas, frames: dict[str, VertebraFrame], values: TissueValues, scale: float
) -> None:
    """The dural sac, and in it the cord down to L2."""
    names = label_scheme("totalsegmentator").structures
    canals = np.stack([f.canal_mm for f in frames.values()])
    z = canvas.z_mm.astype(np.float64)
    line = _f32(*line_through(canals, z))
    ones = np.ones_like(canvas.z_mm)
    low = float(canals[:, 2].min())
    sac = (ones * np.float32(9.5 * scale), ones * np.float32(7.0 * scale))
    _tube(canvas, line, sac, (low, float(z[-1]) + 1), values.soft["csf"])
    end = float(frames["L2"].centre_mm[2]) if "L2" in frames else low
    cord = (ones * np.float32(5.5 * scale), ones * np.float32(4.5 * scale))
    _tube(canvas, line, cord, (end, float(z[-1]) + 1), values.soft["cord"], names["spinal_cord"])


def _f32(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[Field, Field]:
    return np.asarray(a, dtype=np.float32), np.asarray(b, dtype=np.float32)


def paint_organs(
    canvas: Canvas, trunk: Trunk, values: TissueValues, rng: np.random.Generator
) -> None:
    """Liver, spleen, kidneys, stomach, pancreas and bowel with gas, as ellipsoids in the wall."""
    soft = values.soft
    inset = SKIN_MM + trunk.fat_mm + WALL_MM + 3.0
    a, b = trunk.half_axes(0.0, inset)
    y0, top = trunk.centre_y_mm, trunk.lung_z_mm
    names = label_scheme("totalsegmentator").structures
    for name, hu, centre, half in (
        ("liver", soft["liver"], (-0.46 * a, -0.08 * b, top), (0.46 * a, 0.74 * b, 75.0)),
        ("spleen", soft["liver"], (0.66 * a, 0.22 * b, top + 8), (0.24 * a, 0.38 * b, 48.0)),
        ("kidney_left", soft["kidney"], (0.52 * a, 0.42 * b, top - 50), (26.0, 24.0, 52.0)),
        ("kidney_right", soft["kidney"], (-0.52 * a, 0.42 * b, top - 62), (26.0, 24.0, 52.0)),
    ):
        at = (centre[0], centre[1] + y0, centre[2])
        _blob(canvas, at, half, hu, names[name])
        if name.startswith("kidney"):
            inward = -7.0 if centre[0] > 0 else 7.0
            sinus = (at[0] + inward, at[1] - 3.0, at[2])
            _blob(canvas, sinus, (9.0, 7.0, 24.0), soft["fat"])
    for centre, half, hu in (
        ((0.34 * a, -0.46 * b, top - 4.0), (0.26 * a, 0.34 * b, 42.0), soft["bowel"]),
        ((0.34 * a, -0.58 * b, top - 2.0), (0.19 * a, 0.16 * b, 30.0), soft["bowel_gas"]),
        ((0.05 * a, 0.02 * b, top - 40.0), (0.34 * a, 0.13 * b, 14.0), soft["bowel"]),
    ):
        _blob(canvas, (centre[0], centre[1] + y0, centre[2]), half, hu)
    for _ in range(70):
        angle, spread = rng.uniform(0.0, 2 * np.pi), np.sqrt(rng.uniform(0.0, 1.0))
        half_x, half_y, half_z = (float(h) for h in rng.uniform((13, 11, 14), (26, 20, 32)))
        cx = float(0.70 * a * spread * np.cos(angle))
        cy = y0 - 0.44 * b + float(0.38 * b * spread * np.sin(angle))
        cz = float(rng.uniform(top - 250.0, top - 62.0))
        _blob(canvas, (cx, cy, cz), (half_x, half_y, half_z), soft["bowel"])
        if rng.random() < 0.45:
            size = float(rng.uniform(0.35, 0.7))
            gas = (half_x * size, half_y * size * 0.8, half_z * size)
            lift = half_y * (1.0 - size) * 0.7
            _blob(canvas, (cx, cy - lift, cz), gas, soft["bowel_gas"])


def _blob(
    canvas: Canvas,
    centre: tuple[float, float, float],
    half: tuple[float, float, float],
    hu: float,
    label: int = 0,
) -> None:
    box = canvas.box(
        [c - h - 2 for c, h in zip(centre, half, strict=True)],
        [c + h + 2 for c, h in zip(centre, half, strict=True)],
    )
    if box is None:
        return
    share = coverage(ellipsoid(canvas.points(box), centre, half), canvas.in_plane_mm)
    canvas.blend(box, share, hu)
    if label:
        canvas.totalsegmentator[box][share >= 0.5] = label
