"""Read one scan from whatever a person has: a folder, a file or an archive."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import GeometryError, InputError
from osteoscope.core.grid import Grid
from osteoscope.core.volume import Volume
from osteoscope.io.acquisition_facts import sidecar_acquisition
from osteoscope.io.archive import is_archive, unpacked
from osteoscope.io.hu_values import check_hounsfield, compact, padding_plateau
from osteoscope.io.image_files import read_image
from osteoscope.io.image_names import image_stem, is_image_file
from osteoscope.io.quiet import quiet_readers
from osteoscope.io.series_summary import Identity, SeriesSummary

__all__ = ["Identity", "ScanReading", "SeriesSummary", "list_series", "read_scan"]

_SPACING_MM = (0.01, 30.0)
"""From micro-CT to the thickest slices."""

Kind = Literal["dicom", "nifti", "nrrd", "metaimage"]


@dataclass(frozen=True, eq=False)
class ScanReading:
    """A scan as read, and what was decided on the way.

    Args:
        volume: The scan in HU; int16 where its values fit.
        chosen: The series that was read.
        others: The series that were not, each with the reason.
        notes: What was done or is odd, one sentence each.
        identity: Who was scanned; only where it was asked for.
        kind: The format it was read from.
    """

    volume: Volume
    chosen: SeriesSummary
    others: tuple[SeriesSummary, ...]
    notes: tuple[str, ...]
    identity: Identity | None
    kind: Kind

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the voxels and their place in the world: one scan, one digest.

        The hash of the slices' hashes, so that they are computed side by side. File names,
        compression and headers play no part; the order of the axes does.
        """
        return voxel_digest(self.volume.array, self.volume.grid)


def voxel_digest(array: NDArray[Any], grid: Grid) -> str:
    """SHA-256 of an array's type, shape, slices and affine (rounded to 0.001 mm)."""

    def of_slice(plane: NDArray[Any]) -> bytes:
        return hashlib.sha256(np.ascontiguousarray(plane).data).digest()

    affine = np.round(grid.affine_lps_mm, 3) + 0.0
    whole = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    whole.update(affine.tobytes())
    with ThreadPoolExecutor(min(4, (os.cpu_count() or 1))) as pool:
        for digest in pool.map(of_slice, array):
            whole.update(digest)
    return whole.hexdigest()


def read_scan(path: Path, *, series: str | None = None, identify: bool = False) -> ScanReading:
    """Read one CT scan in Hounsfield units.

    Args:
        path: A folder (searched through all its levels), one DICOM file, a zip archive, or a
            NIfTI, NRRD or MetaImage file.
        series: Which DICOM series: a key of :func:`list_series` or its number, a Series Instance
            UID or a part of one description. None chooses the one that suits best.
        identify: Also return who was scanned.

    Returns:
        The scan on its grid (world LPS, mm), its acquisition facts, and what was decided.

    Raises:
        InputError: Not readable, not CT, no rescale, truncated, two patients, no such series.
        GeometryError: Slices are missing, doubled or uneven, or the place in space is unknown.
    """
    with _located(path) as (image, files):
        if image is not None:
            if series is not None:
                raise InputError("--series chooses among DICOM series; this scan is one image.")
            with quiet_readers():
                return _read_image_scan(image)
        from osteoscope.io.dicom_scan import read_dicom_scan

        with quiet_readers():
            dicom = read_dicom_scan(files, series, identify=identify)
        _check_voxels(dicom.volume.grid)
        return ScanReading(
            dicom.volume, dicom.chosen, dicom.others, dicom.notes, dicom.identity, "dicom"
        )


def list_series(path: Path) -> tuple[SeriesSummary, ...]:
    """What :func:`read_scan` would find, the one that it would choose first.

    Args:
        path: As for :func:`read_scan`.

    Raises:
        InputError: Nothing can be read.
    """
    with _located(path) as (image, files):
        if image is not None:
            with quiet_readers():
                return (_read_image_scan(image).chosen,)
        from osteoscope.io.dicom_scan import list_dicom_series

        with quiet_readers():
            return list_dicom_series(files)


