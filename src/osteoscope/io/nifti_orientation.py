"""NIfTI holds up to two orientations; a scan is trusted only where they agree."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import GeometryError

_AGREE_MM = 0.1
"""Corners of the two orientations that lie closer than this are one place."""


def check_nifti_orientation(
    path: Path, header: Mapping[str, str], size: tuple[int, int, int]
) -> None:
    """Refuse a NIfTI header whose place in the world is unknown or ambiguous.

    Readers disagree on which of the two matrices wins (nibabel takes the sform, ITK the one that
    is marked as the scanner's), so a file where they differ is read differently by each program.

    Args:
        path: The file.
        header: Header fields as SimpleITK gives them; other formats pass unchecked.
        size: (x, y, z) voxels.

    Raises:
        GeometryError: No orientation is stated, or sform and qform differ by over 0.1 mm.
    """
    if "qform_code" not in header or "sform_code" not in header:
        return
    has_q, has_s = int(header["qform_code"]) > 0, int(header["sform_code"]) > 0
    if not has_q and not has_s:
        raise GeometryError(
            "The NIfTI file states no orientation (sform and qform codes are 0), so left, right, "
            "up and down are unknown; convert the scan again with a tool that writes them."
        )
    if not (has_q and has_s):
        return
    corners = np.array([[i, j, k, 1.0] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    corners[:, :3] *= np.array(size, dtype=np.float64) - 1
    apart = np.linalg.norm(corners @ (_sform(header) - _qform(header, _qfac(path))).T, axis=1).max()
    if apart > _AGREE_MM:
        raise GeometryError(
            f"The NIfTI file's sform and qform place the image up to {apart:.1f} mm apart; "
            "convert the scan again or make the two agree."
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


def _qfac(path: Path) -> float:
    """Sign of the third axis, from ``pixdim[0]``, which SimpleITK does not hand on."""
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    with gzip.open(path) if zipped else path.open("rb") as stream:
        head = stream.read(112)
    order = "<" if struct.unpack("<i", head[:4])[0] in (348, 540) else ">"
    if struct.unpack(order + "i", head[:4])[0] == 540:
        value = struct.unpack_from(order + "d", head, 104)[0]
    else:
        value = struct.unpack_from(order + "f", head, 76)[0]
    return -1.0 if value < 0 else 1.0
