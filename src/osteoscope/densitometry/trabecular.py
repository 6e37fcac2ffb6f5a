"""The trabecular region of a vertebra, by a named method in millimetres."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.box import Box, bounding_box, outward
from osteoscope.core.errors import InputError, QualityError
from osteoscope.core.registry import look_up
from osteoscope.densitometry.depth import DepthField, depth_field
from osteoscope.densitometry.ellipse import elliptic_mid_body
from osteoscope.densitometry.region import Region

DEFAULT_METHOD = "eroded-body"
DEFAULT_EROSION_MM = 5.0


def trabecular_region(
    vertebra: Vertebra,
    method: str = DEFAULT_METHOD,
    *,
    erosion_mm: float = DEFAULT_EROSION_MM,
) -> Region:
    """The region of a vertebra in which trabecular bone is measured.

    Args:
        vertebra: Masks on the scan's canonical voxels.
        method: ``eroded-body``: the body less a layer of ``erosion_mm`` below its whole surface,
            endplates and posterior wall included. ``elliptic-mid-body``: an elliptic cylinder
            in the anterior half of the body's middle, in the vertebra's own axes.
            ``whole-vertebra``: the mask as it is, arch and cortex included.
            ``eroded-body-straight-cut``: the eroded body of a vertebra cut off its arch by one
            straight plane, see :func:`straight_cut`.
        erosion_mm: Thickness of the layer for ``eroded-body`` and ``eroded-body-straight-cut``, 0
            to 15 mm; the others ignore it.

    Returns:
        Weights on the scan's voxels: the share of each voxel that lies in the region, so that
        thick slices are weighted and not truncated.

    Raises:
        InputError: Unknown method, or an erosion outside 0 to 15 mm.
        QualityError: The body or the axes are missing, or nothing is left of the body.

    Examples:
        >>> import numpy as np
        >>> from osteoscope.core.grid import grid_from_spacing
        >>> body = np.zeros((34, 44, 54), dtype=bool)
        >>> body[3:31, 5:39, 5:49] = True
        >>> everything = slice(None)
        >>> l1 = Vertebra("L1", (everything,) * 3, grid_from_spacing(body.shape, (1, 1, 1)),
        ...     body, body, np.eye(3), np.array([27.0, 22.0, 17.0]), None)
        >>> region = trabecular_region(l1, erosion_mm=5)
        >>> volume_cm3 = float(region.weights.sum()) / 1000  # voxels of 1 mm3
        >>> abs(volume_cm3 / (1.8 * 2.4 * 3.4) - 1) < 0.03
        True
    """
    draw = look_up(REGION_METHODS, method, "region method")
    return draw(vertebra, erosion_mm)


def eroded_bodies(vertebra: Vertebra, erosions_mm: Sequence[float]) -> tuple[Region, ...]:
    """The eroded body at several depths, from one depth field: for sensitivity to the region.

    Args:
        vertebra: Masks on the scan's canonical voxels.
        erosions_mm: Depths, 0 to 15 mm.

    Raises:
        InputError: A depth outside 0 to 15 mm.
        QualityError: No body, or nothing is left of it at one of the depths.
    """
    for erosion_mm in erosions_mm:
        _check_erosion(erosion_mm)
    field = _depth(vertebra)
    return tuple(_eroded(vertebra, field, erosion_mm) for erosion_mm in erosions_mm)


def eroded_body_with_neighbours(
    vertebra: Vertebra, erosion_mm: float, step_mm: float
) -> tuple[Region, tuple[Region, ...]]:
    """The eroded body, and the same a step less and a step more eroded, from one depth field.

    Args:
        vertebra: Masks on the scan's canonical voxels.
        erosion_mm: Depth, 0 to 15 mm.
        step_mm: How far the surface may lie elsewhere, mm, positive.

    Returns:
        The region and its neighbours; one of which nothing is left is not among them.

    Raises:
        InputError: A depth outside 0 to 15 mm.
        QualityError: No body, or nothing is left of it at ``erosion_mm``.
    """
    _check_erosion(erosion_mm)
    field = _depth(vertebra)
    region = _eroded(vertebra, field, erosion_mm)
    depths = (max(0.0, erosion_mm - step_mm), erosion_mm + step_mm)
    deepest = float(field.depth_mm.max())
    near = tuple(_eroded(vertebra, field, depth) for depth in depths if depth < deepest)
    return region, near


def _eroded_body(vertebra: Vertebra, erosion_mm: float) -> Region:
    return eroded_bodies(vertebra, (erosion_mm,))[0]


def _eroded(vertebra: Vertebra, field: DepthField, erosion_mm: float) -> Region:
    weights = field.share_deeper_than(erosion_mm)
    if not np.any(weights > 0):
        deepest = float(field.depth_mm.max())
        raise QualityError(
            f"Nothing is left of the {vertebra.level} body after eroding {erosion_mm:g} mm (its "
            f"deepest point lies {deepest:.1f} mm below the surface); choose a smaller erosion "
            "or check the segmentation."
        )
    return _region(vertebra, f"body eroded {erosion_mm:g} mm", field.box, weights)


@lru_cache(maxsize=1)
def _depth(vertebra: Vertebra) -> DepthField:
    """The body's depth field; the last one is kept, since several methods of a level use it."""
    return depth_field(_body(vertebra), vertebra.grid)


