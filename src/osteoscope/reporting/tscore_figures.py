"""The paper's Figures 4 and 6 with a cohort's own numbers: classes, and the sweep of tau."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

_COLOURS = ("#0b6aa2", "#b45309", "#7a1f5c", "#2f7d32", "#5d6b78")
_INK, _MUTED = "#1d2a35", "#5d6b78"


def draw_class_distribution(
    t_scores: NDArray[np.float64],
    class_index: NDArray[np.int64],
    classes: Sequence[str],
    *,
    simulated: bool,
) -> bytes:
    """Figure 4: how many subjects each class has, and how their T-scores lie.

    Args:
        t_scores: (n,) T-scores; NaN where only the class is known.
        class_index: (n,) index into ``classes``.
        classes: Names in the order of rising severity.
        simulated: Write across the figure that it is.

    Returns:
        A PNG file.
    """
    figure = _figure(7.2, 2.9)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.6))
    counts = np.bincount(class_index, minlength=len(classes))
    bars = left.bar(range(len(classes)), counts, color=_COLOURS[: len(classes)])
    left.bar_label(bars, fontsize=8, color=_INK)
    left.set_xticks(range(len(classes)), classes, fontsize=8)
    left.set_ylabel("subjects", fontsize=8)
    known = np.isfinite(t_scores)
    if known.any():
        low, high = np.floor(t_scores[known].min() * 2) / 2, np.ceil(t_scores[known].max() * 2) / 2
        edges = np.arange(low, high + 0.51, 0.5)
        groups = [t_scores[known & (class_index == k)] for k in range(len(classes))]
        colours = list(_COLOURS[: len(classes)])
        right.hist(groups, bins=edges.tolist(), stacked=True, color=colours, label=list(classes))
        right.legend(fontsize=7, frameon=False)
    right.set_xlabel("T-score", fontsize=8)
    return _finished(figure, (left, right), simulated)


def draw_tau_sweep(
    tau: Sequence[float],
    ours: Mapping[str, Sequence[tuple[float, float, float]]],
    published: Mapping[str, Sequence[float]],
    *,
    simulated: bool,
) -> bytes:
    """Figure 6: every metric against tau2, ours with its interval and the paper's as printed.

    Args:
        tau: (n,) values of tau2.
        ours: Metric to n triples of value, low and high, per cent.
        published: Metric to n values, per cent.
        simulated: Write across the figure that ours are.

    Returns:
        A PNG file.
    """
    figure = _figure(7.2, 2.4 * ((len(ours) + 1) // 2))
    axes = list(figure.subplots((len(ours) + 1) // 2, 2, sharex=True, squeeze=False).ravel())
    for place, (metric, triples) in zip(axes, ours.items(), strict=False):
        value, low, high = (np.array([t[k] for t in triples]) for k in range(3))
        place.fill_between(tau, low, high, color=_COLOURS[0], alpha=0.18, linewidth=0)
        place.plot(tau, value, color=_COLOURS[0], marker="o", markersize=3, label="ours, 95 %")
        place.plot(
            tau, published[metric], color=_COLOURS[1], marker="s", markersize=3,
            linestyle="--", label="published",
        )  # fmt: skip
        place.set_title(metric.replace("_", " "), fontsize=9, color=_INK)
        place.set_ylabel("%", fontsize=8)
        place.set_xlabel("τ₂", fontsize=8)
    for place in axes[len(ours) :]:
        place.set_visible(False)
    axes[0].legend(fontsize=7, frameon=False)
    return _finished(figure, axes[: len(ours)], simulated)


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _finished(figure: Figure, axes: Sequence[Axes], simulated: bool) -> bytes:
    for place in axes:
        place.tick_params(labelsize=8, colors=_INK)
        for side in ("top", "right"):
            place.spines[side].set_visible(False)
    if simulated:
        figure.text(
            0.5, 0.5, "SIMULATED", fontsize=30, fontweight="bold", color=_MUTED, alpha=0.18,
            ha="center", va="center",
        )  # fmt: skip
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
