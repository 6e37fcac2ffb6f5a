"""Which series is read, and how a person names another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from osteoscope.core.errors import InputError
from osteoscope.io.kernels import kernel_kind
from osteoscope.io.scan import list_series, read_scan
from tests.io.made_series import Made, write_series

CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


def small(number: int, description: str, **also: Any) -> Made:
    """A series of its own identifier, about 30 mm long."""
    tags = {"SeriesNumber": number, "SeriesDescription": description, **also.pop("tags", {})}
    return Made(rows=4, columns=4, uid=f"1.2.3.20240131.{number}", tags=tags, **also)


def study(folder: Path) -> None:
    """Every reason not to be chosen, and one series that suits."""

    def write(number: int, description: str, **also: Any) -> None:
        place = folder / "xyz"[number % 3] / str(number)
        write_series(place, small(number, description, **also))

    write(1, "Scout", n=2, tags={"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]})
    write(2, "Thick", n=10, step=5.0)
    write(3, "Soft thin", n=30, step=1.5)
    write(4, "Sharp thin", n=48, step=1.0, tags={"ConvolutionKernel": "B70s"})
    write(5, "Lung", n=48, step=1.0, tags={"ConvolutionKernel": "LUNG"})
    write(6, "Coronal", n=30, orientation=CORONAL)
    write(7, "Bolus", n=10, step=0.5)
    write(8, "MR", n=12, tags={"Modality": "MR"})
    write(9, "Reformatted", n=48, step=1.0, tags={"ImageType": ["DERIVED", "SECONDARY", "MPR"]})
    write(10, "MIP", n=40, step=1.0, tags={"ImageType": ["DERIVED", "PRIMARY", "MIP"]})
    write(11, "Few", n=3, step=12.0)
    report = Dataset()
    report.Modality, report.SeriesInstanceUID = "SR", "1.2.3.12"
    report.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.22"
    report.save_as(folder / "report", implicit_vr=True, little_endian=True)
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + bytes(40))
    (folder / "notes.txt").write_text("not DICOM")
    (folder / "thumbs.db").write_bytes(bytes(range(256)) * 4)


def test_the_series_that_suits_is_chosen_and_the_others_say_why(tmp_path: Path) -> None:
    study(tmp_path)
    reading = read_scan(tmp_path)
    assert reading.chosen.description == "Soft thin"
    assert reading.chosen.reason.startswith("axial, original, 30 slices every 1.50 mm, soft kernel")
    reasons = {other.description: other.reason for other in reading.others}
    assert reasons == {
        "Scout": "localizer",
        "Thick": "thick slices (5 mm)",
        "Sharp thin": "sharp kernel",
        "Lung": "lung kernel",
        "Coronal": "not axial",
        "Bolus": "covers less than half of the longest series",
        "MR": "not CT (MR)",
        "Reformatted": "derived from other images",
        "MIP": "projection or rendering",
        "Few": "too few slices (3)",
    }
    assert any("not DICOM were ignored" in note for note in reading.notes)


def test_a_series_is_asked_for_by_key_identifier_or_description(tmp_path: Path) -> None:
    study(tmp_path)
    keys = {s.description: s.key for s in list_series(tmp_path)}
    assert list_series(tmp_path)[0].description == "Soft thin"
    for wanted in (keys["Coronal"], keys["Coronal"].split("-")[0], "1.2.3.20240131.6", "corona"):
        reading = read_scan(tmp_path, series=wanted)
        assert reading.chosen.description == "Coronal"
        assert reading.chosen.reason == "asked for"
        assert {o.reason for o in reading.others} >= {"another was asked for", "localizer"}
    assert read_scan(tmp_path, series="Few").volume.array.shape == (3, 4, 4)


def test_an_unknown_or_ambiguous_series_lists_the_keys(tmp_path: Path) -> None:
    study(tmp_path)
    keys = [s.key for s in list_series(tmp_path)]
    with pytest.raises(InputError, match=r"No series is meant .* known: ") as caught:
        read_scan(tmp_path, series="pelvis")
    assert all(key in str(caught.value) for key in keys)
    with pytest.raises(InputError, match="2 series are meant"):
        read_scan(tmp_path, series="thin")
    with pytest.raises(InputError, match="cannot be read: localizer"):
        read_scan(tmp_path, series="scout")


def test_keys_are_stable_and_do_not_show_the_identifier(tmp_path: Path) -> None:
    study(tmp_path / "a")
    (tmp_path / "b").mkdir()
    before = sorted(s.key for s in list_series(tmp_path / "a"))
    for folder in "xyz":
        (tmp_path / "a" / folder).rename(tmp_path / "b" / f"moved-{folder}")
    keys = sorted(s.key for s in list_series(tmp_path / "b"))
    assert [key.split("-")[0] for key in sorted(keys, key=lambda k: int(k.split("-")[0]))] == [
        str(n) for n in range(1, 12)
    ]
    assert not any("2024" in key for key in keys)
    assert keys == before


def test_a_localizer_inside_the_series_is_left_out(tmp_path: Path) -> None:
    def scout(k: int, ds: Any) -> None:
        if k == 0:
            ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
            ds.ImageOrientationPatient = list(CORONAL)

    write_series(tmp_path, Made(n=13, per_slice=scout))
    reading = read_scan(tmp_path)
    assert reading.volume.array.shape[0] == 12
    assert [o.reason for o in reading.others] == ["localizer"]


def test_two_phases_under_one_identifier_are_two_series(tmp_path: Path) -> None:
    for phase in (1, 2):
        write_series(
            tmp_path / str(phase), Made(rows=4, columns=4, tags={"AcquisitionNumber": phase})
        )
    reading = read_scan(tmp_path)
    assert reading.volume.array.shape[0] == 12
    assert [o.reason for o in reading.others] == ["equal to the chosen one, which comes first"]
    assert reading.chosen.key != reading.others[0].key
    other = read_scan(tmp_path, series=reading.others[0].key)
    assert other.chosen.key == reading.others[0].key


def test_two_planes_under_one_identifier_are_two_series(tmp_path: Path) -> None:
    write_series(tmp_path / "a", Made(rows=4, columns=4))
    write_series(tmp_path / "b", Made(rows=4, columns=4, orientation=CORONAL))
    reading = read_scan(tmp_path)
    assert reading.chosen.plane == "axial"
    assert [(o.plane, o.reason) for o in reading.others] == [("coronal", "not axial")]


@pytest.mark.parametrize(
    ("tags", "match"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "only 12 x localizer"),
        ({"Modality": "PT"}, r"only 12 x not CT \(PT\)"),
        ({"ImagePositionPatient": None, "ImageOrientationPatient": None,
          "ImageType": ["DERIVED", "SECONDARY"]}, "dose sheet or screen capture"),
    ],
)  # fmt: skip
def test_folders_without_ct_slices_are_refused(
    tmp_path: Path, tags: dict[str, Any], match: str
) -> None:
    write_series(tmp_path, Made(tags=tags))
    with pytest.raises(InputError, match=match):
        read_scan(tmp_path)
    assert [s.n_slices for s in list_series(tmp_path)] == [12]  # still listed, with the reason


def test_too_few_slices_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path, Made(n=4))
    with pytest.raises(InputError, match="Too few slices: the longest series has 4"):
        read_scan(tmp_path)
    with pytest.raises(InputError, match="Too few slices: the longest series has 1"):
        read_scan(next(tmp_path.iterdir()))


def test_several_studies_and_gaps_between_slices_are_noted(tmp_path: Path) -> None:
    write_series(tmp_path / "a", small(1, "Old", tags={"StudyInstanceUID": "1.2.3.1"}))
    assert read_scan(tmp_path).notes == ()
    gaps = {"StudyInstanceUID": "1.2.3.2", "SliceThickness": 1.0}
    write_series(tmp_path / "b", small(2, "New", n=20, tags=gaps))
    reading = read_scan(tmp_path, series="New")
    assert any("holds 2 studies of the patient" in note for note in reading.notes)
    assert any("Slices of 1 mm lie every 1.50 mm" in note for note in reading.notes)


def test_nothing_to_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_scan(tmp_path / "absent")
    with pytest.raises(InputError, match="holds no files"):
        read_scan(tmp_path)
    (tmp_path / "letter.txt").write_text("hello")
    with pytest.raises(InputError, match="No DICOM file and no image file"):
        read_scan(tmp_path)
    report = Dataset()
    report.Modality, report.SeriesInstanceUID = "SR", "1.2.3.12"
    report.save_as(tmp_path / "report", implicit_vr=True, little_endian=True)
    with pytest.raises(InputError, match="only DICOM files without images"):
        read_scan(tmp_path)


@pytest.mark.parametrize(
    ("kernel", "kind"),
    [("Br38f", "soft"), ("B30f", "soft"), ("I31f", "soft"), ("Hr40", "soft"), ("B60s", "sharp"),
     ("B70f", "sharp"), ("Br64d", "sharp"), ("Bl57", "lung"), ("STANDARD", "soft"),
     ("SOFT", "soft"), ("BONE", "sharp"), ("BONEPLUS", "sharp"), ("LUNG", "lung"),
     ("EDGE", "sharp"), ("FC08", "soft"), ("FC13", "soft"), ("FC30", "sharp"), ("FC51", "lung"),
     ("B", "soft"), ("C", "soft"), ("YA", "sharp"), ("L", "lung"), ("", "unknown"),
     (None, "unknown"), ("wxyz", "unknown")],
)  # fmt: skip
def test_kernel_names(kernel: str | None, kind: str) -> None:
    assert kernel_kind(kernel) == kind


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.text(max_size=12))
def test_any_kernel_name_has_a_kind(kernel: str) -> None:
    assert kernel_kind(kernel) in ("soft", "sharp", "lung", "unknown")
