"""Pictures of a scan through the assessed vertebra, as PNG files that carry their own caption."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from PIL import Image

from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.label_schemes import VERTEBRAE
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.volume import Volume
from osteoscope.densitometry.region import Region
from osteoscope.reporting.planes import Plane, PlaneCut, cut_planes, nearest_level

WINDOW_HU: Mapping[Plane, tuple[float, float]] = {
    "sagittal": (900.0, 250.0),
    "coronal": (900.0, 250.0),
    "axial": (500.0, 120.0),
}
"""Width and level. The long planes show shape, so cortex must not burn out; the axial plane
shows the measured region against muscle and vessel, near the soft-tissue window 400/40."""

_HEIGHT_INCH = 5.6
_DPI = 110
_VERTEBRA_COLOUR = "#53c7e8"
_REGION_COLOUR = "#ffb000"
_LETTERS: Mapping[Plane, tuple[str, str, str, str]] = {
    "sagittal": ("A", "P", "S", "I"),
    "coronal": ("R", "L", "S", "I"),
    "axial": ("R", "L", "A", "P"),
}
"""Left, right, top, bottom of each picture: radiological convention."""
_NAME_HALF_MM = 6.0
"""A name nearer to the picture's edge would be cut."""
_HALO = (withStroke(linewidth=2.2, foreground="black"),)


def render_planes(
    volume: Volume,
    labels: LabelMap,
    vertebrae: Mapping[str, Vertebra],
    regions: Mapping[str, Region],
    level: str,
) -> dict[str, bytes]:
    """Draw the sagittal, coronal and axial plane through the body of one vertebra.

    The planes are the scan's own, at true proportions. Vertebrae are outlined and named, the
    measured region is outlined, a scale bar, the window and orientation letters are drawn, and a
    simulated scan is marked so. Where ``level`` was not found, the nearest vertebra is shown, the
    picture says so and shows no region; without any vertebra, the middle of the scan is shown.

    Args:
        volume: The scan; only single slices of it are read.
        labels: Its labels on the same grid, with the scheme that names the vertebrae.
        vertebrae: The vertebrae found, by level.
        regions: The measured regions, by level, boxes in the canonical scan.
        level: The assessed vertebra, for example ``L1``.

    Returns:
        PNG files by ``sagittal``, ``coronal`` and ``axial``; each carries its caption, see
        :func:`picture_caption`.

    Raises:
        GeometryError: Labels and scan have different shapes.
    """
    volume, labels = volume.canonical(), labels.canonical()
    shown = nearest_level(vertebrae, level)
    region = regions.get(level) if shown == level else None
    cuts = cut_planes(volume, labels, vertebrae, region, shown)
    names = _level_positions(volume, vertebrae)
    simulated = volume.acquisition.simulated
    return {
        plane: _draw(cut, labels, names, _Words(cut, level, shown, simulated))
        for plane, cut in cuts.items()
    }


def picture_caption(png: bytes) -> str:
    """The caption that :func:`render_planes` wrote into a picture; empty where there is none."""
    with Image.open(io.BytesIO(png)) as image:
        return str(image.info.get("Description", ""))


def picture_size(png: bytes) -> tuple[int, int]:
    """Width and height of a picture, pixels."""
    with Image.open(io.BytesIO(png)) as image:
        return image.size


@dataclass(frozen=True)
class _Words:
    """What is said in and about one picture."""

    cut: PlaneCut
    level: str
    shown: str | None
    simulated: bool

    @property
    def title(self) -> str:
        plane = self.cut.plane.capitalize()
        if self.shown is None:
            return f"{plane}\nno vertebra labelled"
        if self.shown != self.level:
            return f"{plane}, {self.shown}\n({self.level} not found)"
        return f"{plane}, {self.shown}"

    @property
    def caption(self) -> str:
        if self.shown is None:
            where = "the middle of the scan, since no vertebra is labelled"
        elif self.shown != self.level:
            where = f"{self.shown}, because {self.level} was not found"
        else:
            where = self.level
        region = "" if self.cut.region is not None else "; no region drawn"
        text = f"{self.cut.plane.capitalize()} plane through {where}{region}."
        return f"Simulated scan. {text}" if self.simulated else text


def _level_positions(
    volume: Volume, vertebrae: Mapping[str, Vertebra]
) -> dict[str, NDArray[np.float64]]:
    """Centre of each vertebra, mm along the canonical array's axes."""
    return {
        name: volume.grid.world_mm_to_index(vertebrae[name].centre_mm) * volume.grid.spacing_mm
        for name in VERTEBRAE
        if name in vertebrae
    }


def _draw(
    cut: PlaneCut,
    labels: LabelMap,
    names: Mapping[str, NDArray[np.float64]],
    words: _Words,
) -> bytes:
    rows_from, rows_to, columns_from, columns_to = cut.view_mm
    ratio = (columns_to - columns_from) / (rows_to - rows_from)
    figure = Figure(figsize=(_HEIGHT_INCH * ratio, _HEIGHT_INCH), dpi=_DPI, facecolor="black")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_facecolor("black")
    axes.set_axis_off()
    _draw_image(axes, cut)
    _draw_outlines(axes, cut, labels)
    axes.set_xlim(columns_from, columns_to)
    # Rows of the long planes rise towards the head; those of the axial plane fall to the back.
    axes.set_ylim((rows_to, rows_from) if cut.plane == "axial" else (rows_from, rows_to))
    _draw_names(axes, cut, names)
    _draw_marks(axes, cut.plane, words)
    buffer = io.BytesIO()
    # Software is left out so that one result gives the same bytes under every matplotlib.
    figure.savefig(buffer, format="png", metadata={"Description": words.caption, "Software": None})
    return buffer.getvalue()


