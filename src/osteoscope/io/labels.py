"""Segmentations: one label file or a folder of masks, brought onto a scan's grid."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import GeometryError, InputError
from osteoscope.core.label_schemes import label_scheme
from osteoscope.io.image_files import read_image
from osteoscope.io.image_names import image_stem, is_image_file
from osteoscope.io.label_resampling import overlap_note, resample_labels
from osteoscope.io.raw_labels import RawLabels

__all__ = ["RawLabels", "overlap_note", "read_labels", "resample_labels"]

_GRID_TOLERANCE_MM = 0.05
_FEW_VOXELS = 10
_FEW_FRACTION = 0.001
"""Masks of neighbours may share this much before they are taken to contradict each other."""


def read_labels(path: Path) -> RawLabels:
    """Read a segmentation.

    Args:
        path: A label file (NIfTI, NRRD, MetaImage; whole-numbered floats are accepted), or a
            folder of masks named by structure as TotalSegmentator writes them
            (``vertebrae_L1.nii.gz``), which become one array in TotalSegmentator's numbers.

    Raises:
        InputError: No such file, fractions or negative numbers, or masks that contradict.
        GeometryError: The masks of a folder lie on different grids, or a grid is unusable.
    """
    path = Path(path)
    if path.is_dir():
        return _read_mask_folder(path)
    if not path.is_file():
        raise InputError("The segmentation does not exist: check the path.")
    if not is_image_file(path):
        raise InputError(
            "A segmentation is a NIfTI, NRRD or MetaImage file, or a folder of such masks; "
            f"{path.suffix or 'a name without suffix'!r} is none."
        )
    image = read_image(path)
    return RawLabels(_as_labels(image.array), image.grid, _slicer_names(image.header))


def _as_labels(array: NDArray[Any]) -> NDArray[Any]:
    """Unsigned labels, after the check that each value is one; slice by slice."""
    if array.dtype in (np.uint8, np.uint16):
        return array
    low, high = array.min(), array.max()
    if not (np.isfinite(low) and np.isfinite(high)) or low < 0 or high > 65535:
        raise InputError(
            f"Labels are whole numbers from 0 to 65535, but values reach from {low:g} to "
            f"{high:g}; give a segmentation, not a scan or a probability map."
        )
    labels = np.empty(array.shape, dtype=np.uint8 if high <= 255 else np.uint16)
    fractions = np.issubdtype(array.dtype, np.floating)
    for source, target in zip(array, labels, strict=True):
        target[...] = source
        if fractions and not np.array_equal(target, source):
            raise InputError(
                "Labels are whole numbers, but the file holds fractions; give a segmentation "
                "resampled with nearest neighbour, not a probability map."
            )
    return labels


def _slicer_names(header: Mapping[str, str]) -> Mapping[int, str] | None:
    """Names in a 3D Slicer segmentation (``.seg.nrrd``)."""
    names: dict[int, str] = {}
    for key, value in header.items():
        if key.startswith("Segment") and key.endswith("_LabelValue") and value.strip().isdigit():
            name = header.get(key.replace("_LabelValue", "_Name"), "").strip()
            if name:
                names[int(value)] = name
    return names or None


def _read_mask_folder(folder: Path) -> RawLabels:
    scheme = label_scheme("totalsegmentator")
    numbers = {f"vertebrae_{level}": n for level, n in scheme.vertebrae.items()}
    numbers |= dict(scheme.structures)
    files = sorted(file for file in folder.iterdir() if is_image_file(file))
    known = [file for file in files if image_stem(file) in numbers]
    if not known:
        raise InputError(
            f"The folder holds {len(files)} image files and none is named as a structure "
            "(vertebrae_L1.nii.gz, sacrum.nii.gz ...); give one label file or such a folder."
        )
    grid = read_image(known[0]).grid
    array = np.zeros(grid.shape, dtype=np.uint8)
    names: dict[int, str] = {}
    for file in known:
        image = read_image(file)
        if not grid.matches(image.grid, _GRID_TOLERANCE_MM):
            raise GeometryError(
                f"The mask {file.name!r} lies on another grid than the masks before it; export "
                "all masks on one grid."
            )
        stem = image_stem(file)
        _add_mask(array, image.array, numbers[stem], stem)
        names[numbers[stem]] = stem
    skipped = len(files) - len(known)
    notes = (f"{skipped} mask(s) of structures that are not used were skipped.",) if skipped else ()
    return RawLabels(array, grid, names, notes)


def _add_mask(array: NDArray[Any], mask: NDArray[Any], number: int, stem: str) -> None:
    """Write one mask's number into ``array``; the last mask wins where a few voxels overlap."""
    shared = total = 0
    for target, source in zip(array, mask, strict=True):
        inside = source > 0.5
        count = int(np.count_nonzero(inside))
        if count == 0:
            continue
        total += count
        shared += int(np.count_nonzero(target[inside]))
        target[inside] = number
    if shared > max(_FEW_VOXELS, _FEW_FRACTION * total):
        raise InputError(
            f"The mask {stem!r} shares {shared} of its {total} voxels with masks before it; each "
            "voxel belongs to one structure."
        )
