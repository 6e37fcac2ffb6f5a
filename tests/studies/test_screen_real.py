"""The main job on the shared real scans: what it reports, flags and withholds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from osteoscope.studies.screen.config import ScreenConfig
from osteoscope.studies.screen.pipeline import screen_scan

CT = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "ct"
pytestmark = pytest.mark.skipif(not CT.is_dir(), reason="the shared real CT is not here")


@pytest.fixture(scope="module")
def torso(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    out = tmp_path_factory.mktemp("torso") / "result"
    example = CT / "totalsegmentator_example"
    outcome = screen_scan(
        example / "ct.nii.gz", out, ScreenConfig(), segmentation=example / "labels.nii.gz"
    )
    return outcome.result, out


@pytest.fixture(scope="module")
def siemens(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    out = tmp_path_factory.mktemp("siemens") / "result"
    outcome = screen_scan(
        CT / "siemens_t11_t12_dicom",
        out,
        ScreenConfig(),
        segmentation=CT / "siemens_t11_t12_labels.nii.gz",
    )
    return outcome.result, out


def test_l1_of_the_torso_is_measured_and_names_its_method(
    torso: tuple[dict[str, Any], Path],
) -> None:
    """data/INDEX.md: the median of the body eroded 5 mm is 96 to 110 HU, whatever the cut."""
    result, _ = torso
    measured = result["vertebrae"]["L1"]["measurements"]
    median, mean = measured["trabecular_median_hu"], measured["trabecular_mean_hu"]
    assert 96 <= median["value"] <= 110
    assert "body eroded 5 mm" in median["method"]
    assert "median" in median["method"]
    assert median["interval"]["low"] < median["value"] < median["interval"]["high"]
    # The dense focus under the upper endplate pulls the mean and spreads the values.
    assert mean["value"] > median["value"] + 10
    assert 70 <= measured["trabecular_sd_hu"]["value"] <= 100


def test_the_torso_is_flagged_for_what_a_reader_must_know(
    torso: tuple[dict[str, Any], Path],
) -> None:
    result, _ = torso
    found = {(flag["code"], flag["level"]) for flag in result["flags"]}
    assert ("metal_in_scan", None) in found
    assert ("unlabelled_spine", None) in found
    assert ("thick_slices", None) in found
    assert ("kvp_unknown", None) in found
    assert ("heterogeneous_region", "L1") in found
    assert ("dense_focus", "L1") in found
    assert ("metal_in_region", "L1") not in found


def test_the_torso_is_assessed_by_the_robust_estimator(
    torso: tuple[dict[str, Any], Path],
) -> None:
    result, _ = torso
    assert result["status"] == "done"
    primary = next(a for a in result["assessment"] if a["criterion"] == "pickhardt-l1-hu")
    assert "median" in primary["quantity"]
    assert primary["category"].startswith("suggests osteoporosis")
    assert 0.5 < primary["probability"] < 1
    bmd = next(a for a in result["assessment"] if a["criterion"] == "qct-vbmd")
    assert "calibration" in bmd["withheld"]
    age = next(a for a in result["assessment"] if a["criterion"] == "hu-norm-for-age-jang")
    assert "age" in age["withheld"]


def test_cut_vertebrae_are_withheld(torso: tuple[dict[str, Any], Path]) -> None:
    result, _ = torso
    for level in ("T11", "T12", "L2"):
        vertebra = result["vertebrae"][level]
        assert vertebra["withheld"]
        assert "missing" in vertebra["measurements"]["trabecular_median_hu"]


def test_everything_is_written(torso: tuple[dict[str, Any], Path]) -> None:
    result, out = torso
    assert json.loads((out / "result.json").read_text()) == json.loads(json.dumps(result))
    page = (out / "report.html").read_text()
    assert "not a medical device" in page.lower()
    assert "http://" not in page
    assert 'src="http' not in page
    assert page.count("data:image/png;base64,") >= 4
    scan = sitk.ReadImage(str(CT / "totalsegmentator_example" / "ct.nii.gz"))
    regions = sitk.ReadImage(str(out / "regions.nii.gz"))
    assert np.allclose(regions.GetSpacing(), scan.GetSpacing())
    offset = scan.TransformPhysicalPointToContinuousIndex(regions.GetOrigin())
    assert np.allclose(offset, np.round(offset), atol=1e-3)
    on_scan = sitk.Resample(regions, scan, sitk.Transform(), sitk.sitkNearestNeighbor)
    inside = sitk.GetArrayFromImage(on_scan) == 31
    values = sitk.GetArrayFromImage(scan)[inside]
    median = result["vertebrae"]["L1"]["measurements"]["trabecular_median_hu"]["value"]
    assert abs(float(np.median(values)) - median) <= 3


def test_the_siemens_series_is_read_and_l1_is_withheld(
    siemens: tuple[dict[str, Any], Path],
) -> None:
    result, out = siemens
    assert result["scan"]["shape"] == [20, 512, 512]
    assert result["scan"]["acquisition"]["kvp"] == 120
    assert result["scan"]["acquisition"]["kernel"] == "Br38f"
    assert result["scan"]["acquisition"]["patient_age_years"] is None  # empty is unknown
    assert result["scan"]["acquisition"]["patient_sex"] is None
    assert result["status"] == "withheld"
    primary = next(a for a in result["assessment"] if a["criterion"] == "pickhardt-l1-hu")
    assert "L1 is not labelled" in primary["withheld"]
    assert ("contrast_enhanced", None) in {(f["code"], f["level"]) for f in result["flags"]}
    assert "identity" not in result
    assert "withheld" in (out / "report.html").read_text().lower()


def test_two_segmentations_of_one_scan_agree(tmp_path: Path) -> None:
    """The full and the fast model's labels of one scan: the median moves little."""
    example = CT / "totalsegmentator_example"
    medians = []
    for name in ("labels_cropped.nii.gz", "labels_cropped_fast.nii.gz"):
        outcome = screen_scan(
            example / "ct_cropped.nii.gz",
            tmp_path / name,
            ScreenConfig(),
            segmentation=example / name,
            report=False,
        )
        measured = outcome.result["vertebrae"]["L1"]["measurements"]["trabecular_median_hu"]
        medians.append(measured["value"])
    assert abs(medians[0] - medians[1]) <= 6


