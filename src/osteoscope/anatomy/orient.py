"""From a vertebra's mask to its own frame: canal, posterior wall, endplates, in turn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscope.anatomy.body import (
    LATERAL_MARGIN_MM,
    BodyLimits,
    PosteriorWall,
    find_posterior_wall,
)
from osteoscope.anatomy.canal import Canal, mask_points_mm
from osteoscope.anatomy.endplates import Surfaces, column_surfaces, endplate_normal
from osteoscope.anatomy.frame import (
    POSTERIOR_MM,
    Frame,
    Lattice,
    axes_from,
    lattice_over,
    sample_mask,
)
from osteoscope.core.grid import Grid

_ROUNDS = 3
_REACH_MM = np.array([36.0, 34.0, 30.0])
"""Half of the box, along left, posterior and superior, in which a body is looked for."""
_COLUMN_STEP_MM = (1.5, 1.0, 0.75)
_BETWEEN_POINTS_MM = 3.2
"""Points that fill a mask lie nearer to each other than this."""


@dataclass(frozen=True, eq=False)
class OrientedBody:
    """A body in its own frame.

    Args:
        frame: Axes from endplates and canal, about the body's centre.
        surfaces: Its endplates.
        wall: The cut between body and arch; None where the body was given.
        limits: The box that the body fills in the frame.
    """

    frame: Frame
    surfaces: Surfaces
    wall: PosteriorWall | None
    limits: BodyLimits


def core_in_front(points_mm: NDArray[np.float64], canal: Canal) -> NDArray[np.float64] | None:
    """(3,) rough centre of the body: what stands in front of the canal, within its width.

    Args:
        points_mm: (n, 3) LPS points that fill the vertebra.
        canal: Its canal.

    Returns:
        The centre, or None where too little stands there.
    """
    posterior = POSTERIOR_MM
    centre: NDArray[np.float64] | None = None
    for _ in range(2):
        frame = Frame(canal.point_mm, axes_from(canal.direction, posterior))
        left, p, _s = frame.coordinates(points_mm).T
        core = (np.abs(left) <= canal.half_width_mm + 3.0) & (p < -4.0)
        if np.count_nonzero(core) < 50:
            return None
        centre = points_mm[core].mean(axis=0)
        posterior = canal.point_mm - centre
    return centre


def orient_body(
    solid: NDArray[np.bool_],
    grid: Grid,
    canal: Canal,
    centre_mm: NDArray[np.float64],
    *,
    whole: bool,
    usable: tuple[bool, bool] = (True, True),
) -> OrientedBody | None:
    """The body's frame and surfaces, found in turn until they agree.

    Args:
        solid: (z, y, x) bool, the whole vertebra, or its body alone.
        grid: Where it lies.
        canal: The vertebra's canal.
        centre_mm: (3,) LPS point inside the body.
        whole: True where ``solid`` holds the arch, which is then cut off.
        usable: Whether the lower and the upper endplate are inside the labelled scan.

    Returns:
        None where no body with two walls and an endplate is seen.
    """
    frame = Frame(centre_mm, axes_from(canal.direction, canal.point_mm - centre_mm))
    points = mask_points_mm(solid, grid)
    margin_mm = _BETWEEN_POINTS_MM + float(grid.spacing_mm.max())
    result: OrientedBody | None = None
    for _ in range(_ROUNDS):
        wall = find_posterior_wall(solid, grid, frame, canal) if whole else None
        if whole and wall is None:
            return None
        lattice = _lattice_around(frame.coordinates(points), margin_mm, wall)
        occupancy = sample_mask(solid, grid, frame, lattice)
        surfaces = _body_surfaces(occupancy, lattice, wall)
        if surfaces is None:
            return None
        limits = BodyLimits(surfaces.left_mm, surfaces.height_mm)
        result = OrientedBody(frame, surfaces, wall, limits)
        frame = _turned(frame, surfaces, canal, usable)
    return result


def surfaces_of_body(body: NDArray[np.bool_], grid: Grid, frame: Frame) -> Surfaces | None:
    """The surfaces of a body that is cut off its arch already, in its own frame.

    Args:
        body: (z, y, x) bool.
        grid: Where it lies.
        frame: Its axes about its centre.
    """
    margin_mm = _BETWEEN_POINTS_MM + float(grid.spacing_mm.max())
    lattice = _lattice_around(frame.coordinates(mask_points_mm(body, grid)), margin_mm, None)
    return column_surfaces(sample_mask(body, grid, frame, lattice), lattice)


def _lattice_around(
    points_mm: NDArray[np.float64], margin_mm: float, wall: PosteriorWall | None
) -> Lattice:
    """The part of the box in which a body is looked for that is not empty in front of the wall.

    Args:
        points_mm: (n, 3) coordinates in the frame of points that fill the mask.
        margin_mm: What the mask reaches beyond them.
        wall: The posterior wall, where the arch is to be cut off.
    """
    low, high = -_REACH_MM, _REACH_MM.copy()
    if wall is not None:
        high[1] = min(high[1], wall.furthest_mm)
    near = points_mm[np.all((points_mm > low - margin_mm) & (points_mm < high + margin_mm), axis=1)]
    if len(near):
        step = np.array(_COLUMN_STEP_MM)
        # Whole steps from the box's corner: the samples are the same whatever is left out.
        passed_over = np.floor((near.min(axis=0) - margin_mm - low) / step)
        high = np.minimum(high, near.max(axis=0) + margin_mm)
        low = low + step * np.maximum(passed_over, 0.0)
    return lattice_over(low, high, _COLUMN_STEP_MM)


def _body_surfaces(
    occupancy: NDArray[np.float32], lattice: Lattice, wall: PosteriorWall | None
) -> Surfaces | None:
    """Surfaces of what stands in front of the wall, processes at the sides left out."""
    p, s = lattice.along(1), lattice.along(2)
    if wall is not None:
        occupancy *= p[:, None] <= wall.at(s)[None, :]
    first = column_surfaces(occupancy, lattice)
    if first is None:
        return None
    left = lattice.along(0)
    low, high = first.left_mm
    inside = (left >= low - LATERAL_MARGIN_MM) & (left <= high + LATERAL_MARGIN_MM)
    occupancy *= inside[:, None, None]
    return column_surfaces(occupancy, lattice)


def _turned(frame: Frame, surfaces: Surfaces, canal: Canal, usable: tuple[bool, bool]) -> Frame:
    """The frame about the body's centre: superior off the endplates, posterior to the canal."""
    normals = [
        normal
        for upper in (False, True)
        if usable[upper] and (normal := endplate_normal(surfaces, upper)) is not None
    ]
    superior = np.sum(normals, axis=0) @ frame.axes if normals else frame.axes[2]
    low, high = surfaces.height_mm
    middle = [np.mean(surfaces.left_mm), np.mean(surfaces.posterior_mm), (low + high) / 2]
    centre = frame.world_mm(np.array(middle))
    # The canal's axis at the height of the body's centre, not where its ring happened to close.
    lift = (centre - canal.point_mm) @ superior / (canal.direction @ superior)
    return Frame(centre, axes_from(superior, canal.point_mm + lift * canal.direction - centre))
