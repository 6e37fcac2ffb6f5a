"""The labels that a program wrote, checked against the grid it was given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import ModelError, OsteoscopeError
from osteoscope.core.grid import Grid
from osteoscope.io.image_files import read_image

_FILE_PRECISION_MM = 0.1
"""NIfTI keeps positions as 32-bit floats; a voxel's shift would be much more than this."""


def read_result(path: Path, grid: Grid, name: str, largest_label: int) -> NDArray[Any]:
    """The labels that a program left for a scan.

    Args:
        path: The file it was asked to write.
        grid: Grid of the scan that it was given.
        name: The program's name for messages.
        largest_label: Largest number that its labels may have.

    Returns:
        (z, y, x) unsigned integers on ``grid``.

    Raises:
        ModelError: The file is missing or damaged, or its grid or labels are not those expected.
    """
    if not path.is_file():
        raise ModelError(f"{name} ended without writing its labels; check its version and log.")
    try:
        image = read_image(path)
    except OsteoscopeError as error:
        raise ModelError(f"The labels that {name} wrote cannot be read: {error}") from None
    if not image.grid.matches(grid, _FILE_PRECISION_MM):
        raise ModelError(
            f"{name} wrote labels on another grid ({image.grid.shape}) than the scan's "
            f"({grid.shape}); check its version and options."
        )
    if not np.issubdtype(image.array.dtype, np.integer):
        raise ModelError(
            f"{name} wrote {image.array.dtype} values instead of labels; check its options."
        )
    low, high = float(image.array.min()), float(image.array.max())
    if low < 0 or high > largest_label:
        raise ModelError(
            f"{name} wrote labels from {low:g} to {high:g} where 0 to {largest_label} are "
            "possible; check that it is the model that was meant."
        )
    return image.array.astype(np.min_scalar_type(largest_label), copy=False)
