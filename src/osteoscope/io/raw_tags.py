"""Values of DICOM elements from their undecoded bytes, without a library's opinion of them."""

from __future__ import annotations

import math
import re
import struct
from typing import Any

import pydicom
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

TAGS: tuple[str, ...] = (
    "SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "Modality",
    "SeriesDescription", "SeriesInstanceUID", "SeriesNumber", "StudyInstanceUID",
    "AcquisitionNumber",
    "TemporalPositionIdentifier", "InstanceNumber", "PatientName", "PatientID",
    "PatientBirthDate", "KVP", "ConvolutionKernel", "GantryDetectorTilt", "XRayTubeCurrent",
    "Exposure", "SliceThickness", "LossyImageCompression", "ImagePositionPatient",
    "ImageOrientationPatient", "PixelSpacing",
    "SamplesPerPixel", "NumberOfFrames", "Rows", "Columns", "BitsAllocated", "BitsStored",
    "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit",
    "RescaleIntercept", "RescaleSlope", "RescaleType", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)  # fmt: skip
_TAG = {keyword: tag_for_keyword(keyword) for keyword in TAGS}
WANTED_TAGS: list[Any] = [tag for tag in _TAG.values() if tag is not None]


class RawTags:
    """Answers for DICOM keywords from undecoded bytes, in plain Python types.

    pydicom's own conversion is several times slower, and it warns with the value where a value
    breaks the standard. An empty or unreadable value is None.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        charset = self._bytes("SpecificCharacterSet").decode("ascii", "replace")
        self._encoding = "utf-8" if "192" in charset else "latin-1"

    def _element(self, keyword: str) -> Any:
        tag = _TAG.get(keyword) or tag_for_keyword(keyword)
        try:
            return None if tag is None else self._dataset.get_item(tag)
        except Exception:  # an empty element of an unknown type is converted, and that fails
            return None

    def _bytes(self, keyword: str) -> bytes:
        element = self._element(keyword)
        value = None if element is None else element.value
        if isinstance(value, bytes):
            return value
        if value is None:
            return b""
        parts = value if isinstance(value, list | tuple) or _is_multi(value) else [value]
        return "\\".join(str(part) for part in parts).encode("latin-1", "replace")

    def text(self, keyword: str) -> str | None:
        """The first value as text."""
        values = self.texts(keyword)
        return values[0] if values else None

    def free_text(self, keyword: str) -> str | None:
        """The first value as text, without the words of the patient's name and number."""
        text = self.text(keyword)
        return None if text is None else redacted(text, identifying_words(self))

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Every value as text."""
        decoded = self._bytes(keyword).decode(self._encoding, "replace")
        values = (part.strip("\x00 \r\n\t") for part in decoded.split("\\"))
        return tuple(part for part in values if part)

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """Decimal strings as floats; empty where one of them is not a finite number."""
        try:
            values = tuple(float(part) for part in self._bytes(keyword).split(b"\\"))
        except ValueError:
            return ()
        return values if all(map(math.isfinite, values)) else ()

    def number(self, keyword: str) -> float | None:
        """The first decimal string as a float."""
        values = self.numbers(keyword)
        return values[0] if values else None

    def integer(self, keyword: str, *, signed: bool = False) -> int | None:
        """A 16-bit integer, read by the signedness that the caller knows rather than by its VR."""
        element = self._element(keyword)
        value = None if element is None else element.value
        if isinstance(value, int):
            return value
        if not isinstance(value, bytes) or len(value) < 2:
            return None
        order = "<" if getattr(element, "is_little_endian", True) else ">"
        return int(struct.unpack(order + ("h" if signed else "H"), value[:2])[0])


def _is_multi(value: object) -> bool:
    return isinstance(value, pydicom.multival.MultiValue)


def redacted(text: str, forbidden: tuple[str, ...]) -> str:
    """``text`` with every word of ``forbidden`` replaced by an ellipsis, whatever its case."""
    for word in forbidden:
        text = re.sub(re.escape(word), "…", text, flags=re.IGNORECASE)
    return text


def identifying_words(tags: RawTags) -> tuple[str, ...]:
    """Words of the patient's name and number that no text of a summary may repeat."""
    words: list[str] = []
    for keyword in ("PatientName", "PatientID"):
        for text in tags.texts(keyword):
            words += [word for word in re.split(r"[\^=\s,]+", text) if len(word) >= 3]
    return tuple(sorted(set(words), key=len, reverse=True))
