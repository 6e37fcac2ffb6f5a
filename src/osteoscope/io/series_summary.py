"""What a reader says about a series: shown to people, so nothing in it identifies a patient."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SeriesSummary:
    """One series of a study, in words that identify nobody.

    Args:
        key: Short stable name that ``--series`` takes: a number in the study's order and six
            hexadecimal digits of the hash of its unique identifier, for example ``2-9f31c0``.
        description: Series description, words of the patient's name or number removed; or None.
        n_slices: Number of slices or frames.
        slice_spacing_mm: Distance between neighbouring slices, mm; None where unknown.
        in_plane_mm: (row, column) spacing of pixels, mm; None where unknown.
        kernel: Reconstruction kernel as the vendor writes it; or None.
        plane: ``axial``, ``coronal``, ``sagittal``, ``oblique`` or ``unknown``.
        reason: Why it was chosen, or why not.
    """

    key: str
    description: str | None
    n_slices: int
    slice_spacing_mm: float | None
    in_plane_mm: tuple[float, float] | None
    kernel: str | None
    plane: str
    reason: str


@dataclass(frozen=True)
class Identity:
    """Who was scanned: read only where the user asks for it; ``None`` where the file is silent."""

    patient_name: str | None = None
    patient_id: str | None = None
    birth_date: str | None = None
    accession_number: str | None = None
    study_date: str | None = None
    study_uid: str | None = None
    series_uid: str | None = None
