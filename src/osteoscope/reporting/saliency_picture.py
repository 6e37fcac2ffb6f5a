"""Where the model looked: its occlusion map over the scan's own slices through the vertebra."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.grid import Grid
from osteoscope.core.volume import Volume
from osteoscope.inference.saliency import Saliency, on_slice

_PANELS = (("sagittal", 2, "APSI"), ("coronal", 1, "RLSI"), ("axial", 0, "RLAP"))
"""Name, canonical axis across the plane, and letters at its left, right, top and bottom."""
_WINDOW_HU = (-200.0, 700.0)
_HALF_MM = 52.0
_SIDE_INCH, _DPI = 3.3, 110
_FOR, _AGAINST = np.array([1.0, 0.48, 0.1]), np.array([0.29, 0.66, 1.0])
_STRONGEST = 0.7
"""Opacity of the strongest value: the bone stays visible below it."""
_SMALLEST_SCALE = 0.2
"""Log-odds below this are nothing to paint in full colour."""
_OUTLINE = "#f4f4f4"
_HALO = (withStroke(linewidth=2.2, foreground="black"),)


def render_saliency(
    volume: Volume, vertebra: Vertebra, saliency: Saliency, crop: Grid, *, simulated: bool
) -> bytes:
    """Draw the sagittal, coronal and axial slice through a vertebra with the map over it.

    Args:
        volume: The canonical scan; three slices of it are read.
        vertebra: The vertebra, outlined.
        saliency: The map, on ``crop``.
        crop: The grid of what the model saw.
        simulated: Whether the model was trained on simulated patients only: the picture says so.

    Returns:
        A PNG file that carries its caption; see
        :func:`osteoscope.reporting.pictures.picture_caption`.
    """
    strongest = float(np.abs(saliency.log_odds).max())
    scale = max(strongest, _SMALLEST_SCALE)
    figure = Figure(figsize=(3 * _SIDE_INCH, _SIDE_INCH), dpi=_DPI, facecolor="black")
    FigureCanvasAgg(figure)
    for column, (plane, axis, letters) in enumerate(_PANELS):
        axes = figure.add_axes((column / 3 + 0.002, 0.0, 1 / 3 - 0.004, 1.0))
        axes.set_facecolor("black")
        axes.set_axis_off()
        _draw(axes, _Cut.through(volume, vertebra, axis), saliency, crop, scale)
        _write_letters(axes, letters)
        axes.text(
            0.03, 0.97, plane.capitalize(), transform=axes.transAxes, color="white", fontsize=9.5,
            ha="left", va="top", path_effects=_HALO,
        )  # fmt: skip
    if simulated:
        figure.text(
            0.5, 0.025, "MODEL TRAINED ON SIMULATED PATIENTS", color="white", alpha=0.75,
            fontsize=10, fontweight="bold", ha="center", va="bottom", path_effects=_HALO,
        )  # fmt: skip
    caption = _caption(saliency, strongest, simulated)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Description": caption, "Software": None})
    return buffer.getvalue()


def _caption(saliency: Saliency, strongest: float, simulated: bool) -> str:
    words = (
        f"Orange: covering this part with soft tissue makes {saliency.category} less likely to "
        f"the model, so it speaks for that class; blue: against it. The strongest change is "
        f"{strongest:.2f} in log-odds; boxes of {saliency.box_mm:.0f} mm, {saliency.boxes} of "
        "them, so nothing smaller is told apart. The map shows what the model reads, not what is "
        "ill."
    )
    return f"{words} The model was trained on simulated patients." if simulated else words


@dataclass(frozen=True, eq=False)
class _Cut:
    """One slice of the scan, and what of it is shown.

    Args:
        grid: The scan's.
        axis: Its array axis across the slice.
        at: The slice along it.
        rows: Shown part of the slice's rows.
        columns: Shown part of its columns.
        image: (rows, columns) of the shown part.
        mask: The vertebra in it.
    """

    grid: Grid
    axis: int
    at: int
    rows: slice
    columns: slice
    image: NDArray[np.generic]
    mask: NDArray[np.bool_]

    @classmethod
    def through(cls, volume: Volume, vertebra: Vertebra, axis: int) -> _Cut:
        grid = volume.grid
        last = np.array(grid.shape) - 1
        centre = np.clip(np.rint(grid.world_mm_to_index(vertebra.centre_mm)), 0, last).astype(int)
        reach = np.ceil(_HALF_MM / grid.spacing_mm).astype(int)
        low, high = np.maximum(centre - reach, 0), np.minimum(centre + reach, last) + 1
        box = [slice(int(a), int(b)) for a, b in zip(low, high, strict=True)]
        at = int(centre[axis])
        image = volume.array[tuple(at if a == axis else box[a] for a in range(3))]
        rows, columns = (box[a] for a in range(3) if a != axis)
        return cls(grid, axis, at, rows, columns, image, _mask(vertebra, axis, at, box))

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """Of rows and of columns."""
        row, column = (float(s) for a, s in enumerate(self.grid.spacing_mm) if a != self.axis)
        return row, column


def _mask(vertebra: Vertebra, axis: int, at: int, box: list[slice]) -> NDArray[np.bool_]:
    """The vertebra on a slice, in the shown part of it."""
    shape = [s.stop - s.start for a, s in enumerate(box) if a != axis]
    shown = np.zeros(shape, dtype=bool)
    inside = at - vertebra.box[axis].start
    if not 0 <= inside < vertebra.mask.shape[axis]:
        return shown
    plane = vertebra.mask.take(inside, axis=axis)
    offsets = [
        (vertebra.box[a].start - box[a].start, n)
        for a, n in zip((a for a in range(3) if a != axis), plane.shape, strict=True)
    ]
    into, out = [], []
    for (offset, length), size in zip(offsets, shape, strict=True):
        start, stop = max(offset, 0), min(offset + length, size)
        into.append(slice(start, max(stop, start)))
        out.append(slice(start - offset, max(stop, start) - offset))
    shown[tuple(into)] = plane[tuple(out)]
    return shown


def _draw(axes: Axes, cut: _Cut, saliency: Saliency, crop: Grid, scale: float) -> None:
    row_mm, column_mm = cut.spacing_mm
    rows, columns = cut.image.shape
    extent = (-column_mm / 2, (columns - 0.5) * column_mm, -row_mm / 2, (rows - 0.5) * row_mm)
    low, high = _WINDOW_HU
    axes.imshow(
        cut.image, cmap="gray", vmin=low, vmax=high, origin="lower", extent=extent,
        interpolation="bilinear", aspect="equal",
    )  # fmt: skip
    found = on_slice(saliency.log_odds, crop, cut.grid, cut.axis, cut.at)[cut.rows, cut.columns]
    share = np.clip(found / scale, -1, 1)
    colours = np.empty((*share.shape, 4))
    colours[..., :3] = np.where(share[..., np.newaxis] > 0, _FOR, _AGAINST)
    colours[..., 3] = np.abs(share) * _STRONGEST
    axes.imshow(colours, origin="lower", extent=extent, interpolation="bilinear", aspect="equal")
    if cut.mask.any() and min(cut.mask.shape) >= 2:
        axes.contour(
            np.arange(columns) * column_mm, np.arange(rows) * row_mm, cut.mask.astype(np.float32),
            levels=[0.5], colors=[_OUTLINE], linewidths=[0.8],
        )  # fmt: skip
    middle = (rows - 1) * row_mm / 2, (columns - 1) * column_mm / 2
    vertical = (middle[0] - _HALF_MM, middle[0] + _HALF_MM)
    axes.set_xlim(middle[1] - _HALF_MM, middle[1] + _HALF_MM)
    # Rows of the long planes rise towards the head; those of the axial plane fall to the back.
    axes.set_ylim(vertical[::-1] if cut.axis == 0 else vertical)


def _write_letters(axes: Axes, letters: str) -> None:
    places = ((0.02, 0.5, "left", "center"), (0.98, 0.5, "right", "center"),
              (0.5, 0.98, "center", "top"), (0.5, 0.1, "center", "bottom"))  # fmt: skip
    for letter, (x, y, across, down) in zip(letters, places, strict=True):
        axes.text(
            x, y, letter, transform=axes.transAxes, color="white", fontsize=11, ha=across,
            va=down, path_effects=_HALO,
        )  # fmt: skip
