"""NIfTI, NRRD and MetaImage files: one image in, one image out, with its place in the world."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import GeometryError, InputError
from osteoscope.core.grid import Grid
from osteoscope.core.volume import Volume
from osteoscope.io.gzip_writing import gzip_file
from osteoscope.io.image_data_files import stored_voxels
from osteoscope.io.metaimage_header import check_metaimage_header
from osteoscope.io.nifti_header import check_nifti_orientation, nifti_storage
from osteoscope.io.nifti_voxels import read_nifti_voxels
from osteoscope.io.quiet import quiet_native, quiet_readers
from osteoscope.io.simple_itk import sitk

_NIFTI_SUFFIXES = (".nii.gz", ".nii")
_READERS = (
    *((suffix, "NiftiImageIO") for suffix in _NIFTI_SUFFIXES),
    (".nrrd", "NrrdImageIO"), (".nhdr", "NrrdImageIO"),
    (".mha", "MetaImageIO"), (".mhd", "MetaImageIO"),
)  # fmt: skip
_CUT = (
    "The image file's pixel data cannot be read: it is truncated or damaged; copy or export it "
    "again."
)

MAX_IMAGE_BYTES = 4 * 1024**3
"""Largest array that is read, bytes: 512 x 512 x 8,000 voxels of 16 bits."""


@dataclass(frozen=True, eq=False)
class ImageFile:
    """One image as its file holds it.

    Args:
        array: (z, y, x) values in the file's own type, after its own scale factor.
        grid: Where the voxels lie, LPS mm.
        header: The file's own header fields as text.
    """

    array: NDArray[Any]
    grid: Grid
    header: Mapping[str, str]


class _OwnedBuffer:
    """Lends an image's memory to NumPy and keeps the image alive, so that nothing is copied."""

    def __init__(self, image: Any) -> None:
        self._image = image
        self.__array_interface__ = sitk.GetArrayViewFromImage(image).__array_interface__


def read_image(path: Path) -> ImageFile:
    """Read a three-dimensional scalar image.

    Args:
        path: A file named ``*.nii``, ``*.nii.gz``, ``*.nrrd``, ``*.nhdr``, ``*.mha`` or ``*.mhd``.

    Returns:
        The image; its array is not a copy and may be read-only.

    Raises:
        InputError: Unreadable, truncated, coloured, four-dimensional or too large.
        GeometryError: Sheared, without orientation, or with two orientations that disagree.
    """
    with quiet_readers():
        nifti = path.name.lower().endswith(_NIFTI_SUFFIXES)
        most_bytes = math.inf if nifti else stored_voxels(path).most_bytes
        reader = _open(path)
        header = _header(reader)
        size = _size_3d(reader)
        if nifti:
            storage = nifti_storage(path)
            check_nifti_orientation(header, storage.qfac, size)
            grid = _grid(reader)
            return ImageFile(read_nifti_voxels(path, storage, grid.shape), grid, header)
        if _n_bytes(reader) > most_bytes:
            raise InputError(_CUT)
        # A trailing axis of length one is collapsed while it is read.
        reader.SetExtractSize([*size, *([0] * (reader.GetDimension() - 3))])
        try:
            with quiet_native():
                image = reader.Execute()
        except RuntimeError:
            raise InputError(_CUT) from None
    return ImageFile(np.asarray(_OwnedBuffer(image)), _grid(image), header)


def _open(path: Path) -> Any:
    """A reader that has read the header."""
    if path.name.lower().endswith((".mha", ".mhd")):
        check_metaimage_header(path)
    reader = sitk.ImageFileReader()
    # Left to choose by content, it would read DICOM under an image's name, unchecked.
    reader.SetImageIO(next(io for suffix, io in _READERS if path.name.lower().endswith(suffix)))
    reader.SetFileName(str(path))
    try:
        with quiet_native():
            reader.ReadImageInformation()
    except RuntimeError as error:
        if "orthonormal" in str(error):
            raise GeometryError(
                "The image's axes are not at right angles (its affine is sheared); resample a "
                "sheared or tilted image before use."
            ) from None
        raise InputError(
            "The image file's header cannot be read: it is truncated, damaged or not of the "
            "format that its name says; copy or export it again."
        ) from None
    return reader


def _header(reader: Any) -> dict[str, str]:
    """Header fields as text, without those that are not text."""
    header: dict[str, str] = {}
    for key in reader.GetMetaDataKeys():
        with suppress(TypeError, UnicodeError):  # a damaged key cannot be handed back to ITK
            header[key] = reader.GetMetaData(key)
    return header


