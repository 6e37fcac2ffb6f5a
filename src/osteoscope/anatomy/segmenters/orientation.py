"""A scan turned into the orientation that a network was trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError
from osteoscope.core.grid import Grid, to_canonical

_AXIS_OF = {"S": 0, "I": 0, "P": 1, "A": 1, "L": 2, "R": 2}
_AGAINST_CANONICAL = "IAR"


def check_orientation(code: str) -> None:
    """Refuse what is not three letters for three different axes.

    Raises:
        InputError: The message says what the letters mean.
    """
    if len(code) != 3 or {_AXIS_OF.get(letter) for letter in code} != {0, 1, 2}:
        raise InputError(
            f"The orientation {code!r} must be three letters, one each of L/R, P/A and S/I: where "
            "the file's x, y and z axes point to, for example LPS or RAS."
        )


def oriented(array: NDArray[Any], grid: Grid, code: str) -> tuple[NDArray[Any], Grid]:
    """The same voxels with axes in another order and direction; nothing is copied.

    Args:
        array: (z, y, x) on ``grid``.
        grid: Where its voxels lie.
        code: Where the x, y and z axes of the result point to most nearly, for example ``RAS``.

    Returns:
        A view of ``array`` and its grid.

    Raises:
        InputError: The code is not one letter each of L/R, P/A and S/I.
    """
    check_orientation(code)
    letters = code[::-1]  # arrays are (z, y, x)
    order = [_AXIS_OF[letter] for letter in letters]
    flips = [letter in _AGAINST_CANONICAL for letter in letters]
    view = to_canonical(array, grid).transpose(order)
    view = view[tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)]
    canonical = grid.canonical()
    affine = canonical.affine_lps_mm.copy()
    start = np.zeros(3)
    for axis, flip in zip(order, flips, strict=True):
        if flip:
            start[axis] = canonical.shape[axis] - 1
    signs = np.where(flips, -1.0, 1.0)
    affine[:3, :3] = canonical.affine_lps_mm[:3, :3][:, order] * signs
    affine[:3, 3] = canonical.index_to_world_mm(start)
    return view, Grid((view.shape[0], view.shape[1], view.shape[2]), affine)
