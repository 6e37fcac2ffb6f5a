"""Signed distances to analytic shapes, and how much of a voxel lies inside them.

Distances are in mm, negative inside. Arrays broadcast, so a shape may be evaluated on open grids.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Point = tuple[float, float, float]


def coverage(distance_mm: Field, width_mm: float) -> Field:
    """Share of a voxel that lies inside a surface: a linear edge over the voxel's width.

    Args:
        distance_mm: Signed distance of the voxel's centre, negative inside.
        width_mm: Extent of the voxel along the surface's normal, above zero.
    """
    share = np.float32(0.5) - distance_mm * np.float32(1.0 / width_mm)
    return np.asarray(np.clip(share, np.float32(0), np.float32(1)), dtype=np.float32)


def superellipse(u: Field, v: Field, half_u: Field | float, half_v: float, power: float) -> Field:
    """First-order signed distance to ``|u/half_u|^power + |v/half_v|^power = 1``, power >= 2.

    The level set is divided by its gradient (Taubin 1991), so it is exact at the surface and
    bounded inside; the centre, where the gradient vanishes, gets minus the smaller half axis.
    """
    au, av = np.abs(u) / half_u, np.abs(v) / np.float32(half_v)
    pu, pv = au ** np.float32(power - 1), av ** np.float32(power - 1)
    radius = np.maximum(pu * au + pv * av, np.float32(1e-6)) ** np.float32(1.0 / power)
    gradient = np.sqrt((pu / half_u) ** 2 + (pv / np.float32(half_v)) ** 2)
    gradient = gradient / radius ** np.float32(power - 1)
    distance = (radius - 1) / np.maximum(gradient, np.float32(1e-4))
    return np.asarray(np.maximum(distance, -np.minimum(half_u, half_v)), dtype=np.float32)


def capsule(point: tuple[Field, Field, Field], start: Point, end: Point, radius_mm: float) -> Field:
    """Signed distance to a segment from ``start`` to ``end`` thickened by ``radius_mm``."""
    u, v, w = (p - np.float32(s) for p, s in zip(point, start, strict=True))
    du, dv, dw = (e - s for s, e in zip(start, end, strict=True))
    length2 = du * du + dv * dv + dw * dw
    along = u * np.float32(du) + v * np.float32(dv) + w * np.float32(dw)
    share = np.clip(along / np.float32(max(length2, 1e-9)), np.float32(0), np.float32(1))
    squared = (
        (u - share * np.float32(du)) ** 2
        + (v - share * np.float32(dv)) ** 2
        + (w - share * np.float32(dw)) ** 2
    )
    return np.asarray(np.sqrt(squared) - np.float32(radius_mm), dtype=np.float32)


def ellipsoid(point: tuple[Field, Field, Field], centre: Point, half_axes: Point) -> Field:
    """First-order signed distance to an axis-aligned ellipsoid."""
    radius2 = np.zeros(1, dtype=np.float32)
    gradient2 = np.zeros(1, dtype=np.float32)
    for p, c, h in zip(point, centre, half_axes, strict=True):
        scaled = (p - np.float32(c)) / np.float32(h)
        radius2 = radius2 + scaled**2
        gradient2 = gradient2 + (scaled / np.float32(h)) ** 2
    radius = np.sqrt(radius2)
    distance = radius * (radius - 1) / np.maximum(np.sqrt(gradient2), np.float32(1e-4))
    return np.asarray(np.maximum(distance, np.float32(-min(half_axes))), dtype=np.float32)
