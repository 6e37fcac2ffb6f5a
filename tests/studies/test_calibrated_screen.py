"""A calibration that the user names reaches density, criterion and virtual DXA, or says why not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osteoscope.io.image_files import write_labels, write_volume
from osteoscope.simulation.patient import sample_patient
from osteoscope.simulation.render import SimulatedPatient, simulate_patient
from osteoscope.simulation.scan import ScanSpec
from osteoscope.studies.screen.config import ScreenConfig
from osteoscope.studies.screen.pipeline import screen_scan

COLUMNS = "scanner_model,kvp,mineral,slope_mg_cm3_per_hu,slope_se,intercept_mg_cm3,intercept_se\n"


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> tuple[SimulatedPatient, Path]:
    folder = tmp_path_factory.mktemp("calibrated")
    made = simulate_patient(
        sample_patient(np.random.default_rng(50)), ScanSpec(in_plane_mm=1.25), seed=1
    )
    write_volume(folder / "ct.nii.gz", made.volume)
    facts = {"KVP": 120, "ManufacturersModelName": "Simulator One", "Simulated": True}
    (folder / "ct.json").write_text(json.dumps(facts))
    write_labels(folder / "labels.nii.gz", made.labels.array, made.labels.grid)
    return made, folder


def screened(folder: Path, out: Path, **options: Any) -> dict[str, Any]:
    return screen_scan(
        folder / "ct.nii.gz",
        out,
        ScreenConfig(**options),
        segmentation=folder / "labels.nii.gz",
        report=False,
    ).result


def bmd_of(result: dict[str, Any]) -> dict[str, Any]:
    assessment = (a for a in result["assessment"] if a["criterion"] == "qct-vbmd")
    found: dict[str, Any] = next(assessment)
    return found


def test_internal_calibration_holds_the_true_density(
    patient: tuple[SimulatedPatient, Path], tmp_path: Path
) -> None:
    made, folder = patient
    result = screened(folder, tmp_path / "out", calibration="internal")
    density = result["vertebrae"]["L1"]["measurements"]["trabecular_bmd_mg_cm3"]
    truth = made.truth.levels["L1"].vbmd_mg_cm3
    assert density["interval"]["low"] <= truth <= density["interval"]["high"]
    assert density["unit"] == "mg/cm3"
    assert "internal" in density["method"]
    projected = result["virtual_dxa"]
    assert projected["interval"]["low"] <= made.truth.dxa.total_g_cm2
    assert made.truth.dxa.total_g_cm2 <= projected["interval"]["high"]
    assert set(projected["levels"]) == {"L1", "L2", "L3", "L4"}
    assert "category" in bmd_of(result)


def test_a_table_without_this_scanner_withholds_the_density_alone(
    patient: tuple[SimulatedPatient, Path], tmp_path: Path
) -> None:
    _, folder = patient
    table = tmp_path / "table.csv"
    table.write_text(COLUMNS + "Another,120,HA,0.8,0.01,2,1\n")
    result = screened(folder, tmp_path / "out", calibration=str(table))
    assert result["status"] == "done"
    assert "value" in result["vertebrae"]["L1"]["measurements"]["trabecular_median_hu"]
    assert "has no row for Simulator One at 120 kVp" in bmd_of(result)["withheld"]
    assert "has no row" in result["virtual_dxa"]["withheld"]


def test_a_table_with_this_scanner_gives_its_line(
    patient: tuple[SimulatedPatient, Path], tmp_path: Path
) -> None:
    _, folder = patient
    table = tmp_path / "table.csv"
    table.write_text(COLUMNS + "Simulator One,120,HA,0.7,0.01,5,1\n")
    result = screened(folder, tmp_path / "out", calibration=str(table))
    measured = result["vertebrae"]["L1"]["measurements"]
    expected = 0.7 * measured["trabecular_median_hu"]["value"] + 5
    assert measured["trabecular_bmd_mg_cm3"]["value"] == pytest.approx(expected)
    assert "calibration" in measured["trabecular_bmd_mg_cm3"]["interval"]["covers"]


def test_the_qct_category_is_of_the_mean_of_l1_and_l2(
    patient: tuple[SimulatedPatient, Path], tmp_path: Path
) -> None:
    # PMC7495321: the mean of two lumbar bodies.
    _, folder = patient
    result = screened(folder, tmp_path / "out", calibration="internal")
    found = bmd_of(result)
    values = [
        result["vertebrae"][level]["measurements"]["trabecular_bmd_mg_cm3"]["value"]
        for level in ("L1", "L2")
    ]
    assert found["level"] == "L1-L2"
    assert found["value"] == pytest.approx(np.mean(values))
    assert found["thresholds"][0]["label"] == "osteoporosis (QCT) below 80 mg/cm³"
    assert any("age is unknown" in doubt for doubt in found["doubts"])


@pytest.mark.parametrize(("age", "given"), [("019Y", False), ("034Y", True)])
def test_no_t_score_below_twenty_years_and_its_scope_below_fifty(
    patient: tuple[SimulatedPatient, Path], tmp_path: Path, age: str, given: bool
) -> None:
    _, folder = patient
    aged = tmp_path / "aged"
    aged.mkdir()
    (aged / "ct.nii.gz").symlink_to(folder / "ct.nii.gz")
    (aged / "labels.nii.gz").symlink_to(folder / "labels.nii.gz")
    facts = json.loads((folder / "ct.json").read_text())
    (aged / "ct.json").write_text(json.dumps({**facts, "PatientAge": age, "PatientSex": "M"}))
    projected = screened(aged, tmp_path / "out", calibration="internal")["virtual_dxa"]
    assert (projected["t_score"] is not None) is given
    assert any("none is given below 20 years" in limit for limit in projected["limits"])
    assert any("reference is of women" in limit for limit in projected["limits"])
    # Soft tissues say little about bone: the interval is wider than a WHO class.
    assert any("more than osteopenia" in limit for limit in projected["limits"])


def test_a_contrast_rule_stands_beside_the_value_and_changes_no_criterion(
    patient: tuple[SimulatedPatient, Path], tmp_path: Path
) -> None:
    made, folder = patient
    # Without the aorta nothing tells whether the scan is enhanced.
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("ct.nii.gz", "ct.json"):
        (bare / name).symlink_to(folder / name)
    aorta = made.labels.scheme.structures["aorta"]
    array = np.where(made.labels.array == aorta, 0, made.labels.array).astype(np.uint8)
    write_labels(bare / "labels.nii.gz", array, made.labels.grid)
    plain = screened(bare, tmp_path / "plain")
    ruled = screened(bare, tmp_path / "ruled", contrast_rule="ecr-portal-venous")
    measured = ruled["vertebrae"]["L1"]["measurements"]
    median = measured["trabecular_median_hu"]["value"]
    corrected = measured["corrected_median_hu"]
    assert corrected["value"] == pytest.approx(median - 25.7)
    assert "ecr-portal-venous" in corrected["method"]
    assert corrected["interval"]["low"] < corrected["value"] - 19
    assert ruled["assessment"] == plain["assessment"]


def test_a_scan_that_is_not_enhanced_is_not_corrected(
    patient: tuple[SimulatedPatient, Path], tmp_path: Path
) -> None:
    _, folder = patient
    ruled = screened(folder, tmp_path / "ruled", contrast_rule="ecr-portal-venous")
    corrected = ruled["vertebrae"]["L1"]["measurements"]["corrected_median_hu"]
    assert "not contrast-enhanced" in corrected["missing"]


def test_the_tissues_of_an_enhanced_scan_calibrate_nothing(tmp_path: Path) -> None:
    """Perfused muscle still lies in its range, but is no standard any more."""
    made = simulate_patient(
        sample_patient(np.random.default_rng(51)),
        ScanSpec(in_plane_mm=1.25, contrast_phase="venous"),
        seed=2,
    )
    write_volume(tmp_path / "ct.nii.gz", made.volume)
    write_labels(tmp_path / "labels.nii.gz", made.labels.array, made.labels.grid)
    result = screened(tmp_path, tmp_path / "out", calibration="internal")
    assert result["calibration"] is None
    assert "contrast-enhanced" in bmd_of(result)["withheld"]
    assert "contrast-enhanced" in result["virtual_dxa"]["withheld"]


PHANTOM = """
[phantom]
name = "three rods"
mineral = "HA"
{kvp}
rods = [
  {{ density_mg_cm3 = 0, hu = 0 }},
  {{ density_mg_cm3 = 100, hu = 140 }},
  {{ density_mg_cm3 = 200, hu = 280 }},
]
"""


@pytest.mark.parametrize(
    ("kvp", "words"),
    [
        ("kvp = 100", "scanned at 100 kVp and the patient at 120 kVp"),
        ("kvp = 120", None),
        ("", "does not state the tube voltage"),
    ],
)
def test_a_phantom_holds_at_its_own_voltage(
    patient: tuple[SimulatedPatient, Path], tmp_path: Path, kvp: str, words: str | None
) -> None:
    _, folder = patient
    path = tmp_path / "phantom.toml"
    path.write_text(PHANTOM.format(kvp=kvp))
    result = screened(folder, tmp_path / "out", calibration=str(path))
    if kvp == "kvp = 100":
        assert words is not None
        assert words in bmd_of(result)["withheld"]
        return
    measured = result["vertebrae"]["L1"]["measurements"]
    expected = measured["trabecular_median_hu"]["value"] / 1.4
    assert measured["trabecular_bmd_mg_cm3"]["value"] == pytest.approx(expected)
    warnings = " ".join(result["calibration"]["detail"]["warnings"])
    assert (words or "tube voltage") in warnings or words is None
    assert ("tube voltage" in warnings) == (words is not None)
