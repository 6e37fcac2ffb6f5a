"""The trabecular region of a vertebra, by a named method in millimetres."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
        erosion_mm: Thickness of the layer for ``eroded-body``, 0 to 15 mm; the others ignore it.

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
    field = depth_field(_body(vertebra), vertebra.grid)
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
    field = depth_field(_body(vertebra), vertebra.grid)
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
