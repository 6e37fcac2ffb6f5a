"""The report of one scan: a single self-contained page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osteoscope.reporting.classification_section import classification_content
from osteoscope.reporting.cut_points import cut_points
from osteoscope.reporting.level_plot import render_level_plot
from osteoscope.reporting.page_content import page_content, primary_assessment
from osteoscope.reporting.pictures import picture_caption, picture_size
from osteoscope.reporting.planes import PLANES
from osteoscope.reporting.result_schema import validate_result
from osteoscope.reporting.templating import data_address, render_page, write_whole

SALIENCY = "saliency"
"""The picture of where a model looked."""


def write_report(path: Path, result: dict[str, Any], pictures: Mapping[str, bytes]) -> None:
    """Write the report of a result as one HTML file.

    The page needs no network, no script and no second file, prints on A4 and follows the
    reader's light or dark setting. Every text from the scan is escaped.

    Args:
        path: Where to write; an older page stays whole until the new one is complete.
        result: The content of ``result.json``.
        pictures: PNG files by ``sagittal``, ``coronal`` and ``axial``, as
            :func:`osteoscope.reporting.pictures.render_planes` gives them, and by ``saliency``
            where a model's answer has one; empty where none could be made.

    Raises:
        InputError: The result breaks its schema, or the page cannot be written.
    """
    validate_result(result)
    write_whole(path, report_html(result, pictures))


def report_html(result: Mapping[str, Any], pictures: Mapping[str, bytes]) -> str:
    """The page of :func:`write_report` as text, from a result that is known to be valid."""
    if result["status"] == "failed":
        return render_page("failed.html.j2", {"result": result})
    plot = render_level_plot(result)
    saliency = pictures.get(SALIENCY)
    content = page_content(result) | {
        "result": result,
        "pictures": [_figure(plane, pictures[plane]) for plane in PLANES if plane in pictures],
        "cut_points": cut_points(primary_assessment(result)),
        "plot": None if plot is None else _figure("plot", plot),
        "classification": classification_content(result),
        "saliency": None if saliency is None else _figure(SALIENCY, saliency),
    }
    return render_page("report.html.j2", content)


def _figure(name: str, png: bytes) -> dict[str, Any]:
    width, height = picture_size(png)
    return {
        "name": name,
        "address": data_address(png),
        "width": width,
        "height": height,
        "ratio": round(width / height, 4),
        "caption": picture_caption(png) or f"{name.capitalize()} picture of the scan.",
    }
