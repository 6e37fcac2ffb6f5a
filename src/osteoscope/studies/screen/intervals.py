"""Intervals as JSON."""

from __future__ import annotations

from typing import Any

from osteoscope.core.measurement import Interval


def interval_dict(interval: Interval | None) -> dict[str, Any] | None:
    """An interval as ``result.json`` holds it."""
    if interval is None:
        return None
    return {
        "low": float(interval.low),
        "high": float(interval.high),
        "level": interval.level,
        "covers": list(interval.covers),
    }
