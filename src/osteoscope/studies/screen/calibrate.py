"""The calibration that the user names: a table, a phantom's rods, or the patient's tissues."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from osteoscope.core.errors import InputError
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.volume import Volume
from osteoscope.densitometry.calibration.internal import fit_internal
from osteoscope.densitometry.calibration.line import MINERALS, Calibration
from osteoscope.densitometry.calibration.phantom import Rod, fit_phantom
from osteoscope.densitometry.calibration.table import (
    calibration_from_table,
    read_calibration_table,
)
from osteoscope.densitometry.calibration.tissue_samples import internal_tissues


def named_calibration(named: str | None, volume: Volume, labels: LabelMap) -> Calibration | None:
    """The calibration of a scan, or None where the user names none.

    Args:
        named: ``internal``; a TOML file with a ``[phantom]`` table (``name``, ``mineral`` and
            ``rods``, a list of ``{density_mg_cm3, hu}``); or a CSV or TOML calibration table.
        volume: The canonical scan.
        labels: Its canonical labels.

    Raises:
        InputError: The file cannot be read, or no row of the table is this scanner's.
        QualityError: The tissues or the rods fit no line.
    """
    if named is None:
        return None
    if named == "internal":
        return fit_internal(internal_tissues(volume, labels)).calibration
    path = Path(named)
    if not path.is_file():
        raise InputError(f"The calibration file {path.name} does not exist.")
    phantom = _phantom_of(path)
    if phantom is not None:
        return _fit(phantom, path.name)
    return calibration_from_table(read_calibration_table(path), volume.acquisition)


def _phantom_of(path: Path) -> dict[str, Any] | None:
    if path.suffix.lower() != ".toml":
        return None
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"The calibration file {path.name} cannot be read: {error}.") from None
    rows = content.get("calibration", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(
            f"The rows of the calibration table {path.name} must be [[calibration]] tables."
        )
    phantom = content.get("phantom")
    return phantom if isinstance(phantom, dict) else None


def _fit(phantom: dict[str, Any], file_name: str) -> Calibration:
    try:
        rods = [Rod(float(rod["density_mg_cm3"]), float(rod["hu"])) for rod in phantom["rods"]]
        mineral, name = phantom["mineral"], str(phantom["name"])
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f"The phantom in {file_name} needs name, mineral and rods, each rod with "
            "density_mg_cm3 and hu."
        ) from None
    if mineral not in MINERALS:
        raise InputError(
            f"The phantom in {file_name} is of an unknown mineral; known: {', '.join(MINERALS)}."
        )
    return fit_phantom(rods, mineral=mineral, phantom=name)
