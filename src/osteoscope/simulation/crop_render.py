"""A box of a scan around one vertebra, without the rest of the scan.

The box is cut from the voxels of the whole scan and painted as the whole scan is. Noise aside, it
shows what the scan shows there: what is drawn by chance (texture, bowel, enhancement) is
drawn for the patient and not for the box, and the blur of the kernel gets a margin that is cut off
again. The noise has the same spread and correlation, and other values.

The box holds what tells how a vertebra stands, too: its neighbours whole and soft tissue around it,
so that the geometry measured in it is the geometry measured in the scan.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteoscope.core.box import Box, box_around
from osteoscope.core.errors import InputError
from osteoscope.core.label_schemes import label_scheme
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.volume import Volume
from osteoscope.simulation.acquire import PADDING_HU, placement_of, reconstruct
from osteoscope.simulation.canvas import Lattice
from osteoscope.simulation.patient_spec import PatientSpec
from osteoscope.simulation.render import (
    acquisition_of,
    blank_canvas,
    paint_anatomy,
    scan_lattice,
    unenhanced_values,
)
from osteoscope.simulation.scan import ScanSpec
from osteoscope.simulation.skeleton import vertebra_box
from osteoscope.simulation.spine import VertebraFrame, spine_frames
from osteoscope.simulation.tissue_values import tissue_values
from osteoscope.simulation.torso import trunk_of
from osteoscope.simulation.truth import LevelTruth, level_truths

BLUR_MM = 4.0
"""Margin that the kernel's blur may reach from: the widest, 2 mm FWHM, ends after 2.5 mm."""
AROUND_MM = 18.0
"""What the box holds around the vertebra, where the scan reaches so far: measuring looks 15 mm."""
AROUND_NEIGHBOURS_MM = 8.0
"""The same around its neighbours: no further does a segmenter read amiss."""
WHOLE_STEP = 4
"""The box starts at a multiple of so many voxels: what looks at every second sees the same ones."""


@dataclass(frozen=True, eq=False)
class SimulatedCrop:
    """A box of a simulated scan with its labels and what is true of its vertebra.

    Args:
        volume: int16 HU, marked as simulated.
        labels: TotalSegmentator's scheme on the same grid; neighbours are cut at the box.
        truth: The vertebra's.
        marrow_enhancement_hu: What contrast added to the marrow.
        aorta_hu: Blood in the aorta.
    """

    volume: Volume
    labels: LabelMap
    truth: LevelTruth
    marrow_enhancement_hu: float
    aorta_hu: float


