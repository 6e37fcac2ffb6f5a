"""The two shared real scans: what a radiologist sees in them is flagged, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from osteoscope.anatomy.measure import measure_vertebrae
from osteoscope.anatomy.quality.examine import examine_scan
from osteoscope.core.flag import Flag
from osteoscope.core.label_schemes import label_scheme
from osteoscope.core.labelmap import LabelMap
from osteoscope.io.labels import read_labels, resample_labels
from osteoscope.io.scan import read_scan

DATA = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "ct"
WANTED = ("T11", "T12", "L1", "L2", "L3", "L4", "L5")

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data folder is missing")


def examined(scan: str, labels: str) -> list[Flag]:
    volume = read_scan(DATA / scan).volume
    raw = read_labels(DATA / labels)
    named = LabelMap(
        resample_labels(raw, volume.grid), volume.grid, label_scheme("totalsegmentator")
    )
    return examine_scan(volume, named, measure_vertebrae(named), WANTED)


@pytest.fixture(scope="module")
def hip() -> list[Flag]:
    folder = "totalsegmentator_example"
    return examined(f"{folder}/ct.nii.gz", f"{folder}/labels.nii.gz")


def only(flags: list[Flag], code: str, level: str | None = None) -> Flag:
    (found,) = [f for f in flags if f.code == code and f.level == level]
    return found


def test_the_metal_in_the_hip_is_flagged_and_far_from_the_spine(hip: list[Flag]) -> None:
    metal = only(hip, "metal_in_scan")
    # 429 voxels of 27 mm3 above 2500 HU (529 above 2000), one cluster.
    assert metal.evidence["volume_cm3"] == pytest.approx(11.58, abs=0.1)
    assert metal.evidence["clusters"] == 1
    assert float(metal.evidence["nearest_mm"]) > 200
    assert metal.evidence["levels_in_same_slices"] == []
    assert not [f for f in hip if f.code in ("metal_in_region", "cement")]


def test_the_dense_focus_in_l1_is_flagged_and_its_scatter_too(hip: list[Flag]) -> None:
    focus = only(hip, "dense_focus", "L1")
    assert focus.effect == "warn"
    assert 96 <= float(focus.evidence["region_median_hu"]) <= 110
    assert float(focus.evidence["mean_hu"]) > 300
    texture = only(hip, "heterogeneous_region", "L1")
    # The shared index: SD 92 HU at 5 mm on a 1 mm grid.
    assert 70 <= float(texture.evidence["sd_hu"]) <= 105
    assert float(texture.evidence["mean_hu"]) > float(texture.evidence["median_hu"])


def test_nothing_withholds_l1(hip: list[Flag]) -> None:
    assert [f for f in hip if f.effect == "withhold" and f.level in ("L1", None)] == []


def test_unlabelled_slices_and_cut_levels_are_flagged(hip: list[Flag]) -> None:
    spine = only(hip, "unlabelled_spine")
    assert spine.severity == "serious"
    assert float(spine.evidence["below_mm"]) > 100
    for level in ("L3", "L4", "L5"):
        assert only(hip, "level_missing", level).effect == "withhold"
    for level in ("T11", "T12", "L2"):
        assert only(hip, "touches_edge", level).effect == "withhold"


def test_the_acquisition_is_judged_by_what_the_file_says(hip: list[Flag]) -> None:
    assert only(hip, "thick_slices").evidence["slice_mm"] == 3.0
    assert only(hip, "kvp_unknown").evidence["kvp"] is None
    # Unenhanced by its aorta, though the file says nothing.
    assert not [f for f in hip if f.code.startswith("contrast")]
    assert not [f for f in hip if f.code in ("high_noise", "possible_level_shift")]


def test_the_siemens_series_lacks_l1_and_states_contrast() -> None:
    flags = examined("siemens_t11_t12_dicom", "siemens_t11_t12_labels.nii.gz")
    assert only(flags, "level_missing", "L1").effect == "withhold"
    assert only(flags, "contrast_enhanced").evidence["header"] is True
    assert not [f for f in flags if f.code in ("kvp_unknown", "kvp_not_120", "sharp_kernel")]
    # Slices of 3 mm every 2 mm: the header's thickness counts, not the spacing.
    thick = only(flags, "thick_slices").evidence
    assert (thick["slice_mm"], thick["spacing_mm"][0]) == (3.0, 2.0)
    assert not [f for f in flags if f.code == "metal_in_scan"]
