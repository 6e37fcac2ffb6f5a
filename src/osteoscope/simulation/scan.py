"""How a simulated patient is scanned: voltage, voxels, dose, contrast, coverage, position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from osteoscope.core.errors import InputError

ContrastPhase = Literal["arterial", "venous"]
Kernel = Literal["smooth", "soft", "medium", "bone"]

KERNEL_FWHM_MM: dict[str, float] = {"smooth": 1.9, "soft": 1.4, "medium": 1.1, "bone": 0.8}
"""In-plane resolution of a kernel by its plain name (full width at half maximum)."""
KERNEL_HEADER: dict[str, str] = {
    "smooth": "Br32f", "soft": "Br40f", "medium": "Br49f", "bone": "Br64f"
}  # fmt: skip

ORIENTATIONS: dict[str, tuple[tuple[int, int], tuple[int, int], tuple[int, int]]] = {
    "HFS": ((0, 1), (1, 1), (2, 1)),
    "HFP": ((0, 1), (1, -1), (2, -1)),
    "FFS": ((0, -1), (1, 1), (2, 1)),
    "FFP": ((0, -1), (1, -1), (2, -1)),
    "HFDR": ((0, 1), (2, -1), (1, 1)),
    "HFDL": ((0, 1), (2, 1), (1, -1)),
    "FFDR": ((0, -1), (2, -1), (1, 1)),
    "FFDL": ((0, -1), (2, 1), (1, -1)),
}
"""By DICOM Patient Position: for each array axis (slices, rows, columns) the anatomical axis it
follows (0 superior, 1 posterior, 2 left) and whether it runs along (1) or against it (-1)."""


@dataclass(frozen=True)
class ScanSpec:
    """One acquisition.

    Args:
        kvp: Tube voltage, 80-140 kV.
        in_plane_mm: Pixel size.
        slice_mm: Slice thickness and spacing (no gap).
        field_of_view_mm: Side of the square image; None fits the body.
        noise_sd_hu: Noise in the finished image, correlated as the kernel makes it.
        kernel: ``smooth``, ``soft``, ``medium`` or ``bone``.
        contrast_phase: None, ``arterial`` or ``venous``.
        top_level: Highest vertebra that the scan holds.
        bottom_level: Lowest vertebra that the scan holds, or ``sacrum``.
        top_margin_mm: Beyond the top level's body; below zero it cuts into it.
        bottom_margin_mm: Beyond the bottom level's body; below zero it cuts into it.
        circle_mm: Diameter of the reconstructed circle; outside is padding. None for no circle.
        patient_position: Key of ``ORIENTATIONS``: where the patient lies and how slices run.
        oblique_deg: Turns of the patient about x, y and z in the world.
        header_names_kvp: Whether the file tells the voltage.
        header_names_contrast: Whether the file tells of the contrast agent.
    """

    kvp: float = 120.0
    in_plane_mm: float = 1.0
    slice_mm: float = 2.0
    field_of_view_mm: float | None = None
    noise_sd_hu: float = 12.0
    kernel: Kernel = "soft"
    contrast_phase: ContrastPhase | None = None
    top_level: str = "T10"
    bottom_level: str = "sacrum"
    top_margin_mm: float = 12.0
    bottom_margin_mm: float = 14.0
    circle_mm: float | None = None
    patient_position: str = "HFS"
    oblique_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    header_names_kvp: bool = True
    header_names_contrast: bool = True

    def __post_init__(self) -> None:
        if not 80.0 <= self.kvp <= 140.0:
            raise InputError(f"The tube voltage must lie in 80-140 kV, not {self.kvp:g}.")
        if not 0.3 <= self.in_plane_mm <= 5.0 or not 0.3 <= self.slice_mm <= 10.0:
            raise InputError(
                "Voxels must measure 0.3-5 mm in plane and 0.3-10 mm along the slices, not "
                f"{self.in_plane_mm:g} and {self.slice_mm:g}."
            )
        if not 0.0 <= self.noise_sd_hu <= 300.0:
            raise InputError(f"Noise must lie in 0-300 HU, not {self.noise_sd_hu:g}.")
        if self.patient_position not in ORIENTATIONS:
            known = ", ".join(ORIENTATIONS)
            raise InputError(f"Unknown patient position {self.patient_position!r}; known: {known}.")
        if self.kernel not in KERNEL_FWHM_MM:
            known = ", ".join(KERNEL_FWHM_MM)
            raise InputError(f"Unknown kernel {self.kernel!r}; known: {known}.")

    @property
    def kernel_fwhm_mm(self) -> float:
        """In-plane resolution, mm."""
        return KERNEL_FWHM_MM[self.kernel]

    @property
    def sub_slices(self) -> int:
        """How many thin slices are averaged into one, so that each is 2 mm at most."""
        return max(1, -int(-self.slice_mm // 2.0))
