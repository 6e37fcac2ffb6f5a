"""Digitised solids of vertebral size whose eroded volume is known, as vertebrae."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.grid import grid_from_spacing

HALF_BOX_MM = np.array([14.0, 17.0, 23.0])  # z, y, x
SPACE_MM = 68.0


def solid_vertebra(kind, spacing_mm, *, rotation_deg=(0, 0, 0), shift_mm=(0.0, 0.0, 0.0)):
    """A box, cylinder or ball as the body of a vertebra on a grid that is its own scan."""
    shape = tuple(int(np.ceil(SPACE_MM / h)) for h in spacing_mm)
    axes = [(np.arange(n) - (n - 1) / 2) * h for n, h in zip(shape, spacing_mm, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1) - np.array(shift_mm)
    turn = Rotation.from_euler("xyz", rotation_deg, degrees=True).as_matrix()
    own = points @ turn
    if kind == "box":
        inside = (np.abs(own) <= HALF_BOX_MM).all(-1)
    elif kind == "cylinder":
        inside = (np.abs(own[..., 0]) <= 14) & (np.hypot(own[..., 1], own[..., 2]) <= 20)
    else:
        inside = np.linalg.norm(own, axis=-1) <= 20
    grid = grid_from_spacing(shape, spacing_mm)
    everything = (slice(0, shape[0]), slice(0, shape[1]), slice(0, shape[2]))
    # Columns of ``turn`` are the solid's z, y, x axes in (z, y, x); rows of axes are LPS.
    rows = np.array([turn[::-1, 2], turn[::-1, 1], turn[::-1, 0]])
    centre = grid.index_to_world_mm((np.array(shape) - 1) / 2 + np.array(shift_mm) / spacing_mm)
    return Vertebra("L1", everything, grid, inside, inside, rows, centre, None)


def eroded_volume_mm3(kind, erosion_mm):
    """The volume of the same solid less a layer of ``erosion_mm``."""
    if kind == "box":
        return float(8 * np.prod(HALF_BOX_MM - erosion_mm))
    if kind == "cylinder":
        return float(np.pi * (20 - erosion_mm) ** 2 * 2 * (14 - erosion_mm))
    return float(4 / 3 * np.pi * (20 - erosion_mm) ** 3)
