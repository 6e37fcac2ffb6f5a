"""Finding scans in a folder tree."""

from pathlib import Path

import pytest

from osteoscope.core.errors import InputError
from osteoscope.io.discover import discover_scans


def touch(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


DICOM = b"\0" * 128 + b"DICM"


def test_a_mixed_tree_gives_one_scan_a_subject(tmp_path: Path) -> None:
    touch(tmp_path / "s1" / "dicom" / "a" / "IM1", DICOM)
    touch(tmp_path / "s1" / "dicom" / "b" / "IM1", DICOM)
    ct = touch(tmp_path / "s2" / "ct.nii.gz")
    labels = touch(tmp_path / "s2" / "labels_totalsegmentator.nii.gz")
    touch(tmp_path / "s2" / "labels_verse.nii.gz")
    parts = touch(tmp_path / "s2" / "subregions.nii.gz")
    touch(tmp_path / "s3.zip")
    touch(tmp_path / "s4.mha")
    masks = touch(tmp_path / "s5" / "segmentations" / "vertebrae_L1.nii.gz").parent
    touch(tmp_path / "s5" / "ct.nii.gz")
    touch(tmp_path / "notes.txt")
    touch(tmp_path / "empty" / "readme.txt")
    scans = {scan.subject_id: scan for scan in discover_scans(tmp_path)}
    assert sorted(scans) == ["s1", "s2_ct", "s3", "s4", "s5_ct"]
    assert scans["s1"].image == tmp_path / "s1"
    assert (scans["s2_ct"].image, scans["s2_ct"].segmentation) == (ct, labels)
    assert scans["s2_ct"].subregions == parts
    assert scans["s5_ct"].segmentation == masks


def test_a_header_with_its_voxels_beside_it_is_one_scan(tmp_path: Path) -> None:
    for name in ("a.nhdr", "a.raw", "b.mhd", "b.zraw"):
        touch(tmp_path / name)
    assert [scan.image.name for scan in discover_scans(tmp_path)] == ["a.nhdr", "b.mhd"]


def test_two_segmentations_without_a_hint_are_not_guessed(tmp_path: Path) -> None:
    touch(tmp_path / "s1" / "ct.nii.gz")
    touch(tmp_path / "s1" / "mask_reader1.nii.gz")
    touch(tmp_path / "s1" / "mask_reader2.nii.gz")
    (scan,) = discover_scans(tmp_path)
    assert scan.segmentation is None


def test_names_are_safe_and_unique(tmp_path: Path) -> None:
    touch(tmp_path / "a b.nii.gz")
    touch(tmp_path / "a_b.nii.gz")
    names = [scan.subject_id for scan in discover_scans(tmp_path)]
    assert names == ["a_b", "a_b-2"]


def test_a_folder_without_a_scan_says_what_to_give(tmp_path: Path) -> None:
    touch(tmp_path / "readme.txt")
    with pytest.raises(InputError, match="holds no scan"):
        discover_scans(tmp_path)


def test_labels_directly_in_a_dicom_subject_are_its_own(tmp_path: Path) -> None:
    touch(tmp_path / "p1" / "dicom" / "IM1", DICOM)
    labels = touch(tmp_path / "p1" / "labels_totalsegmentator.nii.gz")
    touch(tmp_path / "p1" / "labels_verse.nii.gz")
    touch(tmp_path / "p2" / "IM1", DICOM)
    scans = {scan.subject_id: scan for scan in discover_scans(tmp_path)}
    assert scans["p1"].image == tmp_path / "p1"
    assert scans["p1"].segmentation == labels
    assert scans["p2"].segmentation is None
