"""Which file names are those of images; no reader is loaded to know it."""

from __future__ import annotations

from pathlib import Path

IMAGE_SUFFIXES: tuple[str, ...] = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
"""File names that are read as one image."""

VOXEL_SUFFIXES: tuple[str, ...] = (".raw", ".raw.gz", ".zraw")
"""Usual names of the voxels that lie beside an ``.nhdr`` or ``.mhd`` header."""


def is_image_file(path: Path) -> bool:
    """Whether the name is one of a NIfTI, NRRD or MetaImage file."""
    return path.name.lower().endswith(IMAGE_SUFFIXES)


def image_stem(path: Path) -> str:
    """The file's name without its image suffix: ``vertebrae_L1`` of ``vertebrae_L1.nii.gz``."""
    for suffix in IMAGE_SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.name
