"""Young adults that a T-score is relative to, each by its published name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from osteoscope.core.registry import look_up


@dataclass(frozen=True)
class DxaReference:
    """Young adults that a T-score is relative to.

    Args:
        name: The name that ``--dxa-reference`` takes.
        mean_g_cm2: Their mean areal BMD of L1-L4.
        sd_g_cm2: Their SD.
        source: Where it is published.
    """

    name: str
    mean_g_cm2: float
    sd_g_cm2: float
    source: str


REFERENCES: Mapping[str, DxaReference] = MappingProxyType(
    {
        r.name: r
        for r in (
            DxaReference(
                "hologic-women-l1-l4",
                1.047,
                0.110,
                "Hologic manufacturer's reference, white women, L1-L4, peak bone mass",
            ),
            DxaReference(
                "nhanes-women-30s",
                1.065,
                0.110,
                "NHANES 2005-2008, women 31-40 years, as in doi 10.3389/fendo.2026.1748490 table 3",
            ),
            DxaReference(
                "nhanes-men-30s",
                1.042,
                0.117,
                "NHANES 2005-2008, men 31-40 years, as in doi 10.3389/fendo.2026.1748490 table 3",
            ),
        )
    }
)
"""Every reference by name. All are Hologic's scale; other makers' lie up to 15 % higher."""

DEFAULT_REFERENCE = "hologic-women-l1-l4"


def dxa_reference(name: str) -> DxaReference:
    """The reference of that name.

    Raises:
        InputError: Unknown name; the message lists the known ones.
    """
    return look_up(REFERENCES, name, "DXA reference")
