"""One image of a series, whether it is a file of its own or a frame of an enhanced file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from osteoscope.core.errors import InputError
from osteoscope.io.dicom_headers import CT_CLASSES, FileHeader


@dataclass(frozen=True)
class Frame:
    """One image: where it lies, how its numbers become HU, and what kind it is.

    Args:
        file: The file that holds it.
        index: Its place among the file's frames.
        image_type: DICOM Image Type or Frame Type, upper case.
        position_mm: (x, y, z) LPS mm of the centre of the first pixel; None where unknown.
        orientation: Direction cosines of a row, then of a column; None where unknown.
        spacing_mm: (between rows, between columns), mm; None where unknown.
        rescale: (slope, intercept); None where either is missing.
        rescale_type: Unit after rescaling, upper case; None where the file does not say.
        kernel: Reconstruction kernel.
        kvp: Tube voltage, kV.
        thickness_mm: Nominal slice thickness.
        acquisition: What tells repeated acquisitions of one place apart.
    """

    file: FileHeader
    index: int
    image_type: tuple[str, ...]
    position_mm: tuple[float, float, float] | None
    orientation: tuple[float, float, float, float, float, float] | None
    spacing_mm: tuple[float, float] | None
    rescale: tuple[float, float] | None
    rescale_type: str | None
    kernel: str | None
    kvp: float | None
    thickness_mm: float | None
    acquisition: tuple[str, ...]

    @property
    def modality(self) -> str | None:
        """DICOM modality; ``CT`` also where only the SOP class says so."""
        stated = self.file.tags.text("Modality")
        if stated:
            return stated.upper()
        sop = self.file.tags.text("SOPClassUID") or str(
            getattr(self.file.dataset, "file_meta", {}).get("MediaStorageSOPClassUID", "")
        )
        return "CT" if sop in CT_CLASSES else None


def frames_of(header: FileHeader) -> list[Frame]:
    """Every image of a file that holds all the pixels that it claims.

    Raises:
        InputError: The functional groups of an enhanced file cannot be read.
    """
    if header.pixels is None or not header.complete:
        return []
    try:
        return _frames(header, header.pixels.n_frames)
    except Exception:  # pydicom raises many kinds on damaged groups, quoting their values
        raise InputError(
            "The functional groups of an enhanced DICOM file are damaged; export it again."
        ) from None


def _frames(header: FileHeader, n_frames: int) -> list[Frame]:
    per_frame = _sequence(header.dataset, "PerFrameFunctionalGroupsSequence")
    if per_frame:
        if len(per_frame) < n_frames:
            raise ValueError("a frame has no group of its own")
        shared = _sequence(header.dataset, "SharedFunctionalGroupsSequence")
        return [
            _enhanced_frame(header, n, (item, *shared[:1]))
            for n, item in enumerate(per_frame[:n_frames])
        ]
    return [_classic_frame(header, n) for n in range(n_frames)]


def _classic_frame(header: FileHeader, index: int) -> Frame:
    tags = header.tags
    slope, intercept = tags.number("RescaleSlope"), tags.number("RescaleIntercept")
    acquisition = (tags.text("AcquisitionNumber"), tags.text("TemporalPositionIdentifier"))
    kernel = tags.text("ConvolutionKernel")
    return Frame(
        file=header,
        index=index,
        image_type=tuple(part.upper() for part in tags.texts("ImageType")),
        position_mm=_triple(tags.numbers("ImagePositionPatient")),
        orientation=_six(tags.numbers("ImageOrientationPatient")),
        spacing_mm=_pair(tags.numbers("PixelSpacing")),
        rescale=None if slope is None or intercept is None else (slope, intercept),
        rescale_type=(tags.text("RescaleType") or "").upper() or None,
        kernel=kernel,
        kvp=tags.number("KVP"),
        thickness_mm=tags.number("SliceThickness"),
        acquisition=tuple(part or "" for part in (*acquisition, kernel)),
    )


def _enhanced_frame(header: FileHeader, index: int, groups: Sequence[Dataset]) -> Frame:
    """A frame whose facts lie in its own functional groups or in the shared ones."""

    def look(group: str, keyword: str) -> Any:
        for item in groups:
            inner = _sequence(item, group)
            if inner:
                value = inner[0].get(keyword)
                if value is not None and value != "":
                    return value
        return None

    def floats(group: str, keyword: str) -> tuple[float, ...]:
        values = look(group, keyword)
        many = values if hasattr(values, "__iter__") and not isinstance(values, str) else [values]
        try:
            numbers = tuple(float(v) for v in many)
        except (TypeError, ValueError):
            return ()
        return numbers if all(map(math.isfinite, numbers)) else ()

    def number(group: str, keyword: str) -> float | None:
        return next(iter(floats(group, keyword)), None)

    slope = number("PixelValueTransformationSequence", "RescaleSlope")
    intercept = number("PixelValueTransformationSequence", "RescaleIntercept")
    frame_type = look("CTImageFrameTypeSequence", "FrameType") or header.tags.texts("ImageType")
    kernel = look("CTReconstructionSequence", "ConvolutionKernel")
    if kernel is not None and not isinstance(kernel, str):
        kernel = next(iter(kernel), None)
    stated = look("PixelValueTransformationSequence", "RescaleType")
    order = ("FrameAcquisitionNumber", "TemporalPositionIndex", "StackID")
    return Frame(
        file=header,
        index=index,
        image_type=tuple(str(part).upper() for part in frame_type),
        position_mm=_triple(floats("PlanePositionSequence", "ImagePositionPatient")),
        orientation=_six(floats("PlaneOrientationSequence", "ImageOrientationPatient")),
        spacing_mm=_pair(floats("PixelMeasuresSequence", "PixelSpacing")),
        rescale=None if slope is None or intercept is None else (slope, intercept),
        rescale_type=None if stated is None else str(stated).upper(),
        kernel=None if kernel is None else str(kernel),
        kvp=number("CTXRayDetailsSequence", "KVP"),
        thickness_mm=number("PixelMeasuresSequence", "SliceThickness"),
        acquisition=tuple(str(look("FrameContentSequence", word) or "") for word in order),
    )


def _sequence(dataset: Dataset, keyword: str) -> Sequence[Dataset]:
    value = dataset.get(keyword)
    return [] if value is None or isinstance(value, bytes) else list(value)


def _triple(values: tuple[float, ...]) -> tuple[float, float, float] | None:
    return (values[0], values[1], values[2]) if len(values) == 3 else None


def _six(values: tuple[float, ...]) -> tuple[float, float, float, float, float, float] | None:
    if len(values) != 6:
        return None
    return values[0], values[1], values[2], values[3], values[4], values[5]


def _pair(values: tuple[float, ...]) -> tuple[float, float] | None:
    return (values[0], values[1]) if len(values) == 2 and min(values) > 0 else None
