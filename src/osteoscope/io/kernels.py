"""What a reconstruction kernel's name says about its sharpness, by vendor convention.

Sources: DICOM conformance statements and kernel lists of Siemens (a letter code and a number that
rises with sharpness), GE (words), Philips (letters), Canon (``FC`` and a number).
"""

from __future__ import annotations

import re
from typing import Literal

KernelKind = Literal["soft", "sharp", "lung", "unknown"]

_SIEMENS = re.compile(r"^(?:[A-Z]|[A-Z][A-Za-z])(\d{2})[A-Za-z]?(?:\b|_|\d|$)")
_CANON = re.compile(r"^FC(\d{2})", re.I)
_SHARPEST_SOFT_SIEMENS = 49
_LUNG_WORDS = ("LUNG", "CHST", "LUN")
_SHARP_WORDS = ("BONE", "EDGE", "ULTRA", "SHARP", "DETAIL+", "HD", "HIGH", "INNER EAR")
_SOFT_WORDS = ("SOFT", "STANDARD", "STND", "STAND", "DETAIL", "BODY", "MEDIASTINUM", "SMOOTH")
_PHILIPS: dict[str, KernelKind] = {
    "A": "soft", "B": "soft", "BF": "soft", "C": "soft", "D": "sharp", "E": "sharp",
    "F": "sharp", "YA": "sharp", "YB": "sharp", "YC": "lung", "YD": "lung", "L": "lung",
}  # fmt: skip


def kernel_kind(kernel: str | None) -> KernelKind:
    """``soft``, ``sharp``, ``lung`` or ``unknown``.

    Args:
        kernel: As the vendor writes it, for example ``Br38f``, ``BONEPLUS``, ``FC13``, ``B``.
    """
    if not kernel:
        return "unknown"
    name = kernel.strip()
    upper = name.upper()
    if any(upper.startswith(word) for word in _LUNG_WORDS):
        return "lung"
    if any(word in upper for word in _SHARP_WORDS):
        return "sharp"
    if any(word in upper for word in _SOFT_WORDS):
        return "soft"
    if canon := _CANON.match(name):
        return _canon(int(canon.group(1)))
    if siemens := _SIEMENS.match(name):
        number = int(siemens.group(1))
        if name.startswith("Bl"):
            return "lung"
        return "soft" if number <= _SHARPEST_SOFT_SIEMENS else "sharp"
    return _PHILIPS.get(upper, "unknown")


def _canon(number: int) -> KernelKind:
    if number in range(1, 30) or number in range(40, 50):
        return "soft"
    return "lung" if number in range(50, 60) else "sharp"
