"""Average size, tilt and spacing of each vertebra from T10 to S1, before a patient's own factors.

Chosen in the range of published morphometry (Panjabi et al., Spine 1991 and 1992, thoracic and
lumbar vertebrae: L1's endplates 41-43 by 34-35 mm; Roussouly et al., Spine 2005, sagittal tilts):
a phantom needs the pattern, not the decimals. Women's are 2.5 % smaller, men's 7 % larger: L1's
body has about 27 and 35 cm3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class LevelReference:
    """An average adult vertebra.

    Args:
        height_mm: Mean of anterior and posterior body height.
        wedge: Anterior over posterior height.
        width_mm: Left to right at the endplates.
        depth_mm: Front to back.
        tilt_deg: How far the superior axis leans forward.
        disc_mm: Disc below.
    """

    height_mm: float
    wedge: float
    width_mm: float
    depth_mm: float
    tilt_deg: float
    disc_mm: float


REFERENCE: Mapping[str, LevelReference] = MappingProxyType(
    {
        "T10": LevelReference(22.0, 0.97, 32.5, 31.0, -11.0, 5.0),
        "T11": LevelReference(23.0, 0.96, 35.0, 32.0, -14.0, 5.5),
        "T12": LevelReference(24.7, 0.96, 38.5, 33.0, -15.0, 6.5),
        "T13": LevelReference(25.2, 0.96, 40.0, 33.5, -14.5, 7.0),
        "L1": LevelReference(26.2, 0.96, 42.0, 34.0, -13.0, 7.5),
        "L2": LevelReference(27.0, 0.98, 43.0, 34.6, -7.0, 8.5),
        "L3": LevelReference(27.5, 1.00, 44.5, 35.2, 1.0, 9.5),
        "L4": LevelReference(27.5, 1.03, 46.5, 35.6, 11.0, 10.5),
        "L5": LevelReference(27.0, 1.09, 49.5, 35.6, 23.0, 10.0),
        "L6": LevelReference(26.5, 1.09, 50.5, 35.6, 29.0, 9.0),
        "S1": LevelReference(28.0, 1.10, 51.0, 33.0, 37.0, 0.0),
    }
)

LEVELS_T10_TO_L5 = ("T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5")

MUST_BE_THERE = ("T11", "T12", "L1", "L2", "L3", "L4", "L5")
"""The levels that densitometry reports; each that a scan does not hold is missing."""


def levels_with(variant: str | None) -> tuple[str, ...]:
    """T10 to the last lumbar vertebra, with the variant ``T13`` or ``L6`` where asked for."""
    levels = list(LEVELS_T10_TO_L5)
    if variant == "T13":
        levels.insert(levels.index("L1"), "T13")
    elif variant == "L6":
        levels.append("L6")
    return tuple(levels)
