"""The plot of levels shows what the result says, and nothing where it says nothing."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from osteoscope.reporting.cut_points import cut_points
from osteoscope.reporting.level_plot import PLOT_CODE, render_level_plot
from tests.reporting.example_scan import example_result

ASSESSED, MEASURED, MUTED = (180, 83, 9), (11, 106, 162), (93, 107, 120)


def count(result: dict[str, Any], colour: tuple[int, int, int]) -> int:
    png = render_level_plot(result)
    assert png is not None
    with Image.open(io.BytesIO(png)) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    return int((np.abs(pixels - colour).max(axis=2) <= 6).sum())


def without_mark() -> dict[str, Any]:
    """The example as if real, so that the watermark's colour does not count."""
    result = example_result()
    result["simulated"] = False
    return result


def test_assessed_measured_and_withheld_levels_differ() -> None:
    result = without_mark()
    assert count(result, ASSESSED) > 200
    assert count(result, MEASURED) > 600
    result["vertebrae"]["L1"]["withheld"] = "Metal."
    assert count(result, ASSESSED) == 0


def test_interval_is_drawn_only_where_there_is_one() -> None:
    result = without_mark()
    before = count(result, MEASURED)
    for level in ("L2", "L3", "L4"):
        result["vertebrae"][level]["measurements"][PLOT_CODE]["interval"] = None
    assert count(result, MEASURED) < 0.8 * before


def test_cut_points_are_drawn_where_the_criterion_has_them() -> None:
    result = without_mark()
    before = count(result, MUTED)
    result["assessment"][0]["criterion"] = result["primary_assessment"] = "unknown-rule"
    del result["assessment"][0]["thresholds"]
    assert count(result, MUTED) < before - 200


def test_nothing_measured_gives_no_plot() -> None:
    result = example_result()
    result["vertebrae"] = {"T11": result["vertebrae"]["T11"]}
    assert render_level_plot(result) is None
    result["vertebrae"] = {}
    assert render_level_plot(result) is None


def test_same_result_gives_the_same_bytes() -> None:
    assert render_level_plot(example_result()) == render_level_plot(example_result())


def test_cut_points_of_pickhardt_are_the_published_ones() -> None:
    """110 HU, more than 90 % specific, and 160 HU, 90 % sensitive: Ann Intern Med 2013."""
    assert cut_points({"criterion": "pickhardt-l1-hu"}) == [110.0, 160.0]
    withheld = {"criterion": "pickhardt-l1-hu", "withheld": "Made at 100 kVp."}
    assert cut_points(withheld) == []


def test_cut_points_of_other_quantities_are_not_attenuations() -> None:
    assert cut_points({"criterion": "qct-vbmd"}) == []
    assert cut_points({"criterion": "hu-norm-for-age-jang", "unit": "1"}) == []
    own = {"criterion": "x", "unit": "HU", "thresholds": [{"value": 9, "label": "b"}]}
    assert cut_points(own) == [9.0]
