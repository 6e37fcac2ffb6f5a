"""One simulated patient as files: DICOM and NIfTI, labels in three schemes, the truth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osteoscope.core.errors import InputError
from osteoscope.core.volume import Acquisition
from osteoscope.io.dicom_write import write_ct_series
from osteoscope.io.image_files import write_labels, write_volume
from osteoscope.simulation.label_faults import Planted
from osteoscope.simulation.render import SimulatedPatient

FORMATS = ("dicom", "nifti")
DICOM_FOLDER = "dicom"
IMAGE_NAME = "ct.nii.gz"
SEGMENTATION_NAME = "labels_totalsegmentator.nii.gz"
VERSE_NAME = "labels_verse.nii.gz"
SUBREGIONS_NAME = "subregions.nii.gz"
TRUTH_NAME = "truth.json"


@dataclass(frozen=True)
class PatientFiles:
    """Where a simulated patient was written.

    Args:
        folder: The patient's folder.
        dicom: The DICOM series' folder, or None.
        image: The NIfTI file, or None.
        segmentation: Labels in TotalSegmentator's scheme.
        verse: Labels in VerSe's scheme.
        subregions: TPTBox subregions.
        truth: The truth as JSON.
    """

    folder: Path
    dicom: Path | None
    image: Path | None
    segmentation: Path
    verse: Path
    subregions: Path
    truth: Path


def write_patient(
    folder: Path,
    simulated: SimulatedPatient,
    *,
    patient_id: str,
    formats: Sequence[str] = FORMATS,
    extra_planted: Planted = (),
) -> PatientFiles:
    """Write a simulated patient; the same patient gives the same bytes.

    Args:
        folder: Created if missing.
        simulated: From :func:`osteoscope.simulation.render.simulate_patient`.
        patient_id: Patient ID in the DICOM files and seed of their UIDs.
        formats: ``dicom``, ``nifti`` or both.
        extra_planted: Flags planted after rendering, by label faults.

    Raises:
        InputError: No format, or an unknown one.
    """
    unknown = [f for f in formats if f not in FORMATS]
    if unknown or not formats:
        raise InputError(f"Scans are written as dicom or nifti, not {list(formats)}.")
    folder.mkdir(parents=True, exist_ok=True)
    dicom = image = None
    if "dicom" in formats:
        dicom = folder / DICOM_FOLDER
        write_ct_series(dicom, simulated.volume, uid_seed=patient_id, patient_id=patient_id)
    if "nifti" in formats:
        image = folder / IMAGE_NAME
        write_volume(image, simulated.volume)
        _write_json(folder / "ct.json", sidecar(simulated.volume.acquisition))
    for name, labels in (
        (SEGMENTATION_NAME, simulated.labels),
        (VERSE_NAME, simulated.verse),
        (SUBREGIONS_NAME, simulated.subregions),
    ):
        write_labels(folder / name, labels.array, labels.grid)
    truth = simulated.truth.as_dict()
    truth["planted"] += [list(p) for p in extra_planted]
    _write_json(folder / TRUTH_NAME, truth)
    return PatientFiles(
        folder, dicom, image, folder / SEGMENTATION_NAME, folder / VERSE_NAME,
        folder / SUBREGIONS_NAME, folder / TRUTH_NAME,
    )  # fmt: skip


def sidecar(facts: Acquisition) -> dict[str, Any]:
    """The acquisition by DICOM keyword, as dcm2niix writes it; unknown facts are left out."""
    table = {
        "Modality": "CT",
        "Manufacturer": facts.manufacturer,
        "ManufacturersModelName": facts.scanner_model,
        "SeriesDescription": facts.series_description,
        "ImageComments": "SIMULATED by osteoscope; not a patient" if facts.simulated else None,
        "KVP": facts.kvp,
        "ConvolutionKernel": facts.kernel,
        "ContrastBolusAgent": facts.contrast_agent,
        "SliceThickness": facts.slice_thickness_mm,
        "XRayTubeCurrent": facts.tube_current_ma,
        "XRayExposure": facts.exposure_mas,
        "PatientPosition": facts.patient_position,
        "ReconstructionDiameter": facts.reconstruction_diameter_mm,
        "PatientAge": None
        if facts.patient_age_years is None
        else f"{int(facts.patient_age_years):03d}Y",
        "PatientSex": facts.patient_sex,
        "Simulated": True if facts.simulated else None,
    }
    return {key: value for key, value in table.items() if value is not None}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
