"""Measure the vertebrae of a segmentation: body, axes, centre and heights of each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscope.anatomy.body import cut_body, largest_piece
from osteoscope.anatomy.canal import Canal, canal_from_cord, find_canal, mask_points_mm
from osteoscope.anatomy.endplates import body_heights
from osteoscope.anatomy.frame import POSTERIOR_MM
from osteoscope.anatomy.locate import Box, Place, locate_labels, spine_direction
from osteoscope.anatomy.orient import OrientedBody, core_in_front, orient_body
from osteoscope.anatomy.vertebra import BodyHeights, Vertebra
from osteoscope.core.errors import GeometryError
from osteoscope.core.grid import Grid
from osteoscope.core.label_schemes import VERTEBRAE
from osteoscope.core.labelmap import LabelMap

MARGIN_MM = 15.0
"""What the crop of a vertebra holds around its mask, where the scan reaches so far."""

_EDGES = (("inferior", "superior"), ("anterior", "posterior"), ("right", "left"))
"""Names of the first and last layer along each canonical array axis."""

_CUT_SHARE = 0.06
"""A body is cut off where its outermost layer is more than this share of its largest one."""


def measure_vertebrae(
    labels: LabelMap,
    *,
    subregions: LabelMap | None = None,
    levels: Collection[str] | None = None,
) -> dict[str, Vertebra]:
    """Body, axes, centre and heights of every vertebra that a segmentation labels.

    Each vertebra is measured in its own crop. The canal is the hole in the mask's shadow (or the
    labelled cord where the arch is open); the body is what stands in front of the canal's anterior
    wall; the superior axis is the mean normal of the planes through both endplates; the posterior
    axis points from the body's centre to the canal. A vertebra that cannot be measured is still
    returned, with the reason.

    Args:
        labels: Labels of whole vertebrae on the scan's grid, in any orientation.
        subregions: Labels of vertebral parts on the same grid; where they mark the body inside a
            vertebra, that body is used as it is.
        levels: The levels to measure; all by default. The others still tell how the spine runs.

    Returns:
        Vertebrae by level, from the head down, of the levels present.

    Raises:
        GeometryError: The subregions are not on the labels' grid.
    """
    if subregions is not None and not subregions.grid.matches(labels.grid):
        raise GeometryError(
            "The subregions' grid differs from the labels' grid; resample them onto it first."
        )
    labels = labels.canonical()
    parts = None if subregions is None else subregions.canonical()
    if not labels.scheme.vertebrae:
        return {}
    places = locate_labels(labels, labels.scheme.vertebrae, MARGIN_MM)
    return {
        level: _measure(level, places, labels, parts)
        for level in VERTEBRAE
        if level in places and (levels is None or level in levels)
    }


@dataclass(frozen=True, eq=False)
class _Crop:
    """The crop of one vertebra: its mask, and the body where it is labelled."""

    place: Place
    grid: Grid
    mask: NDArray[np.bool_]
    given_body: NDArray[np.bool_] | None


def _measure(
    level: str, places: dict[str, Place], labels: LabelMap, parts: LabelMap | None
) -> Vertebra:
    crop = _crop(places[level], labels, parts)
    touches = _touched_edges(crop.mask, crop.place.box, labels.array.shape)
    whole = largest_piece(crop.mask)
    up = spine_direction(level, places)
    points = mask_points_mm(whole, crop.grid)
    centre = points.mean(axis=0) if len(points) else places[level].centre_mm

    def withheld(reason: str, body: NDArray[np.bool_] | None = crop.given_body) -> Vertebra:
        return Vertebra(
            level, crop.place.box, crop.grid, crop.mask, body, None, centre, None, touches, reason
        )

    if len(points) < 50:
        return withheld(f"The mask of {level} is too small to be measured.")
    canal = find_canal(points, up, POSTERIOR_MM) or _labelled_canal(labels, crop, up)
    if canal is None:
        return withheld(
            f"The spinal canal of {level} was not found in its mask, so body and arch cannot be "
            "told apart."
        )
    core = core_in_front(points, canal)
    if core is None:
        return withheld(f"No vertebral body stands in front of the canal of {level}.")
    return _measure_body(level, crop, labels, (whole, canal, core), touches)


def _measure_body(
    level: str,
    crop: _Crop,
    labels: LabelMap,
    found: tuple[NDArray[np.bool_], Canal, NDArray[np.float64]],
    touches: tuple[str, ...],
) -> Vertebra:
    whole, canal, core = found
    given = crop.given_body
    solid = whole if given is None else given
    oriented = orient_body(solid, crop.grid, canal, core, whole=given is None)
    if oriented is None:
        reason = f"Walls and endplates of the body of {level} were not found in its mask."
        return Vertebra(
            level, crop.place.box, crop.grid, crop.mask, given, None, core, None, touches, reason
        )
    body = given if given is not None else _cut(whole, crop.grid, oriented)
    ends = _cut_ends(body, crop.place, labels)
    if any(ends):
        again = orient_body(
            solid, crop.grid, canal, core, whole=given is None, usable=(not ends[0], not ends[1])
        )
        oriented = again or oriented
    heights, missing = _heights(level, crop.grid, oriented, ends)
    return Vertebra(
        level=level,
        box=crop.place.box,
        grid=crop.grid,
        mask=crop.mask,
        body=body,
        axes=oriented.frame.axes,
        centre_mm=oriented.frame.origin_mm,
        heights=heights,
        touches=touches,
        withheld=missing,
    )


def _cut(whole: NDArray[np.bool_], grid: Grid, oriented: OrientedBody) -> NDArray[np.bool_]:
    assert oriented.wall is not None
    return cut_body(whole, grid, oriented.frame, oriented.wall, oriented.limits)


def _heights(
    level: str, grid: Grid, oriented: OrientedBody, ends: tuple[bool, bool]
) -> tuple[BodyHeights | None, str | None]:
    if any(ends):
        which = " and ".join(
            name for name, cut in zip(("lower", "upper"), ends, strict=True) if cut
        )
        return None, f"The {which} endplate of {level} lies outside the labelled scan."
    along = oriented.frame.axes @ grid.directions
    heights = body_heights(oriented.surfaces, np.linalg.norm(along * grid.spacing_mm, axis=1))
    if heights is None:
        return None, f"The endplates of {level} were not seen from wall to wall."
    return heights, None


def _crop(place: Place, labels: LabelMap, parts: LabelMap | None) -> _Crop:
    mask = labels.array[place.box] == place.number
    given: NDArray[np.bool_] | None = None
    if parts is not None:
        body = mask & np.isin(parts.array[place.box], parts.scheme.body_labels)
        # A few stray voxels are no body: fall back on the geometry.
        if np.count_nonzero(body) >= 0.2 * np.count_nonzero(mask):
            given = body
    return _Crop(place, labels.grid.crop(place.box), mask, given)


def _labelled_canal(labels: LabelMap, crop: _Crop, up: NDArray[np.float64]) -> Canal | None:
    number = labels.scheme.structures.get("spinal_cord")
    if number is None:
        return None
    cord = labels.array[crop.place.box] == number
    return canal_from_cord(mask_points_mm(cord, crop.grid), up)


def _touched_edges(mask: NDArray[np.bool_], box: Box, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Names of the scan's edges that the mask reaches."""
    touched = []
    for axis, names in enumerate(_EDGES):
        layers = np.moveaxis(mask, axis, 0)
        if box[axis].start == 0 and layers[0].any():
            touched.append(names[0])
        if box[axis].stop == shape[axis] and layers[-1].any():
            touched.append(names[1])
    return tuple(touched)


def _cut_ends(body: NDArray[np.bool_], place: Place, labels: LabelMap) -> tuple[bool, bool]:
    """Whether the body's lower and upper end are cut off by the scan's or the labels' end."""
    area = body.sum(axis=(1, 2))
    filled = np.flatnonzero(area)
    if len(filled) == 0:
        return False, False
    ends = []
    for layer, step in ((filled[0], -1), (filled[-1], +1)):
        at = place.box[0].start + int(layer)
        flat = area[layer] > _CUT_SHARE * area.max()
        ends.append(bool(flat and _labels_end(labels, at, step, place.number)))
    return ends[0], ends[1]


def _labels_end(labels: LabelMap, at: int, step: int, number: int) -> bool:
    """Whether nothing is labelled beyond a layer where something else than ``number`` still is.

    The highest vertebra of a segmentation of the spine alone ends by itself; where the aorta, the
    cord or a neighbour ends in the same layer, the labels were cut.
    """
    if not 0 <= at + step < labels.array.shape[0]:
        return True
    if labels.array[at + step].any():
        return False
    layer = labels.array[at]
    return bool(((layer != 0) & (layer != number)).any())
