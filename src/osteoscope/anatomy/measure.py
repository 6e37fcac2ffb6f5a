"""Measure the vertebrae of a segmentation: body, axes, centre and heights of each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from osteoscope.anatomy.body import cut_body, largest_piece
from osteoscope.anatomy.canal import Canal, canal_from_cord, find_canal, mask_points_mm
from osteoscope.anatomy.edges import cut_ends, cut_sides, touched_edges
from osteoscope.anatomy.endplates import body_heights
from osteoscope.anatomy.frame import POSTERIOR_MM
from osteoscope.anatomy.locate import Place, locate_labels, spine_direction
from osteoscope.anatomy.orient import OrientedBody, core_in_front, orient_body
from osteoscope.anatomy.vertebra import BodyHeights, Vertebra
from osteoscope.core.errors import GeometryError
from osteoscope.core.grid import Grid
from osteoscope.core.label_schemes import VERTEBRAE
from osteoscope.core.labelmap import LabelMap

MARGIN_MM = 15.0
"""What the crop of a vertebra holds around its mask, where the scan reaches so far."""

_FEWEST_POINTS = 50
"""About 0.2 cm3: less is a splinter in which nothing can be seen."""


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
    """What is known of one vertebra before its geometry: masks in its crop of the labels."""

    place: Place
    grid: Grid
    mask: NDArray[np.bool_]
    whole: NDArray[np.bool_]
    """The largest piece of the mask: stray voxels are no part of the geometry."""
    given_body: NDArray[np.bool_] | None
    """The body where it is labelled."""

    @property
    def solid(self) -> NDArray[np.bool_]:
        """What the endplates are looked for in."""
        return self.whole if self.given_body is None else self.given_body


def _measure(
    level: str, places: dict[str, Place], labels: LabelMap, parts: LabelMap | None
) -> Vertebra:
    """One vertebra: from crop to canal, from canal to body, from body to heights."""
    crop = _crop(places[level], labels, parts)
    points = mask_points_mm(crop.whole, crop.grid)
    bare = Vertebra(
        level=level,
        box=crop.place.box,
        grid=crop.grid,
        mask=crop.mask,
        body=crop.given_body,
        axes=None,
        centre_mm=points.mean(axis=0) if len(points) else crop.place.centre_mm,
        heights=None,
        touches=touched_edges(crop.mask, crop.place.box, labels.array.shape),
    )
    if len(points) < _FEWEST_POINTS:
        return replace(bare, withheld=f"The mask of {level} is too small to be measured.")
    up = spine_direction(level, places)
    canal = find_canal(points, up, POSTERIOR_MM) or _labelled_canal(labels, crop, up)
    if canal is None:
        reason = (
            f"The spinal canal of {level} was not found in its mask, so body and arch cannot be "
            "told apart."
        )
        return replace(bare, withheld=reason)
    bare = replace(bare, canal=canal)
    core = core_in_front(points, canal)
    if core is None:
        reason = f"No vertebral body stands in front of the canal of {level}."
        return replace(bare, withheld=reason)
    return _with_body(replace(bare, centre_mm=core), crop, canal, labels)


def _with_body(bare: Vertebra, crop: _Crop, canal: Canal, labels: LabelMap) -> Vertebra:
    """The vertebra with body, axes and heights; ``bare`` is centred inside the body."""
    cut_off = crop.given_body is None
    oriented = orient_body(crop.solid, crop.grid, canal, bare.centre_mm, whole=cut_off)
    if oriented is None:
        reason = f"Walls and endplates of the body of {bare.level} were not found in its mask."
        return replace(bare, withheld=reason)
    body = crop.solid
    if oriented.wall is not None:
        body = cut_body(crop.whole, crop.grid, oriented.frame, oriented.wall, oriented.limits)
    ends = cut_ends(body, crop.place, labels)
    if any(ends):
        usable = (not ends[0], not ends[1])
        again = orient_body(
            crop.solid, crop.grid, canal, bare.centre_mm, whole=cut_off, usable=usable
        )
        oriented = again or oriented
    missing = _cut_reason(body, ends, bare, labels)
    heights = _heights(oriented, crop.grid) if missing is None else None
    if missing is None and heights is None:
        missing = f"The endplates of {bare.level} were not seen from wall to wall."
    return replace(
        bare,
        body=body,
        axes=oriented.frame.axes,
        centre_mm=oriented.frame.origin_mm,
        heights=heights,
        withheld=missing,
    )


def _cut_reason(
    body: NDArray[np.bool_], ends: tuple[bool, bool], bare: Vertebra, labels: LabelMap
) -> str | None:
    """Why a body that the scan or the labels cut off has no heights; None where it is whole."""
    if any(ends):
        names = [name for name, cut in zip(("lower", "upper"), ends, strict=True) if cut]
        return f"The {' and '.join(names)} endplate of {bare.level} lies outside the labelled scan."
    sides = cut_sides(body, bare.box, labels.array.shape)
    if sides:
        return f"The body of {bare.level} is cut off at the scan's {' and '.join(sides)} edge."
    return None


def _heights(oriented: OrientedBody, grid: Grid) -> BodyHeights | None:
    along = oriented.frame.axes @ grid.directions
    return body_heights(oriented.surfaces, np.linalg.norm(along * grid.spacing_mm, axis=1))


def _crop(place: Place, labels: LabelMap, parts: LabelMap | None) -> _Crop:
    mask = labels.array[place.box] == place.number
    given: NDArray[np.bool_] | None = None
    if parts is not None:
        body = mask & np.isin(parts.array[place.box], parts.scheme.body_labels)
        # A few stray voxels are no body: fall back on the geometry.
        if np.count_nonzero(body) >= 0.2 * np.count_nonzero(mask):
            given = body
    return _Crop(place, labels.grid.crop(place.box), mask, largest_piece(mask), given)


def _labelled_canal(labels: LabelMap, crop: _Crop, up: NDArray[np.float64]) -> Canal | None:
    number = labels.scheme.structures.get("spinal_cord")
    if number is None:
        return None
    cord = labels.array[crop.place.box] == number
    return canal_from_cord(mask_points_mm(cord, crop.grid), up)
