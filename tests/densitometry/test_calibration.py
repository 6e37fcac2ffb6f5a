"""Calibration lines from a phantom and from the user's table."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osteoscope.core.errors import InputError, QualityError
from osteoscope.core.volume import Acquisition
from osteoscope.densitometry.calibration.line import Calibration
from osteoscope.densitometry.calibration.phantom import Rod, fit_phantom
from osteoscope.densitometry.calibration.table import (
    calibration_from_table,
    read_calibration_table,
)
from osteoscope.densitometry.uncertainty import Component, UncertaintyBudget

DENSITIES = (0.0, 50.0, 100.0, 200.0)
SCAN = Acquisition(kvp=120.0, scanner_model="SOMATOM Force", kernel="Br40")
HEADER = "scanner_model,kvp,mineral,slope_mg_cm3_per_hu,slope_se,intercept_mg_cm3,intercept_se"


def _line(**changes):
    parts = {
        "name": "phantom", "mineral": "HA", "slope_mg_cm3_per_hu": 0.8, "intercept_mg_cm3": 5.0,
        "covariance": np.diag([0.0004, 4.0]), "source": "test",
    }  # fmt: skip
    return Calibration(**(parts | changes))


def test_a_line_carries_its_error_to_a_density():
    value, error = _line().hu_to_bmd(100.0)
    assert value == pytest.approx(85.0)
    assert error == pytest.approx(math.sqrt(0.0004 * 100**2 + 4.0))


def test_a_budget_in_hu_becomes_one_in_density():
    one_sided = Component("contrast", 20.0, "HU", "test", side="low")
    hu = UncertaintyBudget(100.0, "HU", (Component("noise", 5.0, "HU", "test"), one_sided))
    bmd = _line().budget(hu)
    assert bmd.value == pytest.approx(85.0)
    assert [c.name for c in bmd.components] == ["noise", "contrast", "calibration"]
    assert bmd.total == pytest.approx(math.hypot(4.0, math.sqrt(8.0)))
    assert bmd.total_low == pytest.approx(math.sqrt(16.0 + 256.0 + 8.0))
    with pytest.raises(InputError, match="converts HU"):
        _line().budget(bmd)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"slope_mg_cm3_per_hu": -0.8}, "must be positive"),
        ({"intercept_mg_cm3": math.nan}, "must be finite"),
        ({"mineral": "chalk"}, "known: HA, K2HPO4"),
        ({"covariance": np.eye(3)}, "2 x 2"),
        ({"covariance": np.array([[1.0, 0.5], [0.4, 1.0]])}, "symmetric"),
        ({"covariance": np.array([[1.0, 3.0], [3.0, 1.0]])}, "correlation outside"),
    ],
)
def test_a_line_that_cannot_be_one_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        _line(**changes)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(gain=st.floats(0.8, 2.5), offset=st.floats(-30, 30))
def test_an_exact_phantom_gives_the_exact_inverse(gain, offset):
    rods = [Rod(d, gain * d + offset) for d in DENSITIES]
    line = fit_phantom(rods, mineral="K2HPO4", phantom="test")
    value, error = line.hu_to_bmd(gain * 123.0 + offset)
    assert value == pytest.approx(123.0, abs=1e-6)
    assert error < 1e-4
    assert line.mineral == "K2HPO4"
    assert line.warnings == ()


def test_the_phantoms_error_covers_the_truth():
    rng = np.random.default_rng(4)
    held = 0
    for _ in range(300):
        rods = [Rod(d, 1.3 * d + 3.0 + rng.normal(0, 4)) for d in DENSITIES]
        value, error = fit_phantom(rods, mineral="HA", phantom="test").hu_to_bmd(1.3 * 110 + 3.0)
        held += abs(value - 110.0) <= 1.96 * error
    assert 0.91 <= held / 300 <= 0.99


def test_fit_equals_numpys_polynomial():
    hu = (4.0, 61.0, 139.0, 262.0)
    rods = [Rod(d, h) for d, h in zip(DENSITIES, hu, strict=True)]
    gain, offset = np.polyfit(DENSITIES, hu, 1)
    line = fit_phantom(rods, mineral="HA", phantom="test")
    assert line.slope_mg_cm3_per_hu == pytest.approx(1 / gain)
    assert line.intercept_mg_cm3 == pytest.approx(-offset / gain)


def test_a_poor_phantom_warns_and_a_bad_one_is_refused():
    poor = [Rod(0, 15), Rod(50, 35), Rod(100, 165), Rod(200, 250)]
    assert "below 0.98" in fit_phantom(poor, mineral="HA", phantom="test").warnings[0]
    bad = [Rod(0, 80), Rod(50, 20), Rod(100, 180), Rod(200, 150)]
    with pytest.raises(QualityError, match=r"R2 0\.\d+, must be at least 0\.90"):
        fit_phantom(bad, mineral="HA", phantom="test")
    falling = [Rod(d, -d) for d in DENSITIES]
    with pytest.raises(QualityError, match="rising line"):
        fit_phantom(falling, mineral="HA", phantom="test")


@pytest.mark.parametrize(
    ("rods", "message"),
    [
        ([Rod(0, 0), Rod(100, 130)], "at least 3 rods, not 2"),
        ([Rod(50, 1), Rod(50, 2), Rod(50, 3)], "differ in density"),
        ([Rod(0, 0), Rod(50, math.nan), Rod(100, 3)], "finite"),
    ],
)
def test_rods_that_give_no_line_are_refused(rods, message):
    with pytest.raises(InputError, match=message):
        fit_phantom(rods, mineral="HA", phantom="test")


def _table(tmp_path, *lines, header=HEADER):
    path = tmp_path / "calibration.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def test_a_table_row_is_matched_on_scanner_and_voltage(tmp_path):
    path = _table(
        tmp_path,
        "Somatom  force,120,ha,0.8,0.01,4,2",
        "SOMATOM Force,100,HA,0.7,0.01,4,2",
        "Other,120,K2HPO4,0.9,0.01,4,2",
    )
    line = calibration_from_table(read_calibration_table(path), SCAN)
    assert line.slope_mg_cm3_per_hu == 0.8
    assert line.mineral == "HA"
    # Without a stated correlation the errors add fully.
    assert line.hu_to_bmd(100.0)[1] == pytest.approx(0.01 * 100 + 2)


def test_a_row_for_the_kernel_goes_before_one_for_all(tmp_path):
    path = _table(
        tmp_path,
        "SOMATOM Force,120,HA,0.8,0.01,4,2,,0",
        "SOMATOM Force,120,HA,0.6,0.01,4,2,br40,0",
        header=HEADER + ",kernel,correlation",
    )
    line = calibration_from_table(read_calibration_table(path), SCAN)
    assert line.slope_mg_cm3_per_hu == 0.6
    assert line.hu_to_bmd(100.0)[1] == pytest.approx(math.hypot(1.0, 2.0))


def test_toml_reads_as_csv_does(tmp_path):
    csv_path = _table(tmp_path, "SOMATOM Force,120,HA,0.8,0.01,4,2")
    toml_path = tmp_path / "calibration.toml"
    toml_path.write_text(
        '[[calibration]]\nscanner_model = "SOMATOM Force"\nkvp = 120\nmineral = "HA"\n'
        "slope_mg_cm3_per_hu = 0.8\nslope_se = 0.01\nintercept_mg_cm3 = 4\nintercept_se = 2\n",
        encoding="utf-8",
    )
    assert read_calibration_table(toml_path) == read_calibration_table(csv_path)


@pytest.mark.parametrize(
    ("acquisition", "message"),
    [
        (Acquisition(kvp=110.0, scanner_model="SOMATOM Force"), "no row .* never taken"),
        (Acquisition(kvp=120.0, scanner_model="Revolution"), "no row"),
        (Acquisition(kvp=120.0), "does not state the scanner model"),
        (Acquisition(), "scanner model and tube voltage"),
    ],
)
def test_without_a_match_nothing_is_taken(tmp_path, acquisition, message):
    rows = read_calibration_table(_table(tmp_path, "SOMATOM Force,120,HA,0.8,0.01,4,2"))
    with pytest.raises(InputError, match=message):
        calibration_from_table(rows, acquisition)


def test_two_matching_rows_are_one_too_many(tmp_path):
    row = "SOMATOM Force,120,HA,0.8,0.01,4,2"
    with pytest.raises(InputError, match="2 rows"):
        calibration_from_table(read_calibration_table(_table(tmp_path, row, row)), SCAN)


def test_every_faulty_row_is_named_at_once(tmp_path):
    path = _table(
        tmp_path,
        "SOMATOM Force,120,HA,-0.8,0.01,4,2",
        "SOMATOM Force,120,HA,0.8,0.01,4,2",
        "SOMATOM Force,120,chalk,0.8,0.01,4,2",
        "SOMATOM Force,,HA,0.8,x,4,2",
    )
    with pytest.raises(InputError, match=r"row 1: slope.*row 3: mineral.*row 4: missing kvp"):
        read_calibration_table(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", HEADER + "\n", "no rows"),
        ("a.csv", HEADER + ",surprise\nA,120,HA,0.8,0.01,4,2,1\n", "unknown surprise"),
        ("a.toml", "[[calibration\n", "TOMLDecodeError"),
        ("a.toml", "calibration = 3\n", "no rows"),
    ],
)
def test_files_that_are_no_table_are_refused(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_calibration_table(path)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.csv cannot be read \(FileNotFoundError\)"):
        read_calibration_table(tmp_path / "nowhere.csv")