@contextmanager
def _located(path: Path) -> Iterator[tuple[Path | None, Sequence[Path]]]:
    """The one image file, or every file that may be DICOM, in the order of names."""
    path = Path(path)
    if not path.exists():
        raise InputError("The scan does not exist: check the path.")
    if path.is_file() and not is_image_file(path) and is_archive(path):
        with unpacked(path) as folder:
            yield _in_folder(folder)
    elif path.is_file():
        yield (path, ()) if is_image_file(path) else (None, (path,))
    elif path.is_dir():
        yield _in_folder(path)
    else:
        raise InputError("The scan is neither a file nor a folder.")


def _in_folder(folder: Path) -> tuple[Path | None, Sequence[Path]]:
    files: list[Path] = []
    for root, folders, names in os.walk(folder):
        folders.sort()
        files += [Path(root, name) for name in sorted(names) if not name.startswith("._")]
    images = [file for file in files if is_image_file(file)]
    others = [file for file in files if not is_image_file(file) and file.is_file()]
    if images and not any(_has_dicom_mark(file) for file in others):
        if len(images) > 1:
            raise InputError(
                f"The folder holds {len(images)} image files and no DICOM; give the one to read."
            )
        return images[0], ()
    if not others:
        raise InputError("The folder holds no files that could be a scan.")
    return None, others


def _has_dicom_mark(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _read_image_scan(path: Path) -> ScanReading:
    image = read_image(path)
    _check_voxels(image.grid)
    notes: list[str] = []
    array = compact(image.array)
    notes += check_hounsfield(array)
    padding = padding_plateau(array)
    if padding is not None:
        notes.append(f"Voxels at {padding:g} HU are taken as padding outside the field of view.")
    acquisition, said = sidecar_acquisition(path, image_stem(path))
    notes += said
    volume = Volume(array, image.grid, "HU", acquisition, padding)
    return ScanReading(
        volume=volume,
        chosen=_image_summary(volume),
        others=(),
        notes=tuple(notes),
        identity=None,
        kind=_kind(path),
    )


def _check_voxels(grid: Grid) -> None:
    """Refuse a grid that no scanner makes: what is measured in mm would be unbounded in voxels."""
    if min(grid.shape) < 2:
        raise InputError(
            f"The image is one slice ({' x '.join(map(str, grid.shape))} voxels); a spine needs "
            "many: give the whole scan."
        )
    smallest, largest = float(grid.spacing_mm.min()), float(grid.spacing_mm.max())
    if smallest < _SPACING_MM[0] or largest > _SPACING_MM[1]:
        raise GeometryError(
            f"Voxels of {smallest:.3g} to {largest:.3g} mm are no CT's (they measure "
            f"{_SPACING_MM[0]:g} to {_SPACING_MM[1]:g} mm); the unit in the header may be wrong."
        )


def _kind(path: Path) -> Kind:
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        return "nifti"
    return "nrrd" if name.endswith((".nrrd", ".nhdr")) else "metaimage"


def _image_summary(volume: Volume) -> SeriesSummary:
    grid = volume.grid
    slice_axis = grid.directions[:, 0]
    axis = int(np.argmax(np.abs(slice_axis)))
    oblique = abs(slice_axis[axis]) < 0.8
    return SeriesSummary(
        key="1-image",
        description=volume.acquisition.series_description,
        n_slices=grid.shape[0],
        slice_spacing_mm=float(grid.spacing_mm[0]),
        in_plane_mm=(float(grid.spacing_mm[1]), float(grid.spacing_mm[2])),
        kernel=volume.acquisition.kernel,
        plane="oblique" if oblique else ("sagittal", "coronal", "axial")[axis],
        reason="the only image",
    )
