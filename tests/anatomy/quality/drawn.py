"""A spine drawn by hand: elliptic bodies, arches, two pairs of ribs, a sacrum and an aorta.

It knows nothing of the simulator or of the geometry code, so that the flags are tested alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteoscope.anatomy.vertebra import BodyHeights, Vertebra
from osteoscope.core.grid import grid_from_spacing
from osteoscope.core.label_schemes import label_scheme
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.volume import Acquisition, Volume

LEVELS = ("T11", "T12", "L1", "L2", "L3", "L4", "L5")
SPACING_MM = (2.0, 1.5, 1.5)
PITCH_MM = 34.0
HEIGHT_MM = 26.0
SCHEME = label_scheme("totalsegmentator")
SOFT_HU, BONE_HU, CORTEX_HU, BLOOD_HU = 40, 130, 450, 42
MARGIN = 8
WIDTH_SHARE = dict(zip(LEVELS, (0.86, 0.93, 1.0, 1.03, 1.06, 1.08, 1.07), strict=True))
ROUTINE = Acquisition(kvp=120.0, kernel="Br40f", contrast_enhanced=False, slice_thickness_mm=2.0)


@dataclass(frozen=True, eq=False)
class Drawn:
    """A drawn scan, its labels, which voxels are bodies, and the vertebrae cut out of it."""

    volume: Volume
    labels: LabelMap
    bodies: NDArray[np.bool_]
    vertebrae: dict[str, Vertebra]

    def relabelled(self, array: NDArray[np.uint8]) -> Drawn:
        """The same scan with other labels."""
        labels = replace(self.labels, array=array)
        return replace(self, labels=labels, vertebrae=cut_out(labels, self.bodies))

    def with_values(self, array: NDArray[np.int16]) -> Drawn:
        """Other attenuation under the same labels."""
        return replace(self, volume=replace(self.volume, array=array))

    def with_acquisition(self, **facts: object) -> Drawn:
        """The same scan, made otherwise."""
        return replace(self, volume=replace(self.volume, acquisition=replace(ROUTINE, **facts)))

    def place(self, level: str) -> tuple[int, int, int]:
        """Canonical index of a body's centre."""
        index = self.volume.grid.world_mm_to_index(self.vertebrae[level].centre_mm)
        return tuple(round(x) for x in index)


def draw_spine(noise_hu: float = 10.0, seed: int = 0, below_mm: float = 70.0) -> Drawn:
    """T11 to L5 above a sacrum, straight along z."""
    shape = (int((len(LEVELS) * PITCH_MM + below_mm + 10) / SPACING_MM[0]), 120, 180)
    grid = grid_from_spacing(shape, SPACING_MM)
    z, y, x = (np.arange(n) * s for n, s in zip(shape, SPACING_MM, strict=True))
    z, y, x = z[:, None, None], y[None, :, None], x[None, None, :]
    mid_x, mid_y = 135.0, 95.0
    values = np.full(shape, -1000, dtype=np.int16)
    values[:, (((x - mid_x) / 120) ** 2 + ((y - 88) / 78) ** 2 < 1)[0]] = SOFT_HU
    labels = np.zeros(shape, dtype=np.uint8)
    bodies = np.zeros(shape, dtype=bool)
    aorta = ((x - mid_x - 15) / 10) ** 2 + ((y - mid_y + 30) / 10) ** 2 < 1
    labels[np.broadcast_to(aorta, shape)] = SCHEME.structures["aorta"]
    values[np.broadcast_to(aorta, shape)] = BLOOD_HU
    radial = np.sqrt(((x - mid_x) / 24) ** 2 + ((y - mid_y) / 17) ** 2)
    arch = (np.abs(x - mid_x) < 14) & (y > mid_y + 12) & (y < mid_y + 42)
    canal = ((x - mid_x) / 9) ** 2 + ((y - mid_y - 26) / 8) ** 2 < 1
    for number, level in enumerate(reversed(LEVELS)):
        centre = below_mm + (number + 0.5) * PITCH_MM
        high = np.abs(z - centre) < HEIGHT_MM / 2
        inside = (radial < WIDTH_SHARE[level]) & high
        process = arch & ~canal & (np.abs(z - centre + 2) < 11)
        mask = inside | process
        labels[mask] = SCHEME.vertebrae[level]
        bodies |= inside
        values[mask] = CORTEX_HU
        values[(radial < 0.9 * WIDTH_SHARE[level]) & (np.abs(z - centre) < HEIGHT_MM / 2 - 2)] = (
            BONE_HU
        )
        if level in ("T11", "T12"):
            _draw_ribs(values, labels, level, (x, y, z), (mid_x, mid_y, centre))
    sacrum = (radial < 1.4) & (z < below_mm - 8)
    labels[sacrum], values[sacrum] = SCHEME.structures["sacrum"], BONE_HU + 150
    noise = np.random.default_rng(seed).normal(0.0, noise_hu, shape)
    values = np.rint(values + noise).astype(np.int16)
    drawn = LabelMap(labels, grid, SCHEME)
    return Drawn(Volume(values, grid, acquisition=ROUTINE), drawn, bodies, cut_out(drawn, bodies))


def cut_out(labels: LabelMap, bodies: NDArray[np.bool_]) -> dict[str, Vertebra]:
    """The vertebrae of a canonical label array, measured from what was drawn."""
    found: dict[str, Vertebra] = {}
    boxes = ndimage.find_objects(labels.array)
    for level, number in labels.scheme.vertebrae.items():
        tight = boxes[number - 1] if number <= len(boxes) else None
        if tight is None:
            continue
        box = tuple(
            slice(max(0, s.start - MARGIN), min(n, s.stop + MARGIN))
            for s, n in zip(tight, labels.grid.shape, strict=True)
        )
        mask = labels.array[box] == number
        body = mask & bodies[box]
        grid = labels.grid.crop(box)
        centre = grid.index_to_world_mm(np.argwhere(body).mean(axis=0))
        edges = {
            "inferior": tight[0].start == 0,
            "superior": tight[0].stop == labels.grid.shape[0],
        }
        found[level] = Vertebra(
            level, box, grid, mask, body, np.eye(3), centre,
            BodyHeights(HEIGHT_MM, HEIGHT_MM, HEIGHT_MM),
            tuple(name for name, touches in edges.items() if touches),
        )  # fmt: skip
    return found


def with_heights(vertebrae: Mapping[str, Vertebra], level: str, *mm: float) -> dict[str, Vertebra]:
    """The same vertebrae with other heights at one level."""
    return {**vertebrae, level: replace(vertebrae[level], heights=BodyHeights(*mm))}


def _draw_ribs(
    values: NDArray[np.int16],
    labels: NDArray[np.uint8],
    level: str,
    axes: tuple[NDArray[np.float64], ...],
    centre: tuple[float, float, float],
) -> None:
    x, y, z = axes
    for side, name in ((1, "left"), (-1, "right")):
        along = side * (x - centre[0])
        falling = centre[2] + 4 - 0.5 * (along - 24)
        rib = (along > 26) & (along < 70) & (np.abs(y - centre[1] - 14) < 4)
        rib = rib & (np.abs(z - falling) < 4)
        labels[rib] = SCHEME.structures[f"rib_{name}_{level[1:]}"]
        values[rib] = CORTEX_HU
