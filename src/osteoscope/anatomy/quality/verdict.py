"""What the flags of a scan come to: which levels are withheld, and whether it is enhanced."""

from __future__ import annotations

from collections.abc import Sequence

from osteoscope.core.flag import Flag
from osteoscope.core.volume import Acquisition


def withheld_levels(flags: Sequence[Flag], levels: Sequence[str]) -> dict[str, str]:
    """Why each level is withheld; a flag of the whole scan withholds every level."""
    reasons: dict[str, list[str]] = {level: [] for level in levels}
    for flag in flags:
        if flag.effect != "withhold":
            continue
        for level in levels if flag.level is None else [flag.level]:
            if level in reasons:
                reasons[level].append(flag.message)
    return {level: " ".join(found) for level, found in reasons.items() if found}


def known_contrast(flags: Sequence[Flag], acquisition: Acquisition) -> bool | None:
    """Whether the scan is enhanced, by header and aorta together; None where neither tells."""
    codes = {flag.code for flag in flags}
    if "contrast_enhanced" in codes:
        return True
    if "contrast_unknown" in codes:
        return acquisition.contrast_enhanced
    return False
