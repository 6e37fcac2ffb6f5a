"""Labels that lie on no vertebra: another scan's, or displaced by their file's position."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from osteoscope.anatomy.measure import measure_vertebrae
from osteoscope.anatomy.quality.examine import examine_scan
from osteoscope.anatomy.quality.on_bone import _share_above, off_bone_flags, rim_denser_share
from osteoscope.core.label_schemes import label_scheme
from osteoscope.core.labelmap import LabelMap
from osteoscope.io.labels import read_labels, resample_labels
from osteoscope.io.scan import read_scan
from tests.anatomy.quality.drawn import LEVELS, Drawn, draw_spine

DATA = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "ct"
REAL = (
    ("totalsegmentator_example/ct.nii.gz", "totalsegmentator_example/labels.nii.gz"),
    ("siemens_t11_t12_dicom", "siemens_t11_t12_labels.nii.gz"),
)


@pytest.fixture(scope="module")
def spine() -> Drawn:
    return draw_spine()


def test_labels_on_their_own_scan_raise_nothing(spine: Drawn) -> None:
    assert off_bone_flags(spine.volume, spine.labels, spine.vertebrae, LEVELS) == []


@pytest.mark.parametrize("move", [(0, 8, 0), (0, 0, 8), (8, 0, 0), (0, -20, 10)])
def test_displaced_labels_withhold_their_levels(spine: Drawn, move: tuple[int, int, int]) -> None:
    scan = spine.with_values(np.roll(spine.volume.array, move, axis=(0, 1, 2)))
    flags = off_bone_flags(scan.volume, scan.labels, scan.vertebrae, LEVELS)
    assert {f.level for f in flags} >= {"T12", "L1", "L2", "L3", "L4"}
    assert {(f.code, f.effect) for f in flags} == {("labels_off_bone", "withhold")}


def test_the_share_is_mann_whitneys() -> None:
    rng = np.random.default_rng(3)
    one, other = rng.integers(0, 20, 200), rng.integers(5, 25, 150)
    expected = mannwhitneyu(one, other).statistic / (200 * 150)
    assert _share_above(one, other) == pytest.approx(expected)


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data folder is missing")
@pytest.mark.parametrize(("scan", "labels"), REAL)
def test_real_labels_pass_and_fail_when_displaced_by_1_cm(scan: str, labels: str) -> None:
    volume = read_scan(DATA / scan).volume.canonical()
    array = resample_labels(read_labels(DATA / labels), volume.grid)
    scheme = label_scheme("totalsegmentator")
    right = LabelMap(array, volume.grid, scheme)
    levels = [level for level in ("T11", "T12", "L1", "L2") if level in measure_vertebrae(right)]
    shares = [
        rim_denser_share(volume, right, v)
        for level, v in measure_vertebrae(right).items()
        if level in levels
    ]
    assert min(share for share in shares if share is not None) > 0.8
    step = round(10.0 / float(volume.grid.spacing_mm[1]))
    wrong = LabelMap(np.roll(array, step, axis=1), volume.grid, scheme)
    flags = examine_scan(volume, wrong, measure_vertebrae(wrong), levels)
    assert {f.level for f in flags if f.code == "labels_off_bone"} == set(levels)
