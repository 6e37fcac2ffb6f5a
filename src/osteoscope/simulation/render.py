"""A patient and a scan become an image, its labels and the truth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from osteoscope.core.box import Box
from osteoscope.core.errors import InputError
from osteoscope.core.label_schemes import label_scheme
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.volume import Acquisition, Volume
from osteoscope.simulation.acquire import PADDING_HU, placement_of, reconstruct
from osteoscope.simulation.canvas import Canvas, Lattice
from osteoscope.simulation.defects import paint_defects, paint_hip_implant
from osteoscope.simulation.dxa import examine_dxa
from osteoscope.simulation.patient_spec import PatientSpec
from osteoscope.simulation.scan import KERNEL_HEADER, ScanSpec
from osteoscope.simulation.skeleton import paint_disc, paint_pelvis, paint_ribs, paint_vertebra
from osteoscope.simulation.spine import VertebraFrame, spine_frames
from osteoscope.simulation.tissue_values import TissueValues, tissue_values
from osteoscope.simulation.torso import (
    Trunk,
    paint_canal,
    paint_muscles,
    paint_organs,
    paint_trunk,
    trunk_of,
)
from osteoscope.simulation.truth import (
    PatientTruth,
    hip_bottom_mm,
    level_truths,
    planted_flags,
    presence_of,
)
from osteoscope.simulation.vessels import paint_vessels

SACRUM_BELOW_S1_MM = 62.0
BODY_MARGIN_MM = 14.0


@dataclass(frozen=True, eq=False)
class SimulatedPatient:
    """One simulated scan with its labels and its truth.

    Args:
        volume: int16 HU, marked as simulated.
        labels: TotalSegmentator's scheme on the same grid.
        verse: VerSe's scheme on the same grid.
        subregions: TPTBox's subregions on the same grid.
        truth: Every number behind them.
    """

    volume: Volume
    labels: LabelMap
    verse: LabelMap
    subregions: LabelMap
    truth: PatientTruth


def simulate_patient(patient: PatientSpec, scan: ScanSpec, *, seed: int) -> SimulatedPatient:
    """Scan a simulated patient.

    Voxels are mixtures by volume of tissues whose CT numbers follow from their elements at the
    tube voltage; noise, bowel and marrow enhancement are drawn from ``seed``, so that the same
    arguments give the same arrays.

    Args:
        patient: From :func:`osteoscope.simulation.patient.sample_patient` or written by hand.
        scan: The acquisition.
        seed: Seed of everything that is drawn in the scan, 0 or above.

    Returns:
        Volume, labels in three schemes and the truth, on one grid.

    Raises:
        InputError: A level that the scan should start or end at is not in the patient.
    """
    frames = spine_frames(patient)
    trunk = trunk_of(patient, frames)
    canvas = blank_canvas(scan_lattice(patient, scan, frames, trunk))
    values = tissue_values(patient, scan, np.random.default_rng([seed, 1]))
    paint_anatomy(canvas, patient, frames, (trunk, values), seed)
    presence = presence_of(canvas, frames)
    planted = planted_flags(patient, scan, presence, trunk, canvas)
    placement = placement_of(canvas, scan)
    array = reconstruct(canvas, scan, np.random.default_rng([seed, 3]))
    reference = unenhanced_values(patient, scan, seed)
    truth = PatientTruth(
        levels=level_truths(frames, values, reference, presence, placement.turn),
        planted=planted,
        dxa=examine_dxa(patient),
        age_years=patient.age_years,
        sex=patient.sex,
        scan=scan,
        marrow_enhancement_hu=values.marrow_enhancement_hu,
        aorta_hu=values.soft["aorta"],
        variant=patient.variant,
    )
    volume = Volume(
        array=placement.apply(array),
        grid=placement.grid,
        acquisition=acquisition_of(patient, scan, canvas.scan),
        padding=None if scan.circle_mm is None else float(PADDING_HU),
    )
    middle = slice(scan.sub_slices // 2, None, scan.sub_slices)
    maps = [
        LabelMap(placement.apply(a[middle][: array.shape[0]]), placement.grid, label_scheme(name))
        for a, name in (
            (canvas.totalsegmentator, "totalsegmentator"),
            (canvas.verse, "verse"),
            (canvas.subregions, "tptbox-subregions"),
        )
    ]
    return SimulatedPatient(volume, maps[0], maps[1], maps[2], truth)


def unenhanced_values(patient: PatientSpec, scan: ScanSpec, seed: int) -> TissueValues:
    """What the tissues would show at 120 kVp without contrast."""
    plain = replace(scan, kvp=120.0, contrast_phase=None)
    return tissue_values(patient, plain, np.random.default_rng([seed, 1]))


def scan_lattice(
    patient: PatientSpec, scan: ScanSpec, frames: dict[str, VertebraFrame], trunk: Trunk
) -> Lattice:
    """Voxels that span the asked levels and the body, or the asked field of view.

    Raises:
        InputError: The levels are not in the patient, or no slice lies between them.
    """
    top = _edge(frames, scan.top_level, 1.0) + scan.top_margin_mm
    if scan.bottom_level == "sacrum":
        bottom = float(frames["S1"].centre_mm[2]) - SACRUM_BELOW_S1_MM
        if patient.hip_implant:
            bottom = min(bottom, hip_bottom_mm(frames["S1"], patient.body_scale))
    else:
        bottom = _edge(frames, scan.bottom_level, -1.0) - scan.bottom_margin_mm
    thin = scan.slice_mm / scan.sub_slices
    count = round((top - bottom) / scan.slice_mm) * scan.sub_slices
    if count < 1:
        raise InputError(
            f"The scan from {scan.top_level} to {scan.bottom_level} holds no slice; check the "
            "levels' order and the margins."
        )
    width = scan.field_of_view_mm
    if width is None:
        half = [max(trunk.half_axes(z)) for z in (bottom, 0.0, top)]
        width = 2.0 * (max(half) + BODY_MARGIN_MM)
    n = round(width / scan.in_plane_mm / 8) * 8
    row = (np.arange(n, dtype=np.float32) - np.float32((n - 1) / 2)) * np.float32(scan.in_plane_mm)
    return Lattice(
        x_mm=row,
        y_mm=row + np.float32(trunk.centre_y_mm),
        z_mm=np.float32(bottom) + (np.arange(count, dtype=np.float32) + 0.5) * np.float32(thin),
    )


def blank_canvas(lattice: Lattice, window: Box | None = None) -> Canvas:
    """An empty canvas on all voxels of a scan, or on a box of them."""
    window = window or (
        slice(0, lattice.shape[0]), slice(0, lattice.shape[1]), slice(0, lattice.shape[2])
    )  # fmt: skip
    shape = lattice.cut(window).shape
    return Canvas(
        scan=lattice,
        window=window,
        hu=np.zeros(shape, dtype=np.int16),
        totalsegmentator=np.zeros(shape, dtype=np.uint8),
        verse=np.zeros(shape, dtype=np.uint8),
        subregions=np.zeros(shape, dtype=np.uint8),
    )


def _edge(frames: dict[str, VertebraFrame], level: str, up: float) -> float:
    """Highest or lowest z of a level's body."""
    if level not in frames:
        known = ", ".join(frames)
        raise InputError(f"The patient has no vertebra {level}; there are {known}.")
    frame = frames[level]
    depth = frame.spec.depth_mm / 2
    front = frame.to_world((0, -depth, up * frame.spec.anterior_mm / 2))[2]
    back = frame.to_world((0, depth, up * frame.spec.posterior_mm / 2))[2]
    return float(max(front, back) if up > 0 else min(front, back))


