"""What was named on the command line: scans, a table of scans, or a tree of scans."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from osteoscope.core.errors import InputError

_TEXTS = (".csv", ".tsv", ".xlsx", ".parquet", ".json", ".toml", ".txt", ".md", ".pdf", ".html")
_FILES_TRIED = 20
"""In how many files of a folder a DICOM header is looked for."""


def is_cohort(sources: Sequence[Path], forced: bool | None) -> bool:
    """Whether the sources are one table or one tree of scans, rather than scans.

    A table is a cohort. A folder is one scan where DICOM files lie in it directly, where only one
    scan is found below it, or where all its subfolders are DICOM of the same known patient (the
    series of one study); else it is a cohort.

    Args:
        sources: What was given on the command line, at least one.
        forced: ``--cohort`` or ``--one-scan``; None recognises.

    Raises:
        InputError: A table stands beside other sources, or ``--cohort`` does.
    """
    from osteoscope.io.cohort_table import TABLE_SUFFIXES

    tables = [path for path in sources if path.suffix.lower() in TABLE_SUFFIXES]
    if len(sources) > 1 and (tables or forced):
        raise InputError("Give one table or folder tree at a time, or several scans.")
    if tables:
        return True
    if forced is not None:
        return forced
    return len(sources) == 1 and sources[0].is_dir() and _is_tree(sources[0])


def _is_tree(folder: Path) -> bool:
    from osteoscope.io.discover import discover_scans
    from osteoscope.io.image_names import IMAGE_SUFFIXES, VOXEL_SUFFIXES

    known = (*IMAGE_SUFFIXES, *VOXEL_SUFFIXES, *_TEXTS, ".zip")
    for entry in folder.iterdir():
        loose = entry.is_file() and not entry.name.startswith(".")
        if loose and not entry.name.lower().endswith(known):
            return False
    if not any(folder.iterdir()):
        return False
    scans = discover_scans(folder)
    return len(scans) > 1 and not _of_one_patient([scan.image for scan in scans])


def _of_one_patient(scans: Sequence[Path]) -> bool:
    """Whether every scan is a DICOM folder and all name the same patient; empty is unknown."""
    patients: set[tuple[str | None, ...]] = set()
    for scan in scans:
        patient = _patient(scan) if scan.is_dir() else None
        if patient is None or patients - {patient}:
            return False
        patients.add(patient)
    return True


def _patient(folder: Path) -> tuple[str | None, ...] | None:
    from osteoscope.io.dicom_headers import read_file_header

    tried = 0
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            header = read_file_header(Path(root, name), tried)
            if header is not None:
                return header.patient if any(header.patient) else None
            tried += 1
            if tried >= _FILES_TRIED:
                return None
    return None
