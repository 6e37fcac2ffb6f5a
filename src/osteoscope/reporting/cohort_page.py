"""The overview of a screened cohort: what failed, what was found, and every scan's row."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

import osteoscope
from osteoscope.core.label_schemes import VERTEBRAE
from osteoscope.reporting.cut_points import cut_points
from osteoscope.reporting.templating import data_address, render_page, write_whole
from osteoscope.reporting.wording import number

_LISTED_ROWS = 2000
"""More rows make a page that browsers open slowly; the table file has them all."""
_BIN_HU = 10.0
_VALUE = "trabecular_median_hu"

Row = Mapping[str, Any]


def write_cohort_report(path: Path, rows: Sequence[Row]) -> None:
    """Write the overview of a cohort as one self-contained HTML file.

    Failures come first, then what was withheld, then the distribution of the attenuation, the
    categories, how often each finding was raised, and the rows themselves.

    Args:
        path: Where to write; reports of single scans are linked where
            ``<folder of path>/<subject_id>/report.html`` exists.
        rows: One a scan: ``subject_id`` and ``status`` (``done``, ``withheld``, ``failed``), and
            where known ``error``, ``withheld``, ``level``, ``trabecular_median_hu``,
            ``median_low_hu``, ``median_high_hu``, ``criterion``, ``category``, ``probability``,
            ``simulated`` and ``flags`` (codes, each with ``:level`` where it has one, parted by
            spaces). Absent, empty and None are the same.

    Raises:
        InputError: The page cannot be written.
    """
    done = [row for row in rows if row["status"] == "done"]
    values = [float(row[_VALUE]) for row in done if _known(row, _VALUE)]
    # Only known names reach the figure: matplotlib would read others as formulas.
    levels = [name for name in VERTEBRAE if any(row.get("level") == name for row in done)]
    criteria = sorted({str(row["criterion"]) for row in done if _known(row, "criterion")})
    # Rows read back from a CSV hold texts.
    simulated = sum(str(row.get("simulated")).lower() == "true" for row in rows)
    points = cut_points({"criterion": criteria[0]}) if len(criteria) == 1 else []
    content = {
        "version": osteoscope.__version__,
        "counts": [(name, _count(rows, name)) for name in ("done", "withheld", "failed")],
        "total": len(rows),
        "simulated": simulated,
        "all_simulated": simulated == len(rows) - _count(rows, "failed"),
        "failed": [row for row in rows if row["status"] == "failed"],
        "withheld": [row for row in rows if row["status"] == "withheld"],
        "histogram": _address(
            values, points, " and ".join(levels) or "the assessed level", simulated > 0
        ),
        "measured": len(values),
        "levels": levels,
        "criteria": criteria,
        "categories": Counter(str(r["category"]) for r in done if _known(r, "category")),
        "flags": flag_counts(rows),
        "rows": [_shown(row, path.parent) for row in rows[:_LISTED_ROWS]],
    }
    write_whole(path, render_page("cohort.html.j2", content))


def flag_counts(rows: Sequence[Row]) -> list[tuple[str, int]]:
    """In how many scans each finding was raised, at any level, most frequent first."""
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update({flag.split(":")[0] for flag in str(row.get("flags") or "").split()})
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _known(row: Row, name: str) -> bool:
    return row.get(name) not in (None, "")


def _count(rows: Sequence[Row], status: str) -> int:
    return sum(row["status"] == status for row in rows)


def _shown(row: Row, folder: Path) -> dict[str, Any]:
    """A row as the table shows it: only known values, and a link where a report lies."""
    name = str(row["subject_id"])
    shown = {key: value for key, value in row.items() if _known(row, key)}
    shown["subject_id"] = name
    # A name that is no plain folder name could lead out of the results.
    plain = name not in {"", ".", ".."} and "/" not in name and "\\" not in name
    exists = plain and "\x00" not in name and (folder / name / "report.html").is_file()
    shown["link"] = f"./{quote(name)}/report.html" if exists else None
    low, high = row.get("median_low_hu"), row.get("median_high_hu")
    if _known(row, "median_low_hu") and _known(row, "median_high_hu"):
        shown["interval"] = {"low": low, "high": high}
    return shown


def _address(
    values: Sequence[float], points_hu: Sequence[float], levels: str, simulated: bool
) -> str | None:
    if not values:
        return None
    return data_address(render_histogram(values, points_hu, levels, simulated))


def render_histogram(
    values_hu: Sequence[float],
    points_hu: Sequence[float] = (),
    levels: str = "L1",
    simulated: bool = False,
) -> bytes:
    """Draw how a cohort's attenuations are distributed, in bins of 10 HU.

    Args:
        values_hu: One value a scan, at least one.
        points_hu: Cut points, HU.
        levels: The vertebra that they were measured in.
        simulated: Whether simulated scans are among them.

    Returns:
        A PNG file.
    """
    first = _BIN_HU * (min(values_hu) // _BIN_HU)
    count = int((max(values_hu) - first) // _BIN_HU) + 1
    edges = [first + _BIN_HU * n for n in range(count + 1)]
    figure = Figure(figsize=(7.2, 2.7), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.hist(values_hu, bins=edges, color="#2b7fb0", edgecolor="white", linewidth=0.6)
    for value in points_hu:
        axes.axvline(value, color="#5d6b78", linewidth=1, linestyle=(0, (5, 3)))
        axes.annotate(
            number(value, "HU"),
            (value, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 2),
            textcoords="offset points",
            fontsize=7.5,
            color="#5d6b78",
            ha="center",
        )
    axes.set_xlabel(f"Median trabecular attenuation of {levels}, HU", fontsize=9)
    axes.set_ylabel("Scans", fontsize=9)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if simulated:
        axes.text(
            0.5, 0.5, "SIMULATED", transform=axes.transAxes, fontsize=30, fontweight="bold",
            color="#5d6b78", alpha=0.2, ha="center", va="center",
        )  # fmt: skip
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