def simulate_crop(
    patient: PatientSpec,
    scan: ScanSpec,
    *,
    seed: int,
    level: str,
    reach_mm: tuple[float, float, float],
) -> SimulatedCrop:
    """Scan the surroundings of one vertebra of a simulated patient.

    Args:
        patient: From :func:`osteoscope.simulation.patient.sample_patient` or written by hand.
        scan: The acquisition; the box ends where the scan would.
        seed: Seed of everything that is drawn in the scan, as for ``simulate_patient``.
        level: The vertebra, for example ``L1``.
        reach_mm: How far the box reaches from the centre of the vertebra's body to either side
            along ``(z, y, x)`` of the patient, mm, above 0. It always holds the whole vertebra
            and its neighbours.

    Returns:
        The box, its labels and the vertebra's truth.

    Raises:
        InputError: The patient lacks the level or a level that the scan should start or end at,
            or the scan does not hold the vertebra.
    """
    if level not in patient.by_level:
        raise InputError(f"The patient has no vertebra {level}; there are {patient.levels}.")
    if min(reach_mm) <= 0:
        raise InputError(f"A crop must reach further than 0 mm, not {reach_mm}.")
    frames = spine_frames(patient)
    trunk = trunk_of(patient, frames)
    lattice = scan_lattice(patient, scan, frames, trunk)
    near = _near(patient, frames, level)
    window, kept = _window(lattice, near, reach_mm, scan.sub_slices)
    canvas = blank_canvas(lattice, window)
    values = tissue_values(patient, scan, np.random.default_rng([seed, 1]))
    paint_anatomy(canvas, patient, frames, (trunk, values), seed)
    placement = placement_of(canvas, scan)
    array = reconstruct(canvas, scan, np.random.default_rng([seed, 3]))
    volume = Volume(
        array=placement.apply(array),
        grid=placement.grid,
        acquisition=acquisition_of(patient, scan, lattice),
        padding=None if scan.circle_mm is None else float(PADDING_HU),
    )
    middle = canvas.totalsegmentator[scan.sub_slices // 2 :: scan.sub_slices]
    labels = LabelMap(
        placement.apply(middle[: array.shape[0]]), placement.grid, label_scheme("totalsegmentator")
    )
    inner = _placed(kept, placement.order, placement.flips, array.shape)
    truths = level_truths(
        {level: frames[level]},
        values,
        unenhanced_values(patient, scan, seed),
        {level: "whole"},
        placement.turn,
    )
    return SimulatedCrop(
        volume.crop(inner),
        labels.crop(inner),
        truths[level],
        values.marrow_enhancement_hu,
        values.soft["aorta"],
    )


def _near(
    patient: PatientSpec, frames: dict[str, VertebraFrame], level: str
) -> tuple[VertebraFrame, ...]:
    """The vertebra, then its neighbours."""
    place = patient.levels.index(level)
    beside = [n for n in (place - 1, place + 1) if 0 <= n < len(patient.levels)]
    return (frames[level], *(frames[patient.levels[n]] for n in beside))


def _window(
    lattice: Lattice,
    near: tuple[VertebraFrame, ...],
    reach_mm: tuple[float, float, float],
    sub_slices: int,
) -> tuple[Box, Box]:
    """The box to paint, in whole slices, and the box of finished voxels to keep of it."""
    whole = vertebra_box(lattice, near[0])
    centre, reach = near[0].centre_mm, np.array(reach_mm[::-1])
    asked = lattice.box(centre - reach, centre + reach)
    if whole is None or asked is None:
        raise InputError(f"The scan does not hold {near[0].spec.level}; check where it ends.")
    boxes = [asked, _grown(lattice, whole, AROUND_MM)]
    for neighbour in near[1:]:
        box = vertebra_box(lattice, neighbour)
        if box is not None:
            boxes.append(_grown(lattice, box, AROUND_NEIGHBOURS_MM))
    z, y, x = box_around(boxes)
    margin = int(np.ceil(BLUR_MM / lattice.in_plane_mm))
    count = lattice.shape[0] // sub_slices
    first = z.start // sub_slices // WHOLE_STEP * WHOLE_STEP
    last = min(-(-z.stop // sub_slices), count)
    painted = [slice(first * sub_slices, last * sub_slices)]
    kept = [slice(0, last - first)]
    for span, size in ((y, lattice.shape[1]), (x, lattice.shape[2])):
        start = span.start // WHOLE_STEP * WHOLE_STEP
        low, high = max(start - margin, 0), min(span.stop + margin, size)
        painted.append(slice(low, high))
        kept.append(slice(start - low, span.stop - low))
    return (painted[0], painted[1], painted[2]), (kept[0], kept[1], kept[2])


def _grown(lattice: Lattice, box: Box, margin_mm: float) -> Box:
    out = []
    steps = (lattice.slice_mm, lattice.in_plane_mm, lattice.in_plane_mm)
    for span, step, size in zip(box, steps, lattice.shape, strict=True):
        by = int(np.ceil(margin_mm / step))
        out.append(slice(max(span.start - by, 0), min(span.stop + by, size)))
    return out[0], out[1], out[2]


def _placed(
    box: Box, order: tuple[int, int, int], flips: tuple[bool, bool, bool], shape: tuple[int, ...]
) -> Box:
    """A box of anatomical voxels in the scan's own order."""
    out = []
    for axis, flip in zip(order, flips, strict=True):
        cut, count = box[axis], shape[axis]
        out.append(slice(count - cut.stop, count - cut.start) if flip else cut)
    return out[0], out[1], out[2]
