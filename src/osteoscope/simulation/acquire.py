"""From painted anatomy to a reconstructed image: slice profile, kernel, noise, circle, position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from osteoscope.core.grid import Grid, grid_from_spacing
from osteoscope.simulation.canvas import Canvas
from osteoscope.simulation.scan import ORIENTATIONS, ScanSpec
from osteoscope.simulation.signed_distance import Field

PADDING_HU = -2000
_FWHM_PER_SIGMA = 2.3548


def reconstruct(canvas: Canvas, scan: ScanSpec, rng: np.random.Generator) -> NDArray[np.int16]:
    """(z, y, x) int16 HU: thin slices averaged, noise added, both blurred by the kernel.

    Noise is white before the kernel; its spread is set so that it is ``scan.noise_sd_hu`` after.
    """
    sigma = scan.kernel_fwhm_mm / _FWHM_PER_SIGMA / scan.in_plane_mm
    impulse = np.zeros(33)
    impulse[16] = 1.0
    gain = float((gaussian_filter1d(impulse, sigma, truncate=3.0) ** 2).sum())
    step = scan.sub_slices
    count = canvas.hu.shape[0] // step
    shape = canvas.hu.shape[1:]
    out = np.empty((count, *shape), dtype=np.int16)
    outside = _outside_circle(canvas, scan)
    for k in range(count):
        image: Field = canvas.hu[k * step : (k + 1) * step].mean(axis=0, dtype=np.float32)
        if scan.noise_sd_hu > 0:
            noise = rng.standard_normal(shape, dtype=np.float32)
            image += noise * np.float32(scan.noise_sd_hu / gain)
        for axis in (0, 1):
            image = gaussian_filter1d(image, sigma, axis=axis, mode="nearest", truncate=3.0)
        np.clip(image, -1024, 3071, out=image)
        np.rint(image, out=image)
        if outside is not None:
            image[outside] = PADDING_HU
        out[k] = image
    return out


def _outside_circle(canvas: Canvas, scan: ScanSpec) -> NDArray[np.bool_] | None:
    if scan.circle_mm is None:
        return None
    x = canvas.x_mm - canvas.scan.x_mm.mean()
    y = canvas.y_mm - canvas.scan.y_mm.mean()
    return np.asarray(x[None, :] ** 2 + y[:, None] ** 2 > (scan.circle_mm / 2) ** 2)


@dataclass(frozen=True, eq=False)
class Placement:
    """How arrays painted in anatomical order become the scan's arrays, and where they lie.

    Args:
        order: Anatomical axis (0 superior, 1 posterior, 2 left) of each array axis.
        flips: Whether that axis runs against it.
        grid: The scan's grid.
        turn: (3, 3) rotation of the patient in the world.
    """

    order: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    grid: Grid
    turn: NDArray[np.float64]

    def apply(self, array: NDArray[np.generic]) -> NDArray[np.generic]:
        """The array in the scan's order, contiguous."""
        view = array.transpose(self.order)
        view = view[tuple(slice(None, None, -1 if f else None) for f in self.flips)]
        return np.ascontiguousarray(view)


def placement_of(canvas: Canvas, scan: ScanSpec) -> Placement:
    """Where the image lies, by patient position and oblique angles."""
    step = scan.sub_slices
    count = canvas.hu.shape[0] // step
    first_z = float(canvas.z_mm[:step].mean())
    anatomical = grid_from_spacing(
        (count, canvas.hu.shape[1], canvas.hu.shape[2]),
        (scan.slice_mm, scan.in_plane_mm, scan.in_plane_mm),
        (float(canvas.x_mm[0]), float(canvas.y_mm[0]), first_z),
    )
    axes = ORIENTATIONS[scan.patient_position]
    order = (axes[0][0], axes[1][0], axes[2][0])
    flips = (axes[0][1] < 0, axes[1][1] < 0, axes[2][1] < 0)
    turn = rotation(scan.oblique_deg)
    matrix = anatomical.affine_lps_mm[:3, :3][:, list(order)].copy()
    start = np.zeros(3)
    for axis, flip in enumerate(flips):
        if flip:
            start[order[axis]] = anatomical.shape[order[axis]] - 1
            matrix[:, axis] *= -1
    affine = np.eye(4)
    affine[:3, :3] = turn @ matrix
    affine[:3, 3] = turn @ anatomical.index_to_world_mm(start)
    shape = tuple(anatomical.shape[a] for a in order)
    return Placement(order, flips, Grid((shape[0], shape[1], shape[2]), affine), turn)


def rotation(degrees: tuple[float, float, float]) -> NDArray[np.float64]:
    """(3, 3) rotation about x, then y, then z."""
    a, b, c = np.deg2rad(degrees)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x, dtype=np.float64)
