"""Labels from their own grid onto a scan's, by nearest neighbour and the cheapest exact way."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.box import Box
from osteoscope.core.errors import GeometryError
from osteoscope.core.grid import Grid, to_canonical
from osteoscope.io.image_files import to_sitk
from osteoscope.io.raw_labels import RawLabels
from osteoscope.io.simple_itk import sitk

_TOLERANCE_MM = 0.01
_LEAST_OVERLAP = 0.01
_SAMPLES = 24
"""Points along each axis that estimate how much of one box lies in another."""


def resample_labels(raw: RawLabels, grid: Grid) -> NDArray[Any]:
    """The labels on ``grid``, each voxel taking the number of the nearest labelled voxel.

    Grids that match, that differ by flips and permutations, or by whole voxels (a crop) are
    copied exactly. Otherwise only the box around the labels is resampled.

    Args:
        raw: Labels on their own grid.
        grid: The scan's grid.

    Returns:
        (z, y, x) array on ``grid``, of the labels' type; 0 where the labels do not reach. It may
        be a view of ``raw.array``.

    Raises:
        GeometryError: The two boxes hardly overlap; the message states the fraction.
    """
    if raw.grid.matches(grid, _TOLERANCE_MM):
        return raw.array
    inside = labels_inside(raw.grid, grid)
    covered = labels_inside(grid, raw.grid)
    if max(inside, covered) < _LEAST_OVERLAP:
        raise GeometryError(
            f"The segmentation does not overlap the scan: {100 * inside:.1f} % of its box lies in "
            "the scan; give the segmentation of this scan, in this scan's world coordinates."
        )
    order, flips = grid.canonical_axes()
    canonical = _on_canonical(raw, grid.canonical())
    return _from_canonical(canonical, order, flips)


def overlap_note(raw: RawLabels, grid: Grid) -> str | None:
    """One sentence where the segmentation and the scan cover each other only in part."""
    if raw.grid.matches(grid, _TOLERANCE_MM):
        return None
    covered, inside = labels_inside(grid, raw.grid), labels_inside(raw.grid, grid)
    if min(covered, inside) > 0.99:
        return None
    return (
        f"The segmentation covers {100 * covered:.0f} % of the scan, and {100 * inside:.0f} % of "
        "the segmentation lies in the scan: what it does not reach is not labelled."
    )


def labels_inside(inner: Grid, outer: Grid) -> float:
    """Fraction of the box of ``inner`` that lies in the box of ``outer``, in [0, 1]."""
    axes = [(np.arange(_SAMPLES) + 0.5) / _SAMPLES * n - 0.5 for n in inner.shape]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    index = outer.world_mm_to_index(inner.index_to_world_mm(points))
    within = (index >= -0.5) & (index <= np.array(outer.shape) - 0.5)
    return float(within.all(axis=1).mean())


def _on_canonical(raw: RawLabels, target: Grid) -> NDArray[Any]:
    """Labels on a canonical grid."""
    source = to_canonical(raw.array, raw.grid)
    grid = raw.grid.canonical()
    if grid.matches(target, _TOLERANCE_MM):
        return source
    out = np.zeros(target.shape, dtype=raw.array.dtype)
    offset = _whole_voxel_offset(grid, target)
    if offset is not None:
        _paste(source, out, offset)
        return out
    box = _occupied(source)
    if box is None:
        return out
    wanted = _box_in(target, grid.crop(box))
    if wanted is not None:
        out[wanted] = _nearest(source[box], grid.crop(box), target.crop(wanted))
    return out


def _whole_voxel_offset(grid: Grid, target: Grid) -> tuple[int, int, int] | None:
    """Index of ``grid``'s first voxel in ``target`` where voxels coincide; else None."""
    extent = np.array(grid.shape)
    apart = (grid.affine_lps_mm[:3, :3] - target.affine_lps_mm[:3, :3]) * extent
    if np.abs(apart).max() > _TOLERANCE_MM:
        return None
    start = target.world_mm_to_index(grid.affine_lps_mm[:3, 3])
    whole = np.rint(start)
    if float(np.max(np.abs(start - whole) * target.spacing_mm)) > _TOLERANCE_MM:
        return None
    return int(whole[0]), int(whole[1]), int(whole[2])


def _paste(source: NDArray[Any], out: NDArray[Any], offset: tuple[int, int, int]) -> None:
    here, there = [], []
    for start, size, room in zip(offset, source.shape, out.shape, strict=True):
        low, high = max(0, start), min(room, start + size)
        if high <= low:
            return
        there.append(slice(low, high))
        here.append(slice(low - start, high - start))
    out[tuple(there)] = source[tuple(here)]


def _occupied(array: NDArray[Any]) -> Box | None:
    """The smallest box that holds every label, one voxel wider; None where there is none."""
    planes = np.array([bool(plane.any()) for plane in array])
    if not planes.any():
        return None
    rest = array[planes].any(axis=0)
    spans = []
    for used, n in zip((planes, rest.any(axis=1), rest.any(axis=0)), array.shape, strict=True):
        hit = np.flatnonzero(used)
        spans.append(slice(max(0, int(hit[0]) - 1), min(n, int(hit[-1]) + 2)))
    return spans[0], spans[1], spans[2]


def _box_in(target: Grid, part: Grid) -> Box | None:
    """The box of ``target`` that holds ``part``, half a voxel of ``part`` included."""
    ends = np.array([[-0.5, n - 0.5] for n in part.shape])
    index = np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(-1, 3)
    corners = target.world_mm_to_index(part.index_to_world_mm(index))
    low = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
    high = np.minimum(np.ceil(corners.max(axis=0)) + 1, target.shape).astype(int)
    if np.any(high <= low):
        return None
    return slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])


def _nearest(array: NDArray[Any], grid: Grid, target: Grid) -> NDArray[Any]:
    filter_ = sitk.ResampleImageFilter()
    filter_.SetInterpolator(sitk.sitkNearestNeighbor)
    filter_.SetDefaultPixelValue(0)
    nz, ny, nx = target.shape
    filter_.SetSize([int(nx), int(ny), int(nz)])
    filter_.SetOutputSpacing([float(s) for s in target.spacing_mm[::-1]])
    filter_.SetOutputDirection([float(d) for d in target.directions[:, ::-1].ravel()])
    filter_.SetOutputOrigin([float(x) for x in target.affine_lps_mm[:3, 3]])
    return np.asarray(sitk.GetArrayFromImage(filter_.Execute(to_sitk(array, grid))))


def _from_canonical(
    array: NDArray[Any], order: tuple[int, int, int], flips: tuple[bool, bool, bool]
) -> NDArray[Any]:
    """Undo :func:`osteoscope.core.grid.to_canonical`: flip back, then permute back."""
    view = array[tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)]
    return view.transpose(np.argsort(order))
