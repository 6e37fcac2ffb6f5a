"""Figures 4 and 6 as PNG files."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from osteoscope.reporting.tscore_figures import draw_class_distribution, draw_tau_sweep


def _ink(png: bytes) -> float:
    """Share of pixels that are not white."""
    with Image.open(io.BytesIO(png)) as picture:
        grey = np.asarray(picture.convert("L"))
    return float((grey < 250).mean())


def test_the_classes_are_drawn_and_marked_as_simulated() -> None:
    t = np.array([-3.0, -2.5, -1.5, -1.2, 0.0, 0.4, np.nan])
    classes = ("normal", "osteopenia", "osteoporosis")
    index = np.array([2, 2, 1, 1, 0, 0, 0])
    real = draw_class_distribution(t, index, classes, simulated=False)
    marked = draw_class_distribution(t, index, classes, simulated=True)
    assert 0.02 < _ink(real) < _ink(marked)


def test_the_sweep_draws_both_lines() -> None:
    tau = (1.0, 0.5, 0.1)
    ours = {"accuracy": [(50.0, 40.0, 60.0)] * 3, "macro_auc": [(70.0, 60.0, 80.0)] * 3}
    published = {"accuracy": [64.1, 65.4, 62.8], "macro_auc": [78.4, 79.3, 79.9]}
    assert _ink(draw_tau_sweep(tau, ours, published, simulated=False)) > 0.02
