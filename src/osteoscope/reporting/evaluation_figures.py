"""The figures of an evaluation: ROC, calibration, decision curve, Bland-Altman."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from osteoscope.evaluation.estimates import Estimate, Evaluation
from osteoscope.evaluation.roc import BAND_FALSE_RATES
from osteoscope.reporting.wording import bare

_INK = "#1d2a35"
_MUTED = "#5d6b78"
_LINE = "#b9c2ca"
_COLOURS = ("#2b7fb0", "#b45309", "#7a2333", "#3f7d4e", "#6d5aa8", "#8a6d00")
_STYLES = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)))
_MOST_CURVES = 6
"""More classes than this cannot be told apart in one figure; the tables have them all."""
_HALO = (withStroke(linewidth=2.4, foreground="white"),)
_LAST_PLAIN = 0x0500
"""Up to here, Latin, Greek and Cyrillic, the figures' font has every letter."""


def render_roc(evaluation: Evaluation) -> bytes | None:
    """The ROC curve of each class, with the band of the class that decisions are about.

    Returns:
        A PNG file, or None where no class has both kinds of rows.
    """
    if not evaluation.roc:
        return None
    figure, axes = _figure(5.0, 4.6)
    axes.plot([0, 1], [0, 1], color=_LINE, linewidth=1)
    positive = evaluation.classes[evaluation.positive]
    for curve in evaluation.roc[:_MOST_CURVES]:
        place = evaluation.classes.index(curve.name)
        if curve.name == positive:
            axes.fill_between(
                BAND_FALSE_RATES,
                curve.band_low,
                curve.band_high,
                color=_colour(place),
                alpha=0.14,
                linewidth=0,
            )
        axes.plot(
            curve.false_rate,
            curve.true_rate,
            color=_colour(place),
            linestyle=_STYLES[place % len(_STYLES)],
            linewidth=1.8,
            label=f"{plain_label(curve.name)}: {_words(evaluation[f'auc_{curve.name}'])}",
        )
    _square(axes, "1 − specificity", "Sensitivity")
    legend = axes.legend(
        loc="lower right", fontsize=8, title="AUC against the rest", title_fontsize=8
    )
    _no_formulas(legend.get_texts())
    return _png(figure, axes, evaluation.simulated)


def render_calibration(evaluation: Evaluation) -> bytes:
    """Observed against predicted share, one panel a class."""
    curves = evaluation.calibration[-_MOST_CURVES:]
    columns = min(len(curves), 3)
    rows = -(-len(curves) // columns)
    figure = Figure(
        figsize=(3.0 * columns, 3.1 * rows), dpi=150, facecolor="white", layout="constrained"
    )
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, curve in zip(panels, curves, strict=False):
        colour = _colour(evaluation.classes.index(curve.name))
        axes.plot([0, 1], [0, 1], color=_LINE, linewidth=1)
        axes.vlines(curve.predicted, curve.low, curve.high, color=colour, linewidth=1.4)
        axes.plot(
            curve.predicted, curve.observed, "o-", color=colour, markersize=4, linewidth=0.8,
            clip_on=False,
        )  # fmt: skip
        axes.set_title(plain_label(curve.name), fontsize=9, color=_INK, parse_math=False)
        _square(axes, "Predicted probability", "Observed share")
        _mark_simulated(axes, evaluation.simulated, 18)
    for axes in panels[len(curves) :]:
        axes.set_visible(False)
    return _saved(figure)


def render_decision(evaluation: Evaluation) -> bytes | None:
    """Net benefit of acting on the model, on everyone and on no one.

    Returns:
        A PNG file, or None where there is no curve.
    """
    curve = evaluation.decision
    if curve is None:
        return None
    figure, axes = _figure(5.0, 3.6)
    share = evaluation.counts[evaluation.positive].sum() / evaluation.n
    colour = _colour(evaluation.positive)
    axes.fill_between(curve.threshold, curve.low, curve.high, color=colour, alpha=0.14, linewidth=0)
    axes.plot(curve.threshold, curve.net_benefit, color=colour, linewidth=1.8, label="Model")
    axes.plot(
        curve.threshold, curve.treat_all, color=_MUTED, linestyle=_STYLES[1], linewidth=1.4,
        label="Act on everyone",
    )  # fmt: skip
    axes.axhline(0, color=_INK, linewidth=1, label="Act on no one")
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.35 * share, 1.12 * share)
    _labels(axes, "Threshold probability", "Net benefit")
    axes.legend(loc="upper right", fontsize=8)
    return _png(figure, axes, evaluation.simulated)


