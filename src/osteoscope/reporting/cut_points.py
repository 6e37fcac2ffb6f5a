"""The attenuations at which a criterion changes its category, for figures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from osteoscope.densitometry.criteria import CRITERIA
from osteoscope.reporting.wording import number


def cut_points(assessment: Mapping[str, Any]) -> list[tuple[float, str]]:
    """Cut points in HU with their labels, rising; none where the criterion judges no attenuation.

    Args:
        assessment: An entry of a result's ``assessment``. Its own ``thresholds`` count where it
            has them; else those of the criterion of that name, where this version knows it.
    """
    known = CRITERIA.get(assessment["criterion"])
    unit = assessment.get("unit") or (known.unit if known is not None else None)
    if unit != "HU":
        return []
    if assessment.get("thresholds"):
        return sorted((float(t["value"]), str(t["label"])) for t in assessment["thresholds"])
    if known is None:
        return []
    ends = sorted(band.high for band in known.bands if math.isfinite(band.high))
    return [(end, number(end, "HU")) for end in ends]
