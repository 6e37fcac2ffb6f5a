"""Trabecular attenuation by vertebra, with its intervals and the criterion's cut points."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from osteoscope.core.label_schemes import VERTEBRAE
from osteoscope.reporting.cut_points import cut_points
from osteoscope.reporting.page_content import assessed_levels, primary_assessment
from osteoscope.reporting.wording import number

PLOT_LEVELS: tuple[str, ...] = ("T11", "T12", "L1", "L2", "L3", "L4", "L5")
"""The levels that are always on the axis, so that what is missing is seen."""
PLOT_CODE = "trabecular_median_hu"

_INK = "#1d2a35"
_MUTED = "#5d6b78"
_MEASURED = "#0b6aa2"
_ASSESSED = "#b45309"


def render_level_plot(result: Mapping[str, Any]) -> bytes | None:
    """Draw the median trabecular attenuation of every vertebra of a result.

    Measured levels are filled with their interval, the assessed one in its own colour and shape;
    withheld levels are hollow with a cross; levels without a value are named on the axis alone.
    The primary criterion's cut points, where the result names them, are lines.

    Args:
        result: A valid ``result.json``.

    Returns:
        A PNG file, or None where no vertebra has a value.
    """
    points = [
        (level, vertebra["measurements"][PLOT_CODE], vertebra["withheld"])
        for level, vertebra in result["vertebrae"].items()
        if "value" in vertebra["measurements"].get(PLOT_CODE, {})
    ]
    if not points:
        return None
    primary = primary_assessment(result)
    present = {level for level, _, _ in points} | set(result["vertebrae"])
    levels = [v for v in VERTEBRAE if v in PLOT_LEVELS or v in present]
    figure = Figure(figsize=(7.2, 2.9), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _draw_cut_points(axes, cut_points(primary), len(levels))
    for level, measurement, withheld in points:
        assessed = level in assessed_levels(primary) and withheld is None
        _draw_point(axes, levels.index(level), measurement, assessed, withheld is not None)
    _finish(axes, levels, {level for level, _, _ in points})
    if result["simulated"]:
        axes.text(
            0.5, 0.5, "SIMULATED", transform=axes.transAxes, fontsize=30, fontweight="bold",
            color=_MUTED, alpha=0.18, ha="center", va="center",
        )  # fmt: skip
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _draw_cut_points(axes: Axes, points_hu: Sequence[float], width: int) -> None:
    for value in points_hu:
        axes.axhline(value, color=_MUTED, linewidth=1, linestyle=(0, (5, 3)))
        text = number(value, "HU")
        axes.text(width - 0.45, value, text, fontsize=8, color=_MUTED, ha="left", va="center")


def _draw_point(
    axes: Axes, x: int, measurement: Mapping[str, Any], assessed: bool, withheld: bool
) -> None:
    value, interval = measurement["value"], measurement["interval"]
    colour = _MUTED if withheld else _ASSESSED if assessed else _MEASURED
    if interval is not None:
        axes.plot([x, x], [interval["low"], interval["high"]], color=colour, linewidth=1.8)
        for end in (interval["low"], interval["high"]):
            axes.plot([x - 0.07, x + 0.07], [end, end], color=colour, linewidth=1.8)
    axes.plot(
        x,
        value,
        marker="D" if assessed else "o",
        markersize=9 if assessed else 8,
        markerfacecolor="white" if withheld else colour,
        markeredgecolor=colour,
        markeredgewidth=1.6,
    )
    if withheld:
        axes.plot(x, value, marker="x", markersize=7, markeredgewidth=1.6, color=colour)
    axes.annotate(
        f"{value:.0f}",
        (x, value),
        xytext=(8, 0),
        textcoords="offset points",
        fontsize=8.5,
        color=colour,
        va="center",
        fontweight="bold" if assessed else "normal",
    )


def _finish(axes: Axes, levels: Sequence[str], measured: set[str]) -> None:
    names = [level if level in measured else f"{level}\nno value" for level in levels]
    axes.set_xticks(range(len(levels)), names, fontsize=9, color=_INK)
    axes.set_xlim(-0.5, len(levels) - 0.5)
    axes.set_ylabel("Median attenuation, HU", fontsize=9, color=_INK)
    axes.tick_params(axis="y", labelsize=8, colors=_INK)
    axes.tick_params(axis="x", length=0)
    axes.margins(y=0.15)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#b9c2ca")
