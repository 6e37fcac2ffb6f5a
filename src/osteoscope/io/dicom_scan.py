"""One CT series out of many DICOM files: headers, choice, order, pixels, facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from osteoscope.core.errors import GeometryError, InputError
from osteoscope.core.volume import Acquisition, Volume
from osteoscope.io.acquisition_facts import acquisition_from_lookup
from osteoscope.io.dicom_frames import Frame
from osteoscope.io.dicom_geometry import Stack, stack_slices
from osteoscope.io.dicom_headers import FileHeader, read_file_header
from osteoscope.io.dicom_pixels import read_hounsfield
from osteoscope.io.dicom_series import Series, check_one_patient, group_series
from osteoscope.io.gantry_tilt import straighten
from osteoscope.io.hu_values import AIR_HU, check_hounsfield
from osteoscope.io.raw_tags import RawTags, identifying_words, redacted
from osteoscope.io.series_choice import Choice, choose_series, summarise
from osteoscope.io.series_summary import Identity, SeriesSummary

_TILT_AGREES_DEGREES = 1.0
_GAP = 1.1
"""Slices whose distance is over this many thicknesses leave gaps."""


@dataclass(frozen=True, eq=False)
class DicomScan:
    """A DICOM series as read."""

    volume: Volume
    chosen: SeriesSummary
    others: tuple[SeriesSummary, ...]
    notes: tuple[str, ...]
    identity: Identity | None


def read_dicom_scan(
    files: Sequence[Path], wanted: str | None = None, *, identify: bool = False
) -> DicomScan:
    """Read the series that suits, or the wanted one; see :func:`osteoscope.io.scan.read_scan`."""
    headers, ignored = _headers(files)
    choice = choose_series(_grouped(headers), wanted)
    notes = [f"{ignored} file(s) that are not DICOM were ignored."] if ignored else []
    studies = {header.tags.text("StudyInstanceUID") for header in headers} - {None}
    if len(studies) > 1:
        notes.append(
            f"The folder holds {len(studies)} studies of the patient; the series was chosen among "
            "all of them."
        )
    volume, said = _read_series(choice.series)
    chosen = replace(choice.chosen, slice_spacing_mm=float(volume.grid.spacing_mm[0]))
    identity = _identity(choice.series.frames[0].file.path) if identify else None
    return DicomScan(volume, chosen, choice.others, tuple(notes + said), identity)


def list_dicom_series(files: Sequence[Path]) -> tuple[SeriesSummary, ...]:
    """Every series, the one that would be chosen first; also where none of them suits."""
    all_series = _grouped(_headers(files)[0])
    try:
        choice: Choice = choose_series(all_series)
    except InputError:
        if not all_series:
            raise
        return tuple(
            summarise(s, s.role if s.role != "image" else f"too few slices ({len(s.frames)})")
            for s in all_series
        )
    return (choice.chosen, *choice.others)


def _headers(files: Sequence[Path]) -> tuple[list[FileHeader], int]:
    """Headers of the DICOM files, and how many other files there were."""
    files = [file for file in files if file.name.upper() != "DICOMDIR"]
    found = [read_file_header(file, n) for n, file in enumerate(files)]
    headers = [header for header in found if header is not None]
    if not headers:
        raise InputError(
            "No DICOM file and no image file (NIfTI, NRRD, MetaImage) was found; give the folder "
            "or file of a CT scan."
        )
    return headers, len(found) - len(headers)


def _grouped(headers: Sequence[FileHeader]) -> list[Series]:
    check_one_patient(headers)
    return group_series(headers)


def _read_series(series: Series) -> tuple[Volume, list[str]]:
    if series.problem is not None:
        raise series.problem
    if len(series.frames) < 2:
        raise GeometryError(
            f"Series {series.key} has one slice, so its spacing is unknown; give the folder with "
            "the whole series."
        )
    stack = stack_slices(series.frames)
    pixels = read_hounsfield(stack.frames)
    notes = [*pixels.notes, *check_hounsfield(pixels.array)]
    array, padding = pixels.array, pixels.padding
    if stack.sheared:
        array, grid = straighten(array, stack)
        padding = float(AIR_HU)
        notes.append(
            f"Gantry tilt of {stack.tilt_degrees:.1f} degrees was corrected by shifting each "
            "slice in its plane (linear interpolation)."
        )
    else:
        grid = stack.grid(array.shape[1], array.shape[2])
    notes += _tilt_notes(stack)
    notes += _gap_notes(stack)
    acquisition, said = _facts(stack.frames)
    return Volume(array, grid, "HU", acquisition, padding), notes + said


def _tilt_notes(stack: Stack) -> list[str]:
    stated = stack.frames[0].file.tags.number("GantryDetectorTilt")
    if stated is None:
        return []
    found = stack.tilt_degrees if stack.sheared else 0.0
    if abs(abs(stated) - found) <= _TILT_AGREES_DEGREES:
        return []
    return [
        f"The header states a gantry tilt of {stated:g} degrees where the positions of the slices "
        f"show {found:.1f}; the positions were believed."
    ]


def _gap_notes(stack: Stack) -> list[str]:
    thickness = stack.frames[0].thickness_mm
    if not thickness or stack.step_mm <= _GAP * thickness:
        return []
    return [
        f"Slices of {thickness:g} mm lie every {stack.step_mm:.2f} mm: what is between them was "
        "not imaged."
    ]


def _facts(frames: Sequence[Frame]) -> tuple[Acquisition, list[str]]:
    """Acquisition facts of the middle slice; what varies along the scan by its median."""
    middle = frames[len(frames) // 2]
    dataset = pydicom.dcmread(middle.file.path, stop_before_pixels=True, force=True)
    look = _Lookup(dataset, middle)
    notes: list[str] = []
    acquisition = acquisition_from_lookup(look)
    if len({f.kvp for f in frames}) > 1:
        notes.append("The tube voltage differs between slices and is taken as unknown.")
        acquisition = replace(acquisition, kvp=None)
    currents = [f.file.tags.number("XRayTubeCurrent") for f in frames]
    known = [value for value in currents if value is not None]
    if known and float(np.median(known)) > 0:
        acquisition = replace(acquisition, tube_current_ma=float(np.median(known)))
    if middle.file.tags.text("LossyImageCompression") == "01":
        notes.append("The pixels were compressed with loss.")
    return acquisition, notes


class _Lookup:
    """Answers for a DICOM keyword, from the data set or the frame's functional groups."""

    def __init__(self, dataset: Dataset, frame: Frame) -> None:
        self._tags = RawTags(dataset)
        self._words = identifying_words(self._tags)
        self._dataset = dataset
        self._frame = frame

    def __call__(self, keyword: str) -> Any:
        if keyword == "ConvolutionKernel":
            return self._frame.kernel
        if keyword == "KVP":
            return self._frame.kvp
        if keyword == "SliceThickness":
            return self._frame.thickness_mm
        if keyword == "ContributingEquipment":
            return self._contributing()
        text = self._tags.text(keyword)
        if text is None and keyword == "ContrastBolusAgent":
            text = self._agent_of_sequence()
        return None if text is None else redacted(text, self._words)

    def _contributing(self) -> str:
        items = self._dataset.get("ContributingEquipmentSequence") or []
        words = ("Manufacturer", "ManufacturerModelName", "ContributionDescription")
        return " ".join(str(item.get(word, "") or "") for item in items for word in words)

    def _agent_of_sequence(self) -> str | None:
        """Enhanced CT names its agent by a code."""
        for item in self._dataset.get("ContrastBolusAgentSequence") or []:
            meaning = item.get("CodeMeaning")
            if meaning:
                return str(meaning)
        return None


def _identity(path: Path) -> Identity:
    tags = RawTags(pydicom.dcmread(path, stop_before_pixels=True, force=True))
    return Identity(
        patient_name=tags.text("PatientName"),
        patient_id=tags.text("PatientID"),
        birth_date=tags.text("PatientBirthDate"),
        accession_number=tags.text("AccessionNumber"),
        study_date=tags.text("StudyDate"),
        study_uid=tags.text("StudyInstanceUID"),
        series_uid=tags.text("SeriesInstanceUID"),
    )
