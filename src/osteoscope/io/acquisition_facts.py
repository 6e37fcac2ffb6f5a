"""How a scan was made: from a DICOM header, or from the JSON file beside a NIfTI."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from osteoscope.core.volume import Acquisition

_MAX_SIDECAR_BYTES = 1024**2
_NO_AGENT = re.compile(
    r"^\W*(no|non|none|not|without|w/?o|ohne|kein|keine|nativ|native|sans|unenhanced|n/?a|0)\b",
    re.I,
)
_UNKNOWN = {"", "unknown", "anonymous", "anonymized", "removed", "null", "none given"}
_AGE = re.compile(r"^(\d{1,3})([DWMY])$")
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}


def acquisition_from_lookup(look: Callable[[str], Any]) -> Acquisition:
    """Facts from anything that answers a DICOM keyword with a value or None.

    Args:
        look: Returns the value of a DICOM keyword; None, "" and an empty list are *unknown*.
    """
    agent = contrast_text(look)
    return Acquisition(
        kvp=_positive(look("KVP")),
        kernel=_text(look("ConvolutionKernel")),
        contrast_agent=agent,
        contrast_enhanced=None if agent is None else not _NO_AGENT.match(agent),
        slice_thickness_mm=_positive(look("SliceThickness")),
        tube_current_ma=_positive(look("XRayTubeCurrent")),
        exposure_mas=_positive(look("Exposure")),
        manufacturer=_text(look("Manufacturer")),
        scanner_model=_text(look("ManufacturerModelName")),
        patient_position=_text(look("PatientPosition")),
        reconstruction_diameter_mm=_positive(look("ReconstructionDiameter")),
        series_description=_text(look("SeriesDescription")),
        patient_age_years=age_years(look("PatientAge"))
        or age_at(look("PatientBirthDate"), look("StudyDate")),
        patient_sex=_sex(look("PatientSex")),
        simulated=_simulated(look),
    )


def sidecar_acquisition(image_path: Path, stem: str) -> tuple[Acquisition, tuple[str, ...]]:
    """Facts from ``<stem>.json`` beside an image, as dcm2niix writes it.

    Args:
        image_path: The image file.
        stem: Its name without the image suffix.

    Returns:
        The facts, all unknown where there is no such file, and notes.
    """
    path = image_path.with_name(stem + ".json")
    if not path.is_file():
        return Acquisition(), ()
    try:
        if path.stat().st_size > _MAX_SIDECAR_BYTES:
            raise ValueError
        facts = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(facts, dict):
            raise ValueError
    except (OSError, ValueError, RecursionError):
        return Acquisition(), (
            "The JSON file beside the image is not a readable object of acquisition facts and "
            "was not used.",
        )
    renamed: Mapping[str, str] = {
        "ManufacturerModelName": "ManufacturersModelName",
        "ReconstructionDiameter": "ReconstructionDiameter",
        "Exposure": "XRayExposure",
    }

    def look(keyword: str) -> Any:
        return facts.get(renamed.get(keyword, keyword), facts.get(keyword))

    return acquisition_from_lookup(look), ("Acquisition facts come from the JSON file beside it.",)


def age_years(value: Any) -> float | None:
    """Years of a DICOM age such as ``067Y``, ``18M`` or a number; None where it says nothing."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if 0 < value < 130 else None
    match = _AGE.match(str(value or "").strip().upper())
    if match is None:
        return None
    years = int(match.group(1)) * _YEARS[match.group(2)]
    return years if 0 < years < 130 else None


def age_at(born: Any, studied: Any) -> float | None:
    """Whole years from one DICOM date (YYYYMMDD) to another; None unless both are dates.

    For headers without an age: an adult's criterion must not be put to a child.
    """
    dates = []
    for value in (born, studied):
        try:
            dates.append(datetime.strptime(str(value or "").strip(), "%Y%m%d"))
        except ValueError:
            return None
    first, last = dates
    years = last.year - first.year - ((last.month, last.day) < (first.month, first.day))
    return float(years) if 0 <= years < 130 else None


def contrast_text(look: Callable[[str], Any]) -> str | None:
    """The text of the contrast fields; None where they are absent or empty."""
    agent = _text(look("ContrastBolusAgent"))
    if agent is None:
        agent = _text(look("ContrastBolusIngredient"))
    return agent


def _first(value: Any) -> Any:
    """The first of several values: Siemens writes a kernel as ``Br38f`` and its strength."""
    if isinstance(value, str):
        return value.split("\\")[0]
    if not hasattr(value, "__iter__"):
        return value
    return next(iter(value), None)


def _text(value: Any) -> str | None:
    text = str(_first(value) if _first(value) is not None else "").strip()
    return None if text.lower() in _UNKNOWN else text


def _positive(value: Any) -> float | None:
    """A number above zero; a tube voltage or thickness of 0 means that it was not filled in."""
    try:
        number = float(_first(value))
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def _sex(value: Any) -> Literal["F", "M", "O"] | None:
    text = str(value or "").strip().upper()[:1]
    return text if text in ("F", "M", "O") else None  # type: ignore[return-value]


def _simulated(look: Callable[[str], Any]) -> bool:
    if look("Simulated") is True:
        return True
    maker = str(look("Manufacturer") or "").strip().lower()
    comments = str(look("ImageComments") or "").upper()
    equipment = str(look("ContributingEquipment") or "").lower()
    return (
        maker == "osteoscope simulator"
        or "SIMULATED" in comments
        or "osteoscope simulator" in equipment
    )
