"""Vertebra geometry on the shared real scan (see shared/data/INDEX.md for source and licence)."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from osteoscope.anatomy.measure import measure_vertebrae
from osteoscope.core.grid import Grid, to_canonical
from osteoscope.core.label_schemes import SCHEMES
from osteoscope.core.labelmap import LabelMap
from tests.anatomy.vertebra_phantom import degrees_between

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "ct"
EXAMPLE = DATA / "totalsegmentator_example"

pytestmark = pytest.mark.skipif(
    not EXAMPLE.is_dir(), reason="the shared TotalSegmentator example is not there"
)


def load(name: str) -> tuple[np.ndarray, Grid]:
    image = nibabel.load(EXAMPLE / name)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
    array = np.asarray(image.dataobj)
    return array.transpose(2, 1, 0), Grid(array.shape[::-1], affine[:, [2, 1, 0, 3]])


def measured(name: str):
    array, grid = load(name)
    labels = LabelMap(array.astype(np.uint8), grid, SCHEMES["totalsegmentator"])
    return measure_vertebrae(labels)


@pytest.fixture(scope="module")
def whole_scan():
    return measured("labels.nii.gz")


def test_l1_is_plausible(whole_scan):
    vertebra = whole_scan["L1"]
    assert vertebra.withheld is None
    assert vertebra.touches == ()
    volume_cm3 = vertebra.body.sum() * vertebra.grid.voxel_volume_mm3 / 1000
    assert 35 <= volume_cm3 <= 48
    assert 0.6 <= vertebra.body.sum() / vertebra.mask.sum() <= 0.8
    # The upper lumbar spine leans forward by 10-20 degrees; nobody is tilted sideways here.
    lean = np.degrees(np.arctan2(-vertebra.axes[2, 1], vertebra.axes[2, 2]))
    assert -20 <= lean <= -5 or 5 <= lean <= 20
    assert abs(vertebra.axes[2, 0]) < 0.1
    for height in (vertebra.heights.anterior_mm, vertebra.heights.middle_mm):
        assert 22 <= height <= 30


def test_eroded_body_has_the_published_median(whole_scan):
    """INDEX.md: body in front of the canal, eroded 3-5 mm on a 1 mm grid: median 101-102 HU."""
    vertebra = whole_scan["L1"]
    array, grid = load("ct.nii.gz")
    hu = to_canonical(array, grid)[vertebra.box].astype(np.float32)
    fine_body = ndimage.zoom(
        vertebra.body.astype(np.float32), 3, order=1, grid_mode=True, mode="nearest"
    )
    fine_hu = ndimage.zoom(hu, 3, order=1, grid_mode=True, mode="nearest")
    depth_mm = ndimage.distance_transform_edt(fine_body >= 0.5)
    assert 96 <= np.median(fine_hu[depth_mm > 5.0]) <= 110


def test_cut_levels_say_so(whole_scan):
    assert whole_scan["T12"].heights is None
    assert "upper endplate" in whole_scan["T12"].withheld
    assert whole_scan["T12"].touches == ("superior",)
    # L2 is cut where the labels end, not where the scan does.
    assert whole_scan["L2"].heights is None
    assert "lower endplate" in whole_scan["L2"].withheld
    assert whole_scan["L2"].touches == ()
    assert whole_scan["T11"].body is None


def test_two_segmentations_of_one_scan_agree():
    full, fast = (
        measured("labels_cropped.nii.gz")["L1"],
        measured("labels_cropped_fast.nii.gz")["L1"],
    )
    assert np.linalg.norm(full.centre_mm - fast.centre_mm) < 1.0
    assert degrees_between(full.axes[2], fast.axes[2]) < 2.0
    assert full.heights.middle_mm == pytest.approx(fast.heights.middle_mm, abs=1.0)
    assert full.heights.anterior_mm == pytest.approx(fast.heights.anterior_mm, abs=1.0)
