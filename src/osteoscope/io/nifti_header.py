"""The NIfTI header: how the numbers are stored, and whether its two orientations agree."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import GeometryError, InputError

_AGREE_MM = 0.1
"""Corners of the two orientations that lie closer than this are one place."""

_TYPES: Mapping[int, str] = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4",
    1024: "i8", 1280: "u8",
}  # fmt: skip
"""NIfTI data type codes of one real number a voxel."""


_FARTHEST_VOXEL = 2**31
"""Extensions between header and voxels are at most this long."""


@dataclass(frozen=True)
class NiftiStorage:
    """Where and how the voxels lie in the file (NIfTI-1 and NIfTI-2 standards).

    Args:
        kind: Type of a stored number, with its byte order.
        offset: Bytes before the first voxel.
        slope: Scale factor; 1 where the header says 0, which means *not set*.
        intercept: Added after scaling.
        qfac: Sign of the third axis of the qform.
        zipped: Whether the file is gzipped.
    """

    kind: np.dtype[np.generic]
    offset: int
    slope: float
    intercept: float
    qfac: float
    zipped: bool


def nifti_storage(path: Path) -> NiftiStorage:
    """Read what SimpleITK does not hand on of a header that it has found sound.

    Raises:
        InputError: The data type is not one real number of a usual size, or the header is cut.
    """
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as stream:
            head = stream.read(540)
        order = "<" if struct.unpack_from("<i", head)[0] in (348, 540) else ">"
        if struct.unpack_from(order + "i", head)[0] == 540:
            code, offset = struct.unpack_from(order + "h", head, 12)[0], 168
            start, slope, intercept = struct.unpack_from(order + "qdd", head, offset)
            qfac = struct.unpack_from(order + "d", head, 104)[0]
        else:
            code, offset = struct.unpack_from(order + "h", head, 70)[0], 108
            start, slope, intercept = struct.unpack_from(order + "fff", head, offset)
            qfac = struct.unpack_from(order + "f", head, 76)[0]
    except (OSError, EOFError, struct.error, zlib.error):
        raise InputError("The NIfTI header is truncated; copy or export the file again.") from None
    if code not in _TYPES:
        raise InputError(
            f"The NIfTI data type {code} is not one real number a voxel; convert the scan to "
            "16-bit integers."
        )
    if not np.isfinite(start) or not 348 <= start < _FARTHEST_VOXEL:
        raise InputError("The NIfTI header is damaged: it places its voxels nowhere in the file.")
    if not np.isfinite(slope) or slope == 0:
        slope, intercept = 1.0, 0.0
    return NiftiStorage(
        kind=np.dtype(order + _TYPES[code]),
        offset=int(start),
        slope=float(slope),
        intercept=float(intercept) if np.isfinite(intercept) else 0.0,
        qfac=-1.0 if qfac < 0 else 1.0,
        zipped=zipped,
    )


def check_nifti_orientation(
    header: Mapping[str, str], qfac: float, size: tuple[int, int, int]
) -> None:
    """Refuse a NIfTI header whose place in the world is unknown or ambiguous.

    Readers disagree on which of the two matrices wins (nibabel takes the sform, ITK the one that
    is marked as the scanner's), so a file where they differ is read differently by each program.

    Args:
        header: Header fields as SimpleITK gives them.
        qfac: Sign of the third axis of the qform.
        size: (x, y, z) voxels.

    Raises:
        GeometryError: No orientation is stated, or sform and qform, or sform and spacing, differ
            by over 0.1 mm.
    """
    has_q, has_s = int(header["qform_code"]) > 0, int(header["sform_code"]) > 0
    if not has_q and not has_s:
        raise GeometryError(
            "The NIfTI file states no orientation (sform and qform codes are 0), so left, right, "
            "up and down are unknown; convert the scan again with a tool that writes them."
        )
    if has_s:
        _check_spacing(header, size)
    if not (has_q and has_s):
        return
    corners = np.array([[i, j, k, 1.0] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    corners[:, :3] *= np.array(size, dtype=np.float64) - 1
    apart = np.linalg.norm(corners @ (_sform(header) - _qform(header, qfac)).T, axis=1).max()
    if apart > _AGREE_MM:
        raise GeometryError(
            f"The NIfTI file's sform and qform place the image up to {apart:.1f} mm apart; "
            "convert the scan again or make the two agree."
        )


def _check_spacing(header: Mapping[str, str], size: tuple[int, int, int]) -> None:
    """ITK takes its spacing from pixdim and only the directions from the sform."""
    stated = np.array([float(header[f"pixdim[{n}]"]) for n in (1, 2, 3)])
    spacing = np.linalg.norm(_sform(header)[:, :3], axis=0)
    apart = float(np.max(np.abs(spacing - stated) * np.array(size)))
    if not apart <= _AGREE_MM:
        raise GeometryError(
            f"The NIfTI file's spacing (pixdim) and its affine (sform) differ by {apart:.3g} mm "
            "over the image; convert the scan again or make the two agree."
        )


def _sform(header: Mapping[str, str]) -> NDArray[np.float64]:
    """(3, 4) sform matrix, RAS."""
    return np.array([[float(x) for x in header[f"srow_{axis}"].split()] for axis in "xyz"])


def _qform(header: Mapping[str, str], qfac: float) -> NDArray[np.float64]:
    """(3, 4) qform matrix, RAS (NIfTI-1 standard, method 2)."""
    b, c, d = (float(header[f"quatern_{x}"]) for x in "bcd")
    a = float(np.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d))))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    spacing = np.array([float(header[f"pixdim[{n}]"]) for n in (1, 2, 3)])
    spacing[2] *= qfac
    offset = np.array([[float(header[f"qoffset_{x}"])] for x in "xyz"])
    return np.hstack([rotation * spacing, offset])
