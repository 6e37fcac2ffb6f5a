"""CT windows: HU to the numbers between 0 and 1 that networks take, one channel a window."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError
from osteoscope.core.registry import look_up

Window = tuple[float, float]
"""Lowest and highest HU that are told apart."""

DEFAULT_WINDOW: Window = (-200.0, 800.0)
"""Chosen: from below fatty marrow and muscle to above dense trabecular bone, so that neither is
clipped, with 4 HU a grey level of eight bits; cortex and metal saturate."""

WINDOWS: Mapping[str, Window] = MappingProxyType(
    {
        "vertebra": DEFAULT_WINDOW,
        "bone": (-500.0, 1300.0),
        "soft-tissue": (-160.0, 240.0),
        "trabecular": (-100.0, 400.0),
    }
)
"""Every window by the name that ``--window`` takes. ``bone`` and ``soft-tissue`` are the usual
reading windows (width 1800 at 400 HU, 400 at 40 HU); ``trabecular`` spreads the values between
fatty marrow and dense trabecular bone and is chosen."""


def named_windows(names: Sequence[str]) -> tuple[Window, ...]:
    """The windows of those names, in their order.

    Raises:
        InputError: No name is given, or one is unknown; the message lists the known ones.
    """
    if not names:
        raise InputError("At least one window is needed, for example vertebra.")
    return tuple(look_up(WINDOWS, name, "window") for name in names)


def check_windows(windows: Sequence[Window]) -> None:
    """Refuse windows that map nothing.

    Raises:
        InputError: There is none, or one's ends are not finite or do not rise.
    """
    if not windows:
        raise InputError("At least one window is needed, for example (-200, 800) HU.")
    for low, high in windows:
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise InputError(f"A window must rise from low to high HU, not {low:g} to {high:g}.")


def apply_windows(
    crops_hu: NDArray[np.int16], windows: Sequence[Window] = (DEFAULT_WINDOW,)
) -> NDArray[np.float32]:
    """Crops as channels between 0 and 1: ``clip((HU - low) / (high - low), 0, 1)`` each.

    Args:
        crops_hu: (n, z, y, x) HU, whole numbers or real ones.
        windows: One or more pairs of HU, the second above the first.

    Returns:
        (n, len(windows), z, y, x) float32 in [0, 1].

    Raises:
        InputError: The crops do not have four axes, or a window does not rise.

    >>> apply_windows(np.full((1, 1, 1, 1), 300, dtype=np.int16)).item()
    0.5
    """
    if crops_hu.ndim != 4:
        raise InputError(f"Crops to be windowed are (n, z, y, x), not of {crops_hu.ndim} axes.")
    check_windows(windows)
    out = np.empty((crops_hu.shape[0], len(windows), *crops_hu.shape[1:]), dtype=np.float32)
    for channel, (low, high) in enumerate(windows):
        part = out[:, channel]
        np.subtract(crops_hu, np.float32(low), out=part, dtype=np.float32, casting="unsafe")
        part *= np.float32(1.0 / (high - low))
        np.clip(part, 0.0, 1.0, out=part)
    return out