def render_bland_altman(
    evaluation: Evaluation, measured: NDArray[np.float64], predicted: NDArray[np.float64]
) -> bytes | None:
    """Predicted less measured T-score against the mean of both, bias and limits with intervals.

    Args:
        evaluation: With ``t_score_bias``, ``t_score_loa_low`` and ``t_score_loa_high``.
        measured: (n,) T-score, nan where unknown.
        predicted: (n,).

    Returns:
        A PNG file, or None where there are no T-scores to compare.
    """
    if "t_score_bias" not in evaluation:
        return None
    known = np.isfinite(measured) & np.isfinite(predicted)
    figure, axes = _figure(5.0, 3.8)
    axes.scatter(
        (measured + predicted)[known] / 2, (predicted - measured)[known], s=12, alpha=0.55,
        color=_COLOURS[0], edgecolors="none",
    )  # fmt: skip
    axes.axhline(0, color=_LINE, linewidth=1)
    for name, words, style in (
        ("t_score_loa_high", "upper limit", _STYLES[1]),
        ("t_score_bias", "bias", _STYLES[0]),
        ("t_score_loa_low", "lower limit", _STYLES[1]),
    ):
        estimate = evaluation[name]
        axes.axhline(estimate.value, color=_COLOURS[1], linewidth=1.4, linestyle=style)
        if np.isfinite(estimate.low):
            axes.axhspan(estimate.low, estimate.high, color=_COLOURS[1], alpha=0.12, linewidth=0)
        axes.annotate(
            f"{words} {bare(estimate.value, '', 2)}",
            (1.0, estimate.value),
            xycoords=("axes fraction", "data"),
            xytext=(-3, 2),
            textcoords="offset points",
            fontsize=8,
            ha="right",
            color=_COLOURS[1],
            path_effects=_HALO,
        )
    _labels(axes, "Mean of predicted and measured T-score", "Predicted − measured")
    return _png(figure, axes, evaluation.simulated)


def plain_label(name: str, most: int = 40) -> str:
    """A name from a file as the figures' font can show it."""
    shown = "".join(c if c.isprintable() and ord(c) < _LAST_PLAIN else "?" for c in name)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def _words(estimate: Estimate) -> str:
    value = bare(estimate.value, "", 2)
    if not np.isfinite(estimate.low):
        return value
    return f"{value} ({bare(estimate.low, '', 2)} to {bare(estimate.high, '', 2)})"


def _colour(place: int) -> str:
    return _COLOURS[place % len(_COLOURS)]


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _square(axes: Axes, x: str, y: str) -> None:
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_aspect("equal")
    _labels(axes, x, y)


def _labels(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x, fontsize=9, color=_INK)
    axes.set_ylabel(y, fontsize=9, color=_INK)
    axes.tick_params(labelsize=8, colors=_INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_LINE)


def _no_formulas(texts: object) -> None:
    """A dollar sign in a class's name is a dollar sign."""
    for text in texts:  # type: ignore[attr-defined]
        text.set_parse_math(False)


def _mark_simulated(axes: Axes, simulated: bool, size: int = 30) -> None:
    if simulated:
        axes.text(
            0.5, 0.5, "SIMULATED", transform=axes.transAxes, fontsize=size, fontweight="bold",
            color=_MUTED, alpha=0.18, ha="center", va="center",
        )  # fmt: skip


def _png(figure: Figure, axes: Axes, simulated: bool) -> bytes:
    _mark_simulated(axes, simulated)
    return _saved(figure)


def _saved(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
