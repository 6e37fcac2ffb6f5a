"""One bad input: how it is made, what it is called in the documentation, what must be said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from osteoscope.core.grid import Grid, grid_from_spacing
from osteoscope.core.volume import Volume
from osteoscope.io.image_files import write_labels, write_volume

NAME, NUMBER = "DOE^JANE", "12345678"
"""The patient that every DICOM file here belongs to, and that no message may name."""

GRID = grid_from_spacing((16, 12, 12), (2.0, 1.0, 1.0))


@dataclass(frozen=True)
class Case:
    """One bad input.

    Args:
        what: What is wrong, as the reference page lists it.
        words: A part of the sentence, as the reference page quotes it.
        build: Makes the input in a folder; returns what follows ``osteoscope screen``.
        code: Exit code.
    """

    what: str
    words: str
    build: Callable[[Path], list[str]]
    code: int = 2


def good_values(grid: Grid = GRID) -> np.ndarray:
    """Whole numbers that could be HU."""
    return np.random.default_rng(3).integers(-900, 900, grid.shape).astype(np.int16)


def good_scan(folder: Path, name: str = "ct.nii.gz") -> Path:
    """A tiny image that is read without complaint."""
    folder.mkdir(parents=True, exist_ok=True)
    write_volume(folder / name, Volume(good_values(), GRID))
    return folder / name


def good_labels(folder: Path, name: str = "labels.nii.gz", grid: Grid = GRID) -> Path:
    """One block, L1 and L2 in TotalSegmentator's numbers."""
    array = np.zeros(grid.shape, dtype=np.uint8)
    array[8:14, 3:9, 3:9] = 31
    array[2:8, 3:9, 3:9] = 30
    write_labels(folder / name, array, grid)
    return folder / name


def with_labels(scan: Path, folder: Path) -> list[str]:
    """The words for a bad scan with labels that are good."""
    return [str(scan), "--segmentation", str(good_labels(folder, "good_labels.nii.gz"))]


def with_scan(labels: Path, folder: Path, *words: str) -> list[str]:
    """The words for a good scan with labels that are bad."""
    return [str(good_scan(folder / "scan")), "--segmentation", str(labels), *words]


def with_options(folder: Path, *words: str) -> list[str]:
    """The words for a good scan with good labels and an option that is bad."""
    return [*with_scan(good_labels(folder), folder, "--scheme", "totalsegmentator"), *words]
