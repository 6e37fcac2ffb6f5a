"""What a header says, and that an empty field says nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from osteoscope.core.volume import Acquisition
from osteoscope.io.acquisition_facts import acquisition_from_lookup, age_years
from osteoscope.io.scan import read_scan
from tests.io.made_series import Made, write_series


def facts(**values: Any) -> Acquisition:
    return acquisition_from_lookup(values.get)


@pytest.mark.parametrize("empty", [None, "", " ", []])
def test_what_is_empty_is_unknown(empty: Any) -> None:
    keywords = (
        "KVP", "ConvolutionKernel", "ContrastBolusAgent", "SliceThickness", "XRayTubeCurrent",
        "Exposure", "Manufacturer", "ManufacturerModelName", "PatientPosition", "PatientAge",
        "ReconstructionDiameter", "SeriesDescription", "PatientSex", "ImageComments",
    )  # fmt: skip
    assert facts(**dict.fromkeys(keywords, empty)) == Acquisition()


@pytest.mark.parametrize(
    ("agent", "enhanced"),
    [("APPLIED", True), ("Ultravist 370", True), ("Omnipaque 300 IV", True), ("NONE", False),
     ("no", False), ("Without contrast", False), ("w/o", False), ("nativ", False),
     ("Novolin", True), ("", None), ("UNKNOWN", None), (None, None)],
)  # fmt: skip
def test_contrast_is_what_the_text_says(agent: str | None, enhanced: bool | None) -> None:
    assert facts(ContrastBolusAgent=agent).contrast_enhanced is enhanced


@pytest.mark.parametrize(
    ("text", "years"),
    [("067Y", 67.0), ("018M", 1.5), ("000Y", None), ("", None), ("67", None), ("abc", None),
     (None, None), (67, 67.0), (-1, None), (True, None), ("999Y", None)],
)  # fmt: skip
def test_ages(text: Any, years: float | None) -> None:
    assert age_years(text) == years


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.one_of(st.text(max_size=8), st.floats(), st.integers(), st.none(), st.booleans()))
def test_no_age_is_invented(value: Any) -> None:
    years = age_years(value)
    assert years is None or 0 < years < 130


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "high", 0])
def test_a_voltage_that_is_none_is_unknown(value: Any) -> None:
    assert facts(KVP=value).kvp is None


def test_the_simulators_mark_is_seen_wherever_it_stands(tmp_path: Path) -> None:
    equipment = Dataset()
    equipment.Manufacturer = "osteoscope simulator"
    marks = {
        "comments": {"ImageComments": "SIMULATED: no patient"},
        "maker": {"Manufacturer": "osteoscope simulator"},
        "equipment": {"ContributingEquipmentSequence": Items([equipment])},
    }
    for name, tags in marks.items():
        write_series(tmp_path / name, Made(rows=4, columns=4, tags=tags))
        assert read_scan(tmp_path / name).volume.acquisition.simulated
    write_series(tmp_path / "real", Made(rows=4, columns=4, tags={"Manufacturer": "ACME"}))
    assert not read_scan(tmp_path / "real").volume.acquisition.simulated


def test_facts_of_a_series(tmp_path: Path) -> None:
    def vary(k: int, ds: Any) -> None:
        ds.XRayTubeCurrent = 100 + k

    tags = {
        "PatientAge": "067Y", "PatientSex": "F", "Manufacturer": "ACME", "KVP": 100,
        "ManufacturerModelName": "One", "ConvolutionKernel": ["Br38f", "3"], "Exposure": 80,
        "ReconstructionDiameter": 350, "SeriesDescription": "Spine", "PatientPosition": "FFS",
    }  # fmt: skip
    write_series(tmp_path, Made(n=11, rows=4, columns=4, tags=tags, per_slice=vary))
    assert read_scan(tmp_path).volume.acquisition == Acquisition(
        kvp=100.0, kernel="Br38f", slice_thickness_mm=1.5, tube_current_ma=105.0, exposure_mas=80.0,
        manufacturer="ACME", scanner_model="One", patient_position="FFS",
        reconstruction_diameter_mm=350.0, series_description="Spine", patient_age_years=67.0,
        patient_sex="F",
    )  # fmt: skip


def test_a_voltage_that_changes_along_the_scan_is_unknown(tmp_path: Path) -> None:
    def switch(k: int, ds: Any) -> None:
        ds.KVP = 100 if k < 6 else 120

    write_series(tmp_path, Made(rows=4, columns=4, per_slice=switch))
    reading = read_scan(tmp_path)
    assert reading.volume.acquisition.kvp is None
    assert any("tube voltage differs" in note for note in reading.notes)


@pytest.mark.parametrize(
    ("born", "studied", "years"),
    [
        ("19500615", "20200614", 69.0),
        ("19500615", "20200615", 70.0),
        ("20120101", "20211231", 9.0),
        ("19500615", "", None),
        ("", "20200615", None),
        ("20210101", "20200101", None),
        ("DOE", "20200101", None),
    ],
)
def test_an_age_that_the_header_lacks_follows_from_its_dates(
    born: str, studied: str, years: float | None
) -> None:
    facts = {"PatientBirthDate": born, "StudyDate": studied}
    assert acquisition_from_lookup(facts.get).patient_age_years == years
    stated = {**facts, "PatientAge": "041Y"}
    assert acquisition_from_lookup(stated.get).patient_age_years == 41.0
