"""From the positions of slices to a grid: sorted, checked, and sheared slices put straight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import GeometryError
from osteoscope.core.grid import Grid
from osteoscope.io.dicom_frames import Frame

STEP_TOLERANCE_MM = 0.02
STEP_TOLERANCE_FRACTION = 0.01
_SHEAR_TOLERANCE = 1e-3
"""Sine of the angle between slice step and slice normal that :class:`Grid` still accepts."""
_LARGEST_TILT_DEGREES = 45.0
_FARTHEST_MM = 1e5
"""No position in a scanner's room is farther from its origin."""


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices in the order of their positions.

    Args:
        frames: Ordered along the slice normal.
        step_mm: Distance between neighbouring slices along the normal.
        normal: (3,) unit normal of the slices, LPS.
        in_plane: (3, 2) unit vectors along increasing row index and column index.
        spacing_mm: (between rows, between columns).
        positions_mm: (n, 3) LPS of each slice's first pixel.
        shift_per_slice_mm: (2,) sideways drift of a slice against the one before, along the
            in-plane vectors; zero without gantry tilt.
    """

    frames: tuple[Frame, ...]
    step_mm: float
    normal: NDArray[np.float64]
    in_plane: NDArray[np.float64]
    spacing_mm: tuple[float, float]
    positions_mm: NDArray[np.float64]
    shift_per_slice_mm: NDArray[np.float64]

    @property
    def tilt_degrees(self) -> float:
        """Angle between the slices' normal and the line through their first pixels."""
        drift = float(np.linalg.norm(self.shift_per_slice_mm))
        return float(np.degrees(np.arctan2(drift, self.step_mm)))

    @property
    def sheared(self) -> bool:
        """Whether the slices must be shifted sideways to lie on a grid with right angles."""
        drift = float(np.linalg.norm(self.shift_per_slice_mm))
        return drift / float(np.hypot(drift, self.step_mm)) > 0.9 * _SHEAR_TOLERANCE

    def grid(self, rows: int, columns: int) -> Grid:
        """The grid of the slices as stored; a sheared stack is straightened first."""
        affine = np.eye(4)
        step = (self.positions_mm[-1] - self.positions_mm[0]) / (len(self.frames) - 1)
        affine[:3, 0] = step
        affine[:3, 1] = self.in_plane[:, 0] * self.spacing_mm[0]
        affine[:3, 2] = self.in_plane[:, 1] * self.spacing_mm[1]
        affine[:3, 3] = self.positions_mm[0]
        return Grid((len(self.frames), rows, columns), affine)


def stack_slices(frames: Sequence[Frame]) -> Stack:
    """Sort slices along their normal and check that they fill space evenly.

    File names and instance numbers play no part: only Image Position (Patient) does.

    Args:
        frames: Two or more slices of one series, one orientation and one pixel spacing.

    Raises:
        GeometryError: Positions are missing, doubled, unevenly spaced, leave a gap or wander
            sideways; orientation or pixel spacing is missing.
    """
    first = frames[0]
    if any(f.position_mm is None for f in frames):
        raise GeometryError(
            "Slices without a position (Image Position Patient) cannot be put in order; export "
            "the original series."
        )
    if first.orientation is None or first.spacing_mm is None:
        raise GeometryError(
            "The series states no orientation or no pixel spacing; export the original series."
        )
    in_plane = _in_plane_axes(first.orientation)
    normal = np.cross(in_plane[:, 1], in_plane[:, 0])
    positions = np.array([f.position_mm for f in frames], dtype=np.float64)
    if float(np.max(np.abs(positions))) > _FARTHEST_MM:
        raise GeometryError(
            "A slice's position lies over 100 m from the origin, beyond any scanner; export the "
            "original series."
        )
    order = np.argsort(positions @ normal, kind="stable")
    positions = positions[order]
    along = positions @ normal
    step = _checked_step(along)
    drift = _checked_drift(positions @ in_plane, along)
    return Stack(
        frames=tuple(frames[n] for n in order),
        step_mm=step,
        normal=normal,
        in_plane=in_plane,
        spacing_mm=first.spacing_mm,
        positions_mm=positions,
        shift_per_slice_mm=drift,
    )


def _in_plane_axes(orientation: Sequence[float]) -> NDArray[np.float64]:
    """(3, 2): direction of increasing row index, then of increasing column index."""
    along_row = np.array(orientation[:3], dtype=np.float64)
    along_column = np.array(orientation[3:], dtype=np.float64)
    lengths = np.linalg.norm([along_row, along_column], axis=1)
    if np.any(np.abs(lengths - 1) > 0.01) or abs(along_row @ along_column) > 0.01:
        raise GeometryError(
            "The series' orientation is not two unit vectors at a right angle; export the "
            "original series."
        )
    along_row /= lengths[0]
    along_column -= (along_column @ along_row) * along_row
    return np.stack([along_column / np.linalg.norm(along_column), along_row], axis=1)


def _checked_step(along: NDArray[np.float64]) -> float:
    """The distance between slices, after the checks that it is one distance."""
    steps = np.diff(along)
    nominal = float(np.median(steps))
    doubled = int(np.count_nonzero(steps < max(0.01, 0.05 * nominal)))
    if doubled:
        raise GeometryError(
            f"Doubled slices: {doubled} of {len(along)} slices lie at the place of another; "
            "export one reconstruction of one acquisition, once."
        )
    gaps = np.flatnonzero(steps > 1.5 * nominal)
    if len(gaps):
        missing = int(np.sum(np.rint(steps[gaps] / nominal) - 1))
        raise GeometryError(
            f"Missing slices: about {max(missing, 1)} are absent in {len(gaps)} place(s), the "
            f"first after slice {int(gaps[0]) + 1} of {len(along)} (a step of "
            f"{steps[gaps[0]]:.2f} mm where {nominal:.2f} mm is usual); export the whole series."
        )
    tolerance = max(STEP_TOLERANCE_MM, STEP_TOLERANCE_FRACTION * nominal)
    worst = float(np.max(np.abs(steps - nominal)))
    even = np.linspace(along[0], along[-1], len(along))
    wander = float(np.max(np.abs(along - even)))
    if worst > tolerance or wander > max(0.1, 0.1 * nominal):
        raise GeometryError(
            f"Uneven spacing: steps between slices reach from {steps.min():.3f} to "
            f"{steps.max():.3f} mm; export one evenly spaced reconstruction."
        )
    return float((along[-1] - along[0]) / (len(along) - 1))


def _checked_drift(
    sideways: NDArray[np.float64], along: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(2,) mm a slice moves sideways against the one before, after the check that it is steady."""
    drift = (sideways[-1] - sideways[0]) / (len(along) - 1)
    steady = sideways[0] + np.arange(len(along))[:, None] * drift
    wander = float(np.max(np.abs(sideways - steady)))
    if wander > 0.1:
        raise GeometryError(
            f"Slices are shifted sideways against each other by up to {wander:.2f} mm, unlike a "
            "tilted gantry; export one series made in one go."
        )
    tilt = float(
        np.degrees(np.arctan2(np.linalg.norm(drift) * (len(along) - 1), along[-1] - along[0]))
    )
    if tilt > _LARGEST_TILT_DEGREES:
        raise GeometryError(
            f"The slices are sheared by {tilt:.0f} degrees, which no gantry tilts; export the "
            "original series."
        )
    return np.asarray(drift, dtype=np.float64)