def test_a_mean_of_another_category_stands_beside_the_headline(
    torso: tuple[dict[str, Any], Path],
) -> None:
    """The published cut points are for means; the dense focus puts them on either side of 110."""
    result, out = torso
    primary = next(a for a in result["assessment"] if a["criterion"] == "pickhardt-l1-hu")
    said = [doubt for doubt in primary["doubts"] if "By the mean of the ellipse" in doubt]
    assert len(said) == 1
    assert "'indeterminate'" in said[0]
    verdict = (out / "report.html").read_text(encoding="utf-8").split("</section>")[0]
    assert "By the mean of the ellipse in the mid-body" in verdict


def test_the_torso_s_class_stands_beside_its_attenuation(
    torso: tuple[dict[str, Any], Path],
) -> None:
    """By the shipped model: class, set, agreement with the criterion, and where it looks."""
    result, out = torso
    answer = result["classification"]
    assert "withheld" not in answer
    assert answer["model"]["simulated"]
    assert sum(answer["probabilities"].values()) == pytest.approx(1.0)
    assert sum(answer["refers_to"].values()) == pytest.approx(1.0)
    assert answer["agreement"]["baseline"] == "pickhardt-l1-hu"
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Model trained on simulated patients only" in page
    assert "Orange: covering this part" in page


def test_the_class_of_the_siemens_series_is_withheld(
    siemens: tuple[dict[str, Any], Path],
) -> None:
    answer = siemens[0]["classification"]
    assert "L1 is not labelled" in answer["withheld"]
    assert "probabilities" not in answer
