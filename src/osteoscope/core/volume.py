"""An image with its place in the world, and what the file says about its making."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from numpy.typing import NDArray

from osteoscope.core.box import Box
from osteoscope.core.errors import GeometryError
from osteoscope.core.grid import Grid, to_canonical

STANDARD_KVP, KVP_TOLERANCE = 120.0, 0.5
"""The tube voltage of the published thresholds, and how far a stated one may lie from a nominal
one, kV: nominal voltages are whole steps of 10 or 20."""

Unit = Literal["HU", "mg/cm3"]


@dataclass(frozen=True)
class Acquisition:
    """How a scan was made, as its file says; ``None`` where the file does not say.

    Empty header fields are ``None``: unknown, never a default.
    """

    kvp: float | None = None
    """Peak tube voltage, kV."""
    kernel: str | None = None
    """Reconstruction kernel as the vendor writes it, for example ``Br38f`` or ``B60s``."""
    contrast_agent: str | None = None
    """The contrast fields' text; ``None`` where the fields are absent or empty."""
    contrast_enhanced: bool | None = None
    """True where the header states an agent; a header that says nothing is ``None``."""
    slice_thickness_mm: float | None = None
    tube_current_ma: float | None = None
    exposure_mas: float | None = None
    manufacturer: str | None = None
    scanner_model: str | None = None
    patient_position: str | None = None
    """DICOM Patient Position, for example ``HFS``."""
    reconstruction_diameter_mm: float | None = None
    series_description: str | None = None
    patient_age_years: float | None = None
    patient_sex: Literal["F", "M", "O"] | None = None
    simulated: bool = False
    """True where the file declares itself made by osteoscope's simulator."""


@dataclass(frozen=True, eq=False)
class Volume:
    """A scan: voxel values, their grid, their unit and the facts of the acquisition.

    Args:
        array: (z, y, x) values; integers are kept as read (int16 for most CT).
        grid: Where the voxels lie.
        unit: ``HU`` or ``mg/cm3``.
        acquisition: What the file says about its making.
        padding: The value outside the reconstructed field, where the file declares one.
    """

    array: NDArray[Any]
    grid: Grid
    unit: Unit = "HU"
    acquisition: Acquisition = field(default_factory=Acquisition)
    padding: float | None = None

    def __post_init__(self) -> None:
        if self.array.shape != self.grid.shape:
            raise GeometryError(
                f"The array's shape {self.array.shape} differs from its grid's {self.grid.shape}."
            )

    def canonical(self) -> Volume:
        """The same volume, as a view whose axes run most nearly towards +S, +P and +L."""
        return replace(self, array=to_canonical(self.array, self.grid), grid=self.grid.canonical())

    def crop(self, box: Box) -> Volume:
        """The volume inside ``box``, as a view."""
        return replace(self, array=self.array[box], grid=self.grid.crop(box))
