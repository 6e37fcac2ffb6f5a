"""The calibration that the user names: a table, a phantom's rods, or the patient's tissues."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from osteoscope.core.errors import InputError, QualityError
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.measurement import Missing
from osteoscope.core.volume import KVP_TOLERANCE, Volume
from osteoscope.densitometry.calibration.internal import fit_internal
from osteoscope.densitometry.calibration.line import MINERALS, Calibration
from osteoscope.densitometry.calibration.phantom import Rod, fit_phantom
from osteoscope.densitometry.calibration.table import (
    TableRow,
    calibration_from_table,
    read_calibration_table,
)
from osteoscope.densitometry.calibration.tissue_samples import internal_tissues

NO_CALIBRATION = (
    "No calibration was given, and none is assumed: HU become a density only through a table, a "
    "phantom or the patient's own tissues (--calibration)."
)

_ENHANCED_TISSUES = (
    "The scan is contrast-enhanced: blood, muscle and marrow no longer have their known "
    "attenuation, so the patient's tissues calibrate nothing; give a table or a phantom."
)


@dataclass(frozen=True, eq=False)
class NamedCalibration:
    """What the user named, read and checked before any scan is.

    Args:
        fitted: The line of a phantom's rods, or None.
        rows: The rows of a calibration table; empty where it is no table.
        internal: Whether the patient's own tissues are asked for.
        fitted_kvp: Tube voltage that the rods were scanned at, where their file states it.
    """

    fitted: Calibration | None = None
    rows: tuple[TableRow, ...] = ()
    internal: bool = False
    fitted_kvp: float | None = None

    def for_scan(
        self, volume: Volume, labels: LabelMap, *, enhanced: bool | None
    ) -> Calibration | Missing:
        """The calibration of one scan, or why it has none: then its HU stand without a density.

        Args:
            volume: The canonical scan.
            labels: Its canonical labels.
            enhanced: Whether it is contrast-enhanced; None where unknown.
        """
        if self.internal and enhanced:
            return Missing("calibration", _ENHANCED_TISSUES)
        if self.fitted is not None:
            return self._same_voltage(self.fitted, volume.acquisition.kvp)
        try:
            if self.internal:
                return fit_internal(internal_tissues(volume, labels)).calibration
            if self.rows:
                return calibration_from_table(self.rows, volume.acquisition)
        except (InputError, QualityError) as error:
            return Missing("calibration", str(error))
        return Missing("calibration", NO_CALIBRATION)

    def _same_voltage(self, fitted: Calibration, kvp: float | None) -> Calibration | Missing:
        if self.fitted_kvp is None or kvp is None:
            unknown = "phantom's file" if self.fitted_kvp is None else "scan's file"
            doubt = (
                f"The {unknown} does not state the tube voltage; the line holds only where the "
                "rods were scanned as the patient was."
            )
            return replace(fitted, warnings=(*fitted.warnings, doubt))
        if abs(kvp - self.fitted_kvp) > KVP_TOLERANCE:
            return Missing(
                "calibration",
                f"The phantom was scanned at {self.fitted_kvp:g} kVp and the patient at {kvp:g} "
                "kVp; its line does not hold there.",
            )
        return fitted


def read_calibration(named: str | None) -> NamedCalibration:
    """Read what the user named.

    Args:
        named: None; ``internal``; a TOML file with a ``[phantom]`` table (``name``, ``mineral``,
            ``kvp`` by choice, and ``rods``, a list of ``{density_mg_cm3, hu}``); or a CSV or TOML
            calibration table.

    Raises:
        InputError: The file cannot be read or does not say what it must.
        QualityError: The rods fit no line.
    """
    if named is None:
        return NamedCalibration()
    if named == "internal":
        return NamedCalibration(internal=True)
    path = Path(named)
    if not path.is_file():
        raise InputError(f"The calibration file {path.name} does not exist.")
    phantom = _phantom_of(path)
    if phantom is not None:
        return NamedCalibration(
            fitted=_fit(phantom, path.name), fitted_kvp=_voltage(phantom, path.name)
        )
    return NamedCalibration(rows=read_calibration_table(path))


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


def _voltage(phantom: dict[str, Any], file_name: str) -> float | None:
    kvp = phantom.get("kvp")
    if kvp is None or (isinstance(kvp, int | float) and not isinstance(kvp, bool) and kvp > 0):
        return kvp
    raise InputError(f"The phantom in {file_name} needs a kvp above 0, for example kvp = 120.")


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
