"""Names planted in a header come out only where the user asks for them."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import pytest
from pydicom import config, dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword

from osteoscope.core.errors import OsteoscopeError
from osteoscope.io.scan import list_series, read_scan
from tests.io.made_series import Made, write_series

SECRETS = ("Mustermann", "Erika", "19470812", "MRN4711", "ACC0815")
PLANTED = {
    "PatientName": "Mustermann^Erika",
    "PatientID": "MRN4711",
    "PatientBirthDate": "19470812",
    "AccessionNumber": "ACC0815",
    "StudyDate": "20240131",
    "SeriesDescription": "Spine MUSTERMANN mrn4711",
    "ContrastBolusAgent": "given to Erika",
}
INVALID = {
    # pydicom's warnings would quote each of these.
    "PatientBirthDate": "born 19470812 Mustermann",
    "PatientAge": "Mustermann",
    "StudyTime": "Mustermann Erika",
    "SpecificCharacterSet": "Mustermann",
    "SOPInstanceUID": "MRN4711.Mustermann",
}


def leaks(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret.lower() in text.lower()]


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    def plant(k: int, ds: Any) -> None:
        for keyword, value in {**PLANTED, **INVALID}.items():
            ds.add_new(keyword, _vr(keyword), value)

    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")
        write_series(tmp_path / "Mustermann_Erika", Made(per_slice=plant))
    return tmp_path / "Mustermann_Erika"


def _vr(keyword: str) -> str:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return str(dictionary_VR(tag))


def test_nothing_of_the_patient_comes_out(
    planted: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        reading = read_scan(planted)
        summaries = list_series(planted)
    assert leaks(repr(reading)) == []
    assert leaks(repr(summaries)) == []
    assert leaks(caplog.text) == []
    assert leaks(" ".join(str(w.message) for w in caught)) == []
    assert leaks("".join(capfd.readouterr())) == []
    assert reading.identity is None
    assert reading.chosen.description == "Spine … …"
    assert reading.volume.acquisition.contrast_agent == "given to …"


def test_the_plant_would_leak_through_pydicom_itself(planted: Path) -> None:
    """The guard against a test that cannot fail."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        str(dcmread(next(planted.iterdir())))
    assert leaks(" ".join(str(w.message) for w in caught)) != []


def test_identity_comes_out_where_it_is_asked_for(planted: Path) -> None:
    identity = read_scan(planted, identify=True).identity
    assert identity is not None
    assert identity.patient_name == "Mustermann^Erika"
    assert (identity.patient_id, identity.accession_number) == ("MRN4711", "ACC0815")
    assert identity.study_date == "20240131"
    assert identity.series_uid == Made().uid


def test_settings_of_the_process_are_left_as_they_were(planted: Path) -> None:
    logger = logging.getLogger("pydicom")
    before = (config.settings.reading_validation_mode, logger.disabled, list(warnings.filters))
    read_scan(planted)
    after = (config.settings.reading_validation_mode, logger.disabled, list(warnings.filters))
    assert after == before


@pytest.mark.parametrize("cut", [400, 700, 1000, -30])
def test_errors_hold_no_name(planted: Path, cut: int) -> None:
    file = sorted(planted.iterdir())[3]
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(OsteoscopeError) as caught:
        read_scan(planted)
    assert leaks(str(caught.value)) == []
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    with pytest.raises(OsteoscopeError) as caught:
        read_scan(planted, series="no such series")
    assert leaks(str(caught.value)) == []


@pytest.mark.parametrize(
    ("keyword", "one", "other", "said"),
    [("PatientID", "MRN4711", "MRN4712", "2 different patient numbers"),
     ("PatientName", "Mustermann^Erika", "Mustermann^Max", "2 different patient names"),
     ("PatientBirthDate", "19470812", "19480812", "2 different birth dates")],
)  # fmt: skip
def test_two_patients_are_refused_without_naming_them(
    tmp_path: Path, keyword: str, one: str, other: str, said: str
) -> None:
    write_series(tmp_path / "a", Made(tags={keyword: one}))
    write_series(tmp_path / "b", Made(uid="1.2.3", tags={keyword: other}))
    with pytest.raises(OsteoscopeError, match="Two patients in one folder") as caught:
        read_scan(tmp_path)
    assert said in str(caught.value)
    assert leaks(str(caught.value)) == []


def test_an_unknown_patient_differs_from_nobody(tmp_path: Path) -> None:
    write_series(tmp_path / "a", Made(tags={"PatientID": "MRN4711", "PatientName": "A^B^"}))
    write_series(tmp_path / "b", Made(uid="1.2.3", step=3.0, tags={"PatientName": "a^b"}))
    assert read_scan(tmp_path).chosen.slice_spacing_mm == pytest.approx(1.5)