def straight_cut(vertebra: Vertebra, erosion_mm: float) -> Region:
    """The eroded body of a vertebra that is cut straight at the canal's foremost point.

    The quick way of many automatic tools and one-off scripts: no axes of the vertebra are
    estimated; what lies in front of a coronal plane of the scan is the body, and the plane is laid
    through the most anterior point of the spinal canal in the slices that the label occupies. Use
    it to compare with numbers that were read so. In a vertebra that leans, the plane takes away
    the back of the body: of the region in the shared real L1, which leans 12 degrees, two
    thirds are left, a dense focus weighs more in them, and their mean is 119 HU where it is 113 in
    the whole body. The assessment's default is therefore the whole body.

    The canal's front is its axis less half of its depth, seen in the mask's shadow. A voxel of the
    eroded body counts with its share that lies ``erosion_mm`` or more in front of the plane.

    Args:
        vertebra: Masks on the scan's canonical voxels.
        erosion_mm: Depth below the body's surface and below the plane, 0 to 15 mm.

    Raises:
        InputError: A depth outside 0 to 15 mm.
        QualityError: No body or no canal, or nothing is left in front of the plane.
    """
    _check_erosion(erosion_mm)
    field = _depth(vertebra)
    plane = _canal_front_row(vertebra) - erosion_mm / float(vertebra.grid.spacing_mm[1])
    rows = np.arange(field.box[1].start, field.box[1].stop)
    # A row reaches half a voxel to either side of its centre.
    share = np.clip(plane - (rows - 0.5), 0.0, 1.0).astype(np.float32)
    weights = field.share_deeper_than(erosion_mm) * share[:, None]
    if not np.any(weights > 0):
        raise QualityError(
            f"Nothing of the {vertebra.level} body lies {erosion_mm:g} mm in front of its canal's "
            "foremost point; choose the eroded body instead."
        )
    return _region(vertebra, f"body cut straight, eroded {erosion_mm:g} mm", field.box, weights)


def _canal_front_row(vertebra: Vertebra) -> float:
    """Row (index along the second axis) of the canal's foremost point beside the label's slices."""
    if vertebra.canal is None:
        raise QualityError(_no(vertebra, "canal", "choose the eroded body instead"))
    grid, canal = vertebra.grid, vertebra.canal
    z, y, _ = grid.world_mm_to_index(canal.point_mm)
    along_z, along_y, _ = grid.world_mm_to_index(canal.point_mm + canal.direction) - (z, y, 0.0)
    slices = bounding_box(vertebra.mask)[0]
    ends = np.array([slices.start, slices.stop - 1], dtype=np.float64)
    half_depth = canal.half_depth_mm / float(grid.spacing_mm[1])
    return float(np.min(y + (ends - z) * along_y / along_z)) - half_depth


def _elliptic(vertebra: Vertebra, erosion_mm: float) -> Region:
    del erosion_mm  # the ellipse has its own size
    body = _body(vertebra)
    if vertebra.axes is None:
        raise QualityError(_no(vertebra, "axes", "choose another region method"))
    box, weights, method = elliptic_mid_body(body, vertebra.grid, vertebra.axes)
    return _region(vertebra, method, box, weights)


def _whole(vertebra: Vertebra, erosion_mm: float) -> Region:
    del erosion_mm  # the mask is taken as it is
    if not vertebra.mask.any():
        raise QualityError(_no(vertebra, "voxels", "check the segmentation"))
    box = bounding_box(vertebra.mask)
    return _region(vertebra, "whole vertebra", box, vertebra.mask[box].astype(np.float32))


REGION_METHODS: Mapping[str, Callable[[Vertebra, float], Region]] = MappingProxyType(
    {
        "eroded-body": _eroded_body,
        "elliptic-mid-body": _elliptic,
        "whole-vertebra": _whole,
        "eroded-body-straight-cut": straight_cut,
    }
)
"""Every way of drawing the region, by the name that ``--method`` takes."""


def _region(vertebra: Vertebra, method: str, box: Box, weights: NDArray[np.float32]) -> Region:
    """The region cut to its non-zero weights, placed in the scan's canonical array."""
    cut = bounding_box(weights > 0)
    inner = outward(cut, box)
    return Region(
        vertebra.level,
        method,
        outward(inner, vertebra.box),
        vertebra.grid.crop(inner),
        np.ascontiguousarray(weights[cut]),
    )


def _body(vertebra: Vertebra) -> NDArray[np.bool_]:
    if vertebra.body is None:
        raise QualityError(_no(vertebra, "body", "check the segmentation of this level"))
    return vertebra.body


def _no(vertebra: Vertebra, what: str, remedy: str) -> str:
    reason = f" ({vertebra.withheld.rstrip('.')})" if vertebra.withheld else ""
    return f"{vertebra.level} has no {what} to draw a region in{reason}; {remedy}."


def _check_erosion(erosion_mm: float) -> None:
    if not 0.0 <= erosion_mm <= 15.0:
        raise InputError(f"The erosion must lie within 0 to 15 mm, not {erosion_mm:g} mm.")
