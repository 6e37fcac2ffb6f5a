"""Which sources are one scan and which are many."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from osteoscope.apps.cli.sources import is_cohort
from osteoscope.core.errors import InputError


def _dicom(path: Path, patient: str | None) -> None:
    """A DICOM file whose header names a patient, or nobody; it has no pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(path)])
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.PatientID = patient
    dataset.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize("suffix", [".csv", ".XLSX", ".parquet"])
def test_a_table_is_a_cohort(suffix: str) -> None:
    assert is_cohort([Path(f"cohort{suffix}")], None)


@pytest.mark.parametrize("name", ["scan.nii.gz", "scan.zip", "IM0001"])
def test_a_file_is_a_scan(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert not is_cohort([tmp_path / name], None)


def test_several_sources_are_scans(tmp_path: Path) -> None:
    assert not is_cohort([tmp_path, tmp_path], None)


@pytest.mark.parametrize(("forced", "second"), [(None, "cohort.csv"), (True, "scan.nii")])
def test_a_cohort_stands_alone(forced: bool | None, second: str) -> None:
    with pytest.raises(InputError, match="one table or folder tree at a time"):
        is_cohort([Path("scan.nii"), Path(second)], forced)


def test_dicom_files_in_the_folder_make_it_one_scan(tmp_path: Path) -> None:
    _dicom(tmp_path / "IM0001", "A")
    _dicom(tmp_path / "more" / "IM0002", "B")
    assert not is_cohort([tmp_path], None)


def test_headers_with_their_voxels_beside_them_are_a_cohort(tmp_path: Path) -> None:
    for name in ("a.nhdr", "a.raw.gz", "b.mhd", "b.raw"):
        (tmp_path / name).touch()
    assert is_cohort([tmp_path], None)


def test_series_of_one_patient_are_one_scan(tmp_path: Path) -> None:
    _dicom(tmp_path / "soft" / "1", "A")
    _dicom(tmp_path / "bone" / "1", "A")
    assert not is_cohort([tmp_path], None)


@pytest.mark.parametrize(("one", "other"), [("A", "B"), ("A", None), (None, None)])
def test_folders_of_several_or_unknown_patients_are_a_cohort(
    tmp_path: Path, one: str | None, other: str | None
) -> None:
    _dicom(tmp_path / "a" / "study" / "1", one)
    _dicom(tmp_path / "b" / "study" / "1", other)
    assert is_cohort([tmp_path], None)


def test_image_files_with_labels_beside_them(tmp_path: Path) -> None:
    for name in ("p1.nii.gz", "p1_labels.nii.gz", "table.csv"):
        (tmp_path / name).touch()
    assert not is_cohort([tmp_path], None)
    (tmp_path / "p2.nii.gz").touch()
    assert is_cohort([tmp_path], None)


def test_an_empty_folder_is_left_to_the_reader(tmp_path: Path) -> None:
    assert not is_cohort([tmp_path], None)


@pytest.mark.parametrize("forced", [True, False])
def test_what_is_typed_decides(tmp_path: Path, forced: bool) -> None:
    _dicom(tmp_path / "IM0001", "A")
    assert is_cohort([tmp_path], forced) is forced
