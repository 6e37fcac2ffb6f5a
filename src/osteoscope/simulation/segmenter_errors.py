"""Labels as segmenters draw them: the boundary wanders, and a coarse network sees coarse voxels.

A label's error is a smooth displacement of the boundary, a sum of plane waves of random direction:
a function of the place in the world alone, so that a crop and the whole scan show the same one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteoscope.core.box import Box, bounding_box
from osteoscope.core.errors import InputError
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.registry import look_up

WAVES = 24
WAVELENGTH_MM = (9.0, 30.0)
_LIMIT_SD = 2.5
"""Displacements beyond this are cut to it."""


@dataclass(frozen=True)
class SegmenterErrors:
    """What a segmenter gets wrong about the boundary of a vertebra.

    Args:
        wander_mm: Standard deviation of the boundary's displacement along each axis, 0 to 3 mm.
        voxel_mm: Side of the voxels that it sees; 0 for the scan's own, else up to 5 mm.
    """

    wander_mm: float = 0.0
    voxel_mm: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.wander_mm <= 3.0 or not 0.0 <= self.voxel_mm <= 5.0:
            raise InputError(
                "A segmenter's boundary wanders by 0-3 mm on voxels of 0-5 mm, not "
                f"{self.wander_mm:g} and {self.voxel_mm:g}."
            )


SEGMENTERS: Mapping[str, SegmenterErrors] = MappingProxyType(
    {
        "exact": SegmenterErrors(),
        "fine": SegmenterErrors(wander_mm=0.5),
        "coarse": SegmenterErrors(wander_mm=0.8, voxel_mm=3.0),
    }
)
"""By name. ``fine`` and ``coarse`` stand for a network at 1.5 mm and at 3 mm voxels; their sizes
were chosen so that L1's masks, thin processes included, overlap the true one with a Dice
coefficient near 0.97 and 0.88."""


def segmenter_errors(name: str) -> SegmenterErrors:
    """The errors of a named segmenter.

    Raises:
        InputError: Unknown name; the message lists the known ones.
    """
    return look_up(SEGMENTERS, name, "simulated segmenter")


def drawn_by(labels: LabelMap, errors: SegmenterErrors, seed: int) -> LabelMap:
    """The labels as a segmenter with those errors draws them; vertebrae and their parts change.

    Each voxel near a vertebra's boundary takes the label of the place that the displacement points
    to: the same arguments give the same labels, on whichever part of the scan.

    Args:
        labels: Exact labels on any grid.
        errors: What it gets wrong; nothing returns the labels as they are.
        seed: Of the displacement, 0 or above.
    """
    if errors == SegmenterErrors():
        return labels
    # A scheme that names no vertebrae labels their parts, and nothing else.
    is_bone = np.zeros(256, dtype=np.bool_)
    is_bone[list(labels.scheme.vertebrae.values()) or slice(1, None)] = True
    near = is_bone[labels.array]
    if not near.any():
        return labels
    # What is read may lie as far away as the boundary is ever moved.
    reach_mm = _LIMIT_SD * errors.wander_mm * math.sqrt(3.0) + errors.voxel_mm * math.sqrt(0.75)
    reach = np.ceil(reach_mm / labels.grid.spacing_mm).astype(int)
    box = _grown(bounding_box(near), reach, labels.array.shape)
    exact = labels.array[box]
    seen = np.where(is_bone[exact], exact, 0)
    size = tuple(2 * reach + 1)
    edge = ndimage.maximum_filter(seen, size) != ndimage.minimum_filter(seen, size)
    index = np.argwhere(edge) + [s.start for s in box]
    read = labels.array[_read_at(labels, index, errors, seed)]
    here = tuple(index.T)
    changes = is_bone[read] | is_bone[labels.array[here]]
    array = labels.array.copy()
    array[here] = np.where(changes, read, labels.array[here])
    return replace(labels, array=array)


def _read_at(
    labels: LabelMap, index: NDArray[np.intp], errors: SegmenterErrors, seed: int
) -> tuple[NDArray[np.intp], ...]:
    """Indices of the voxels whose labels the voxels at (n, 3) ``index`` take."""
    world = labels.grid.index_to_world_mm(index.astype(np.float64))
    if errors.voxel_mm > 0:
        world = (np.floor(world / errors.voxel_mm) + 0.5) * errors.voxel_mm
    if errors.wander_mm > 0:
        world = world + displacement_mm(world, errors.wander_mm, seed)
    place = np.rint(labels.grid.world_mm_to_index(world)).astype(np.intp)
    last = np.array(labels.array.shape) - 1
    return tuple(np.clip(place, 0, last).T)


def displacement_mm(world_mm: NDArray[np.float64], sd_mm: float, seed: int) -> NDArray[np.float32]:
    """(n, 3) displacement at (n, 3) LPS points: smooth, of spread ``sd_mm`` along each axis."""
    rng = np.random.default_rng([seed, 4])
    direction = rng.normal(size=(WAVES, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    length = rng.uniform(*WAVELENGTH_MM, size=(WAVES, 1))
    phase = rng.uniform(0.0, 2.0 * np.pi, size=WAVES)
    # A cosine of amplitude 1 has a variance of 1/2.
    amplitude = rng.normal(size=(WAVES, 3)) * sd_mm * math.sqrt(2.0 / WAVES)
    angle = world_mm @ (2.0 * np.pi * direction / length).T + phase
    moved = np.cos(angle.astype(np.float32)) @ amplitude.astype(np.float32)
    return np.asarray(np.clip(moved, -_LIMIT_SD * sd_mm, _LIMIT_SD * sd_mm), dtype=np.float32)


def _grown(box: Box, by: NDArray[np.intp], shape: tuple[int, ...]) -> Box:
    grown = [
        slice(max(s.start - int(b), 0), min(s.stop + int(b), n))
        for s, b, n in zip(box, by, shape, strict=True)
    ]
    return grown[0], grown[1], grown[2]
