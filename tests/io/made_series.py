"""DICOM series that the tests write with pydicom alone, so that the truth is theirs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def texture(points_lps_mm: np.ndarray) -> np.ndarray:
    """HU, whole numbers, that differ along every axis of the world: no flip looks alike."""
    x, y, z = np.moveaxis(points_lps_mm, -1, 0)
    return np.rint(-200 + 3 * x + 5 * y + 7 * z).astype(np.int32)


@dataclass(frozen=True)
class Made:
    """A series to write; each default is an ordinary axial CT."""

    n: int = 12
    rows: int = 10
    columns: int = 14
    orientation: tuple[float, ...] = AXIAL
    spacing: tuple[float, float] = (0.9, 0.7)
    step: float = 1.5
    origin: tuple[float, float, float] = (-20.0, 15.0, -30.0)
    tilt_drift: float = 0.0
    """Sideways drift of each slice along increasing rows, mm."""
    signed: bool = False
    bits_stored: int = 12
    slope: float = 1.0
    intercept: float = -1024.0
    uid: str = "1.2.826.0.1.3680043.8.498.1"
    tags: dict[str, Any] = field(default_factory=dict)
    """Set on every slice; None deletes."""
    per_slice: Callable[[int, FileDataset], None] | None = None
    values: Callable[[np.ndarray], np.ndarray] = texture

    @property
    def normal(self) -> np.ndarray:
        return np.cross(self.orientation[:3], self.orientation[3:])

    def positions(self) -> np.ndarray:
        step = self.step * self.normal + self.tilt_drift * np.array(self.orientation[3:])
        return np.array(self.origin) + np.arange(self.n)[:, None] * step

    def points(self, k: int) -> np.ndarray:
        """(rows, columns, 3) LPS mm of the pixels of slice ``k``."""
        row, column = np.array(self.orientation[:3]), np.array(self.orientation[3:])
        j, i = np.mgrid[: self.rows, : self.columns]
        return (
            self.positions()[k]
            + j[..., None] * self.spacing[0] * column
            + i[..., None] * self.spacing[1] * row
        )

    def hu(self, k: int) -> np.ndarray:
        return self.values(self.points(k))


def header(made: Made, k: int) -> FileDataset:
    """One slice without pixels."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = f"{made.uid}.{k + 1}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, f"{made.uid}.{k + 1}"
    ds.Modality, ds.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SeriesInstanceUID, ds.StudyInstanceUID = made.uid, "1.2.826.0.1.3680043.8.498.99"
    ds.SeriesNumber = 2
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = "", "", ""
    ds.InstanceNumber = made.n - k
    ds.ImagePositionPatient = [f"{v:.9g}" for v in made.positions()[k]]
    ds.ImageOrientationPatient = [f"{v:.9g}" for v in made.orientation]
    ds.PixelSpacing = list(made.spacing)
    ds.Rows, ds.Columns, ds.SamplesPerPixel = made.rows, made.columns, 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, made.bits_stored, made.bits_stored - 1
    ds.PixelRepresentation = int(made.signed)
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = made.slope, made.intercept, "HU"
    ds.KVP, ds.ConvolutionKernel, ds.SliceThickness = 120, "Br40", made.step
    return ds


def stored_values(made: Made, k: int) -> np.ndarray:
    values = np.rint((made.hu(k) - made.intercept) / made.slope)
    return values.astype(np.int16 if made.signed else np.uint16)


def write_series(folder: Path, made: Made | None = None, skip: Sequence[int] = ()) -> Made:
    """Write the slices under names whose order is not theirs; returns what was written."""
    made = made or Made()
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(made.n):
        if k in skip:
            continue
        ds = header(made, k)
        ds.PixelData = stored_values(made, k).tobytes()
        for keyword, value in made.tags.items():
            if value is None:
                delattr(ds, keyword)
            else:
                setattr(ds, keyword, value)
        if made.per_slice is not None:
            made.per_slice(k, ds)
        ds.save_as(folder / f"im{(k * 7919) % 10007:05d}", enforce_file_format=True)
    return made


def write_enhanced(path: Path, made: Made, frame_order: Sequence[int]) -> None:
    """One enhanced multi-frame file whose frames lie in ``frame_order``."""
    ds = header(made, 0)
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = EnhancedCTImageStorage
    for keyword in (
        "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope",
        "RescaleIntercept", "RescaleType", "KVP", "ConvolutionKernel", "SliceThickness",
    ):  # fmt: skip
        delattr(ds, keyword)
    ds.NumberOfFrames = len(frame_order)
    shared = Dataset()
    shared.PixelMeasuresSequence = Items([_item(PixelSpacing=list(made.spacing), SliceThickness=2)])
    shared.PlaneOrientationSequence = Items([_item(ImageOrientationPatient=list(made.orientation))])
    shared.CTReconstructionSequence = Items([_item(ConvolutionKernel="B30f")])
    shared.CTXRayDetailsSequence = Items([_item(KVP=100)])
    ds.SharedFunctionalGroupsSequence = Items([shared])
    frames, pixels = [], []
    for k in frame_order:
        frame = Dataset()
        position = [float(v) for v in made.positions()[k]]
        frame.PlanePositionSequence = Items([_item(ImagePositionPatient=position)])
        frame.CTImageFrameTypeSequence = Items([_item(FrameType=["ORIGINAL", "PRIMARY", "AXIAL"])])
        intercept = made.intercept - k  # each frame its own, so that a mix-up shows
        frame.PixelValueTransformationSequence = Items(
            [_item(RescaleSlope=1, RescaleIntercept=intercept, RescaleType="HU")]
        )
        frames.append(frame)
        pixels.append((made.hu(k) - intercept).astype(np.uint16))
    ds.PerFrameFunctionalGroupsSequence = Items(frames)
    ds.PixelData = np.stack(pixels).tobytes()
    ds.save_as(path, enforce_file_format=True)


def _item(**values: Any) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item
