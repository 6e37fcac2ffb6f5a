"""What is prepared for training, and how: one frozen configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from osteoscope.core.crop_spec import CropAxes, CropSpec
from osteoscope.core.dxa_reference import DEFAULT_REFERENCE, dxa_reference
from osteoscope.core.errors import InputError
from osteoscope.core.label_schemes import label_scheme

INTERNAL = "internal"
"""The calibration by the patient's own tissues."""


@dataclass(frozen=True)
class PrepareConfig:
    """Options of ``tscore prepare``; the same object is TOML and command line.

    Args:
        levels: The vertebrae that are cropped; a subject has one row of the store for each.
        shape: Voxels of a crop along (z, y, x).
        spacing_mm: Their spacing along (z, y, x), mm.
        surroundings: Keep what lies around the vertebra; False masks it.
        axes: ``scanner`` or ``vertebra``.
        scheme: Label scheme of the segmentations; None lets it be recognised.
        calibration: A calibration table, or ``internal``, for the virtual DXA T-score; None
            leaves that column empty.
        dxa_reference: Young-adult reference of the virtual DXA T-score.

    Raises:
        InputError: A field is outside its range or names something unknown.
    """

    levels: tuple[str, ...] = ("L1",)
    shape: tuple[int, int, int] = (64, 96, 96)
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    surroundings: bool = False
    axes: str = "scanner"
    scheme: str | None = None
    calibration: str | None = None
    dxa_reference: str = DEFAULT_REFERENCE

    def __post_init__(self) -> None:
        self.crop  # noqa: B018  its own checks
        for name in ("scheme", "calibration"):
            _check_text(name, getattr(self, name), or_none=True)
        _check_text("dxa_reference", self.dxa_reference)
        if self.scheme is not None:
            label_scheme(self.scheme)
        dxa_reference(self.dxa_reference)
        if self.calibration not in (None, INTERNAL) and not Path(str(self.calibration)).is_file():
            raise InputError(
                f"The calibration file {Path(str(self.calibration)).name} does not exist; give a "
                f"calibration table or {INTERNAL!r}."
            )

    @property
    def crop(self) -> CropSpec:
        """How crops are cut."""
        return CropSpec(
            levels=self.levels,
            shape=self.shape,
            spacing_mm=self.spacing_mm,
            surroundings=self.surroundings,
            axes=cast(CropAxes, self.axes),
        )


def _check_text(name: str, value: Any, or_none: bool = False) -> None:
    if not isinstance(value, str) and not (or_none and value is None):
        raise InputError(f"The option {name} must be text, not {value!r:.40}.")