def _size_3d(reader: Any) -> tuple[int, int, int]:
    """(x, y, z) size, after the checks that need only the header."""
    size = [int(n) for n in reader.GetSize()]
    if len(size) < 3 or any(n > 1 for n in size[3:]):
        raise InputError(
            f"The image has {len(size)} dimensions ({' x '.join(map(str, size))}); one "
            "three-dimensional scan is needed: extract one volume from a series over time."
        )
    if reader.GetNumberOfComponents() != 1:
        raise InputError(
            f"The image has {reader.GetNumberOfComponents()} values a voxel (colour or vectors); "
            "CT needs one value a voxel."
        )
    n_bytes = _n_bytes(reader)
    if n_bytes > MAX_IMAGE_BYTES:
        raise InputError(
            f"The image needs {n_bytes / 1024**3:.1f} GiB and at most "
            f"{MAX_IMAGE_BYTES / 1024**3:.0f} GiB are read; crop it first."
        )
    if min(size[:3]) < 1:
        raise InputError("The image holds no voxels.")
    return size[0], size[1], size[2]


def _n_bytes(reader: Any) -> int:
    """Size of the array that the header claims."""
    item = int(sitk.GetArrayViewFromImage(sitk.Image([1, 1], reader.GetPixelID())).itemsize)
    return math.prod(int(n) for n in reader.GetSize()) * item


def _grid(image: Any) -> Grid:
    """The grid of a SimpleITK image or reader; ITK's world is LPS already."""
    n = image.GetDimension()
    direction = np.array(image.GetDirection(), dtype=np.float64).reshape(n, n)[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = (direction * np.array(image.GetSpacing()[:3]))[:, ::-1]
    affine[:3, 3] = image.GetOrigin()[:3]
    nx, ny, nz = image.GetSize()[:3]
    return Grid((nz, ny, nx), affine)


def to_sitk(array: NDArray[Any], grid: Grid) -> Any:
    """A SimpleITK image of ``array`` (copied) on ``grid``."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    image.SetSpacing([float(s) for s in grid.spacing_mm[::-1]])
    image.SetDirection([float(d) for d in grid.directions[:, ::-1].ravel()])
    image.SetOrigin([float(x) for x in grid.affine_lps_mm[:3, 3]])
    return image


def write_volume(path: Path, volume: Volume) -> None:
    """Write a scan as an image file; the same volume gives the same bytes.

    Args:
        path: Where; the name's suffix is the format. A killed run leaves no half-written file.
        volume: What. Its acquisition facts are not part of these formats.

    Raises:
        InputError: The suffix is unknown or the folder cannot be written.
    """
    _write(path, volume.array, volume.grid)


def write_labels(path: Path, array: NDArray[Any], grid: Grid) -> None:
    """Write labels as an image file; the same labels give the same bytes.

    Args:
        path: Where; the name's suffix is the format. A killed run leaves no half-written file.
        array: (z, y, x) integers or booleans.
        grid: Where the voxels lie.

    Raises:
        InputError: The suffix is unknown, the folder cannot be written or labels are fractions.
        GeometryError: The array's shape is not the grid's.
    """
    if array.shape != grid.shape:
        raise GeometryError(f"The labels' shape {array.shape} is not the grid's {grid.shape}.")
    if array.dtype == np.bool_:
        array = array.view(np.uint8)
    if not np.issubdtype(array.dtype, np.integer):
        raise InputError(f"Labels must be integers, not {array.dtype}.")
    _write(path, array, grid)


def _write(path: Path, array: NDArray[Any], grid: Grid) -> None:
    if not path.name.lower().endswith((".nii.gz", ".nii", ".nrrd", ".mha")):
        raise InputError(
            f"Images are written as .nii.gz, .nii, .nrrd or .mha, not {path.suffix!r}."
        )
    zipped = path.name.lower().endswith(".nii.gz")
    suffix = ".nii" if zipped else path.suffix.lower()
    # In the same folder, so that the renaming at the end is one step of the file system.
    plain = path.with_name(f".{uuid.uuid4().hex}{suffix}")
    packed = plain.with_name(plain.name + ".gz")
    try:
        sitk.WriteImage(to_sitk(array, grid), str(plain), useCompression=False)
        if zipped:
            gzip_file(plain, packed)
        (packed if zipped else plain).replace(path)
    except (OSError, RuntimeError):
        raise InputError(
            f"The image {path.name!r} cannot be written: check that its folder exists, may be "
            "written and has room."
        ) from None
    finally:
        plain.unlink(missing_ok=True)
        packed.unlink(missing_ok=True)