def paint_anatomy(
    canvas: Canvas,
    patient: PatientSpec,
    frames: dict[str, VertebraFrame],
    around: tuple[Trunk, TissueValues],
    seed: int,
) -> None:
    """Everything, from the outside to the inside."""
    trunk, values = around
    paint_trunk(canvas, trunk, values)
    paint_organs(canvas, trunk, values, np.random.default_rng([seed, 2]))
    paint_muscles(canvas, frames, values, patient.body_scale)
    paint_vessels(canvas, patient, frames, values)
    paint_pelvis(canvas, patient, frames, values)
    paint_ribs(canvas, frames, trunk, values)
    for frame in frames.values():
        if frame.spec.level != "S1":
            paint_disc(canvas, frame, values)
    paint_canal(canvas, frames, values, patient.body_scale)
    for frame in frames.values():
        paint_vertebra(canvas, frame, values, patient.texture_seed)
    for frame in frames.values():
        paint_defects(canvas, frame, values, patient.texture_seed)
    if patient.hip_implant:
        paint_hip_implant(canvas, frames["S1"], patient.body_scale)


def acquisition_of(patient: PatientSpec, scan: ScanSpec, lattice: Lattice) -> Acquisition:
    """What the file will say about the scan."""
    width = float(len(lattice.x_mm) * scan.in_plane_mm)
    enhanced = scan.contrast_phase is not None and scan.header_names_contrast
    return Acquisition(
        kvp=scan.kvp if scan.header_names_kvp else None,
        kernel=KERNEL_HEADER[scan.kernel],
        contrast_agent="SIMULATED IODINE" if enhanced else None,
        contrast_enhanced=True if enhanced else None,
        slice_thickness_mm=scan.slice_mm,
        tube_current_ma=200.0,
        exposure_mas=100.0,
        manufacturer="osteoscope simulator",
        scanner_model="digital patient",
        patient_position=scan.patient_position,
        reconstruction_diameter_mm=scan.circle_mm if scan.circle_mm is not None else width,
        series_description=f"SIMULATED spine {scan.slice_mm:g} mm {KERNEL_HEADER[scan.kernel]}",
        patient_age_years=float(int(patient.age_years)),
        patient_sex=patient.sex,
        simulated=True,
    )