def _draw_image(axes: Axes, cut: PlaneCut) -> None:
    width, level = WINDOW_HU[cut.plane]
    rows, columns = cut.image.shape
    row_mm, column_mm = cut.spacing_mm
    left, right = -column_mm / 2, (columns - 0.5) * column_mm
    first, last = -row_mm / 2, (rows - 0.5) * row_mm
    axes.imshow(
        cut.image,
        cmap="gray",
        vmin=level - width / 2,
        vmax=level + width / 2,
        origin="lower",
        extent=(left, right, first, last),
        interpolation="bilinear",
        aspect="equal",
    )


def _draw_outlines(axes: Axes, cut: PlaneCut, labels: LabelMap) -> None:
    rows, columns = cut.labels.shape
    y, x = np.arange(rows) * cut.spacing_mm[0], np.arange(columns) * cut.spacing_mm[1]
    present = set(np.unique(cut.labels).tolist()) & set(labels.scheme.level_of)
    for number in sorted(present):
        _outline(axes, x, y, (cut.labels == number).astype(np.float32), _VERTEBRA_COLOUR, 0.9)
    if cut.region is not None:
        weights, row, column = cut.region
        # A rim of zeros closes the outline of a region that fills its box.
        weights = np.pad(weights, 1)
        y = (np.arange(weights.shape[0]) + row - 1) * cut.spacing_mm[0]
        x = (np.arange(weights.shape[1]) + column - 1) * cut.spacing_mm[1]
        _outline(axes, x, y, weights, _REGION_COLOUR, 1.8)


def _outline(
    axes: Axes,
    x_mm: NDArray[np.floating],
    y_mm: NDArray[np.floating],
    share: NDArray[np.float32],
    colour: str,
    width: float,
) -> None:
    inside = np.argwhere(share >= 0.5)
    if not len(inside) or min(share.shape) < 2:
        return
    low = np.maximum(inside.min(axis=0) - 1, 0)
    high = inside.max(axis=0) + 2
    rows, columns = slice(low[0], high[0]), slice(low[1], high[1])
    part = share[rows, columns]
    if min(part.shape) >= 2:
        axes.contour(
            x_mm[columns], y_mm[rows], part, levels=[0.5], colors=[colour], linewidths=[width]
        )


def _draw_names(axes: Axes, cut: PlaneCut, names: Mapping[str, NDArray[np.float64]]) -> None:
    if cut.plane == "axial":
        return
    bottom, top = sorted(axes.get_ylim())
    column, beside = (1, -30.0) if cut.plane == "sagittal" else (2, 38.0)
    for name, centre in names.items():
        if bottom + _NAME_HALF_MM < centre[0] < top - _NAME_HALF_MM:
            axes.text(
                centre[column] + beside,
                centre[0],
                name,
                color="white",
                fontsize=11.5,
                fontweight="bold",
                ha="center",
                va="center",
                path_effects=_HALO,
            )


def _draw_marks(axes: Axes, plane: Plane, words: _Words) -> None:
    left, right, top, bottom = _LETTERS[plane]
    for x, y, letter, across, down in (
        (0.015, 0.5, left, "left", "center"),
        (0.985, 0.5, right, "right", "center"),
        (0.5, 0.985, top, "center", "top"),
        (0.5, 0.012, bottom, "center", "bottom"),
    ):
        _write(axes, (x, y), letter, 13, (across, down))
    width, level = WINDOW_HU[plane]
    text = f"{words.title}\nW {width:.0f}  L {level:.0f}"
    _write(axes, (0.02, 0.015), text, 9.5, ("left", "bottom"))
    _scale_bar(axes, 20.0 if plane == "axial" else 50.0)
    if words.simulated:
        # Beside the spine: the mark must be seen and the bone too.
        x, y = {"sagittal": (0.86, 0.5), "coronal": (0.13, 0.32), "axial": (0.5, 0.1)}[plane]
        axes.text(
            x,
            y,
            "SIMULATED",
            transform=axes.transAxes,
            rotation=0.0 if plane == "axial" else 90.0,
            color="white",
            alpha=0.4,
            fontsize=28,
            fontweight="bold",
            ha="center",
            va="center",
        )


def _write(
    axes: Axes, at: tuple[float, float], text: str, size: float, align: tuple[str, str]
) -> None:
    axes.text(
        *at,
        text,
        transform=axes.transAxes,
        color="white",
        fontsize=size,
        ha=align[0],
        va=align[1],
        path_effects=_HALO,
    )


def _scale_bar(axes: Axes, length_mm: float) -> None:
    left, right = axes.get_xlim()
    end = 0.97
    start = end - length_mm / (right - left)
    axes.plot(
        [start, end],
        [0.02, 0.02],
        transform=axes.transAxes,
        color="white",
        linewidth=2.5,
        solid_capstyle="butt",
        path_effects=_HALO,
    )
    _write(axes, ((start + end) / 2, 0.028), f"{length_mm:.0f} mm", 9.5, ("center", "bottom"))
