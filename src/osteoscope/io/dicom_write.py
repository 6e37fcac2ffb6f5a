"""Write a CT volume as a DICOM series: one CT Image Storage file a slice, in any orientation."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pydicom.valuerep import DSfloat, format_number_as_ds

from osteoscope.core.errors import InputError
from osteoscope.core.volume import Volume

RESCALE_INTERCEPT = -1024
BODY_PART = "TLSPINE"
"""An unpaired part, so that no laterality is due."""
_NAMESPACE = uuid.UUID("6f1d6c1e-5a0e-5f0c-9d8e-0f7a5c0b7e11")
_UNCOMPRESSED = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)


def write_ct_series(
    folder: Path,
    volume: Volume,
    *,
    uid_seed: str,
    patient_id: str,
    description: str | None = None,
    transfer_syntax: str = ExplicitVRLittleEndian,
) -> list[Path]:
    """Write one file a slice; array axis 0 is the slice axis, position follows the affine.

    Stored values are HU + 1024, signed 16 bit. Facts of the acquisition that are None are written
    as empty tags or left out, as real scanners do. The same arguments give the same bytes.

    Args:
        folder: Created if missing; gets ``0001.dcm`` ....
        volume: HU, whole numbers from -31744 to 31743.
        uid_seed: All UIDs (2.25.…) follow from it.
        patient_id: Patient ID; also the patient's name.
        description: Series description; default from the acquisition.
        transfer_syntax: UID of the transfer syntax; compressed ones need pydicom's encoders.

    Returns:
        The files, in slice order.

    Raises:
        InputError: The volume is not in HU, holds fractions, does not fit 16 bits or cannot be
            encoded in the transfer syntax.
    """
    stored, padding = _stored_values(volume)
    folder.mkdir(parents=True, exist_ok=True)
    common = _common(volume, uid_seed, patient_id, description)
    if padding is not None:
        common.PixelPaddingValue = padding
    paths = []
    for k in range(stored.shape[0]):
        dataset = _slice(common, volume, stored[k], k, uid_seed)
        syntax = UID(transfer_syntax)
        plain = syntax if syntax in _UNCOMPRESSED else ExplicitVRLittleEndian
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.file_meta.TransferSyntaxUID = plain
        if syntax not in _UNCOMPRESSED:
            _compress(dataset, syntax)
        path = folder / f"{k + 1:04d}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def _compress(dataset: Dataset, syntax: UID) -> None:
    try:
        dataset.compress(syntax, generate_instance_uid=False)
    except (RuntimeError, NotImplementedError, ValueError):
        raise InputError(
            f"Slices cannot be encoded in transfer syntax {syntax}; choose explicit little endian "
            "(1.2.840.10008.1.2.1)."
        ) from None


def _stored_values(volume: Volume) -> tuple[NDArray[np.int16], int | None]:
    """Signed 16-bit stored values and the stored padding value."""
    if volume.unit != "HU":
        raise InputError(f"A CT series holds HU, not {volume.unit}; convert the volume first.")
    array = volume.array
    if not np.issubdtype(array.dtype, np.integer) and not np.array_equal(array, np.rint(array)):
        raise InputError("A CT series holds whole HU; round the volume before writing it.")
    low, high = int(array.min()), int(array.max())
    limits = np.iinfo(np.int16)
    if low - RESCALE_INTERCEPT < limits.min or high - RESCALE_INTERCEPT > limits.max:
        raise InputError(f"HU from {low} to {high} do not fit a 16-bit CT image; clip them.")
    stored = array.astype(np.int16) - np.int16(RESCALE_INTERCEPT)
    padding = None if volume.padding is None else int(volume.padding) - RESCALE_INTERCEPT
    return stored, padding


def _uid(seed: str, *parts: str) -> str:
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(31).join((seed, *parts))).int}"


def _common(volume: Volume, uid_seed: str, patient_id: str, description: str | None) -> Dataset:
    """What all slices share: patient, study, series, equipment and acquisition."""
    facts = volume.acquisition
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = CTImageStorage
    ds.Modality = "CT"
    ds.PatientName = f"{patient_id}^"
    ds.PatientID = patient_id
    ds.PatientBirthDate = ""
    ds.PatientSex = facts.patient_sex or ""
    if facts.patient_age_years is not None:
        ds.PatientAge = f"{int(facts.patient_age_years):03d}Y"
    ds.StudyInstanceUID = _uid(uid_seed, "study")
    ds.StudyDate = ds.StudyTime = ds.AccessionNumber = ds.ReferringPhysicianName = ""
    ds.StudyID = "1"
    ds.SeriesInstanceUID = _uid(uid_seed, "series")
    ds.SeriesNumber = 1
    ds.FrameOfReferenceUID = _uid(uid_seed, "frame")
    ds.PositionReferenceIndicator = ""
    ds.BodyPartExamined = BODY_PART
    ds.PatientPosition = facts.patient_position or ""
    text = description or facts.series_description
    if text is not None:
        ds.SeriesDescription = text
    ds.Manufacturer = facts.manufacturer or ""
    if facts.scanner_model is not None:
        ds.ManufacturerModelName = facts.scanner_model
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    if facts.simulated:
        ds.ImageComments = "SIMULATED by osteoscope; not a patient"
        ds.StudyDescription = "SIMULATED"
    _acquisition(ds, volume)
    return ds


def _acquisition(ds: Dataset, volume: Volume) -> None:
    """CT Image, Contrast/Bolus and Image Pixel modules."""
    facts, shape = volume.acquisition, volume.grid.shape
    ds.AcquisitionNumber = 1
    ds.KVP = None if facts.kvp is None else DSfloat(facts.kvp, auto_format=True)
    if facts.kernel is not None:
        ds.ConvolutionKernel = facts.kernel
    if facts.contrast_agent is not None:
        ds.ContrastBolusAgent = facts.contrast_agent
    if facts.tube_current_ma is not None:
        ds.XRayTubeCurrent = round(facts.tube_current_ma)
    if facts.exposure_mas is not None:
        ds.Exposure = round(facts.exposure_mas)
    if facts.reconstruction_diameter_mm is not None:
        ds.ReconstructionDiameter = DSfloat(facts.reconstruction_diameter_mm, auto_format=True)
    ds.RescaleIntercept = RESCALE_INTERCEPT
    ds.RescaleSlope = 1
    ds.RescaleType = "HU"
    ds.WindowCenter, ds.WindowWidth = 50, 400
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = shape[1], shape[2]
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = 1
    ds.BurnedInAnnotation = "NO"


def _slice(
    common: Dataset, volume: Volume, stored: NDArray[np.int16], k: int, uid_seed: str
) -> Dataset:
    """The dataset of slice ``k``."""
    ds = Dataset()
    ds.update(common)
    grid = volume.grid
    spacing = grid.spacing_mm
    ds.SOPInstanceUID = _uid(uid_seed, "instance", str(k))
    ds.InstanceNumber = k + 1
    ds.ImagePositionPatient = _decimals(grid.index_to_world_mm(np.array([k, 0.0, 0.0])))
    cosines = np.concatenate([grid.directions[:, 2], grid.directions[:, 1]])
    ds.ImageOrientationPatient = _decimals(cosines)
    ds.PixelSpacing = _decimals(spacing[1:])
    thickness = volume.acquisition.slice_thickness_mm
    ds.SliceThickness = None if thickness is None else DSfloat(thickness, auto_format=True)
    ds.SpacingBetweenSlices = DSfloat(float(spacing[0]), auto_format=True)
    ds.PixelData = stored.tobytes()
    ds["PixelData"].VR = "OW"
    return ds


def _decimals(values: NDArray[np.float64]) -> list[str]:
    """Decimal strings of at most 16 characters; minus zero becomes zero."""
    return [format_number_as_ds(float(v) + 0.0 if abs(v) > 1e-12 else 0.0) for v in values]
