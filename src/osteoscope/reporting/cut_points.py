"""The attenuations at which a criterion changes its category, for figures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from osteoscope.densitometry.criteria import CRITERIA


def cut_points(assessment: Mapping[str, Any]) -> list[float]:
    """Cut points in HU, rising; none where the criterion is withheld or judges no attenuation.

    Where it is withheld, by the tube voltage for example, its cut points hold for no value shown.

    Args:
        assessment: An entry of a result's ``assessment``. Its own ``thresholds`` count where it
            has them; else those of the criterion of that name, where this version knows it.
    """
    if "withheld" in assessment:
        return []
    known = CRITERIA.get(assessment["criterion"])
    unit = assessment.get("unit") or (known.unit if known is not None else None)
    if unit != "HU":
        return []
    if assessment.get("thresholds"):
        return sorted(float(threshold["value"]) for threshold in assessment["thresholds"])
    if known is None:
        return []
    return sorted(band.high for band in known.bands if math.isfinite(band.high))
