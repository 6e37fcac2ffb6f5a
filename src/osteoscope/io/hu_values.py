"""Are these numbers Hounsfield units, and what is the smallest type that holds them?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError

AIR_HU = -1024
"""What is written where a scan declares its voxels to be padding."""

_INT16 = np.iinfo(np.int16)
_PADDING_BELOW_HU = -1500
"""No tissue, nor air with noise, lies below; a plateau there is a vendor's padding."""


def compact(array: NDArray[Any]) -> NDArray[Any]:
    """The same values in the smallest type that suits a scan.

    Integers, and floats whose values are all whole, become int16 where they fit, else int32;
    other floats become float32. Works slice by slice: no second large copy is held.

    Args:
        array: (z, y, x) numbers.

    Returns:
        (z, y, x) array; the argument itself where it is int16 already.

    Raises:
        InputError: A value is not finite or beyond 32 bits.
    """
    if array.dtype == np.int16:
        return array
    low, high, whole = _range_of(array)
    if not whole:
        return array.astype(np.float32, copy=False)
    for kind in (np.int16, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return array.astype(kind, copy=False)
    raise InputError(f"The image's values reach from {low:g} to {high:g}: these are not HU.")


def _range_of(array: NDArray[Any]) -> tuple[float, float, bool]:
    """Minimum, maximum, and whether every value is whole."""
    if not np.issubdtype(array.dtype, np.floating):
        return float(array.min()), float(array.max()), True
    low, high, whole, bad = np.inf, -np.inf, True, 0
    for plane in array:
        finite = np.isfinite(plane)
        if not finite.all():
            bad += int(finite.size - np.count_nonzero(finite))
            continue
        low, high = min(low, float(plane.min())), max(high, float(plane.max()))
        whole = whole and bool(np.array_equal(plane, np.rint(plane)))
    if bad:
        raise InputError(
            f"The image holds voxels that are not numbers (NaN or infinite) in slices with {bad} "
            "of them; fill them with -1024 or export the scan again."
        )
    return low, high, whole


def check_hounsfield(array: NDArray[Any]) -> tuple[str, ...]:
    """Refuse values that cannot be Hounsfield units, which hold air and fat below zero.

    Args:
        array: (z, y, x) values that claim to be HU.

    Returns:
        Notes on values that are possible but odd.

    Raises:
        InputError: No value lies below zero, or the range is that of a normalised image.
    """
    low, high = float(array.min()), float(array.max())
    if low >= 0:
        raise InputError(
            f"No rescale: the values reach from {low:g} to {high:g}, but a CT in HU holds air and "
            "fat below 0; export the scan with its rescale slope and intercept applied."
        )
    if high - low <= 32:
        raise InputError(
            f"The values reach from {low:g} to {high:g}: a normalised image, not HU; use the "
            "scan before normalisation."
        )
    top = float(np.count_nonzero(array[::4, ::2, ::2] == high)) / array[::4, ::2, ::2].size
    if high < 1000 and top > 0.001:
        return (
            f"Values seem clipped at {high:g} HU ({100 * top:.1f} % of voxels lie there): "
            "cortical bone may be cut off.",
        )
    return ()


def padding_plateau(array: NDArray[Any]) -> float | None:
    """The value of padding in an image whose file cannot declare one.

    Args:
        array: (z, y, x) HU.

    Returns:
        The minimum, where it is below any tissue (-1500 HU) and shared by over 0.1 % of voxels.
    """
    low = float(array.min())
    if low > _PADDING_BELOW_HU:
        return None
    sample = array[::4, ::2, ::2]
    shared = np.count_nonzero(sample == low) > 0.001 * sample.size
    return low if shared else None
