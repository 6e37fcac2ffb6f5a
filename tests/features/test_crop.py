"""Crops of vertebrae: the right place, the right way up, and the HU that the scan has."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from osteoscope.anatomy.measure import measure_vertebrae
from osteoscope.anatomy.segmenters.file import FileSegmenter
from osteoscope.core.crop_spec import OUTSIDE_HU, CropSpec
from osteoscope.core.errors import GeometryError, InputError, QualityError
from osteoscope.core.grid import Grid
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.robust import weighted_quantiles
from osteoscope.core.volume import Volume
from osteoscope.densitometry.statistics import region_statistics
from osteoscope.densitometry.trabecular import trabecular_region
from osteoscope.features.crop import crop_grid, crop_measured, crop_vertebra
from osteoscope.features.resample import resample
from osteoscope.io.scan import read_scan
from osteoscope.simulation.patient import sample_patient
from osteoscope.simulation.render import SimulatedPatient, simulate_patient
from osteoscope.simulation.scan import ScanSpec

CT = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "ct"
SMALL = CropSpec(shape=(24, 36, 36), spacing_mm=(2.0, 2.0, 2.0))
ROUTINE = ScanSpec(
    in_plane_mm=1.3, slice_mm=2.0, noise_sd_hu=0.0, top_level="T12", bottom_level="L2"
)


@pytest.fixture(scope="module")
def patient() -> SimulatedPatient:
    return simulate_patient(sample_patient(np.random.default_rng(4)), ROUTINE, seed=4)


def scan_and_labels(patient: SimulatedPatient) -> tuple[Volume, LabelMap]:
    return patient.volume, patient.labels


def test_the_centre_of_the_crop_is_the_body(patient: SimulatedPatient) -> None:
    volume, labels = scan_and_labels(patient)
    vertebra = measure_vertebrae(labels, levels=("L1",))["L1"]
    grid = crop_grid(volume.grid, vertebra, SMALL)
    assert grid.index_to_world_mm((np.array(SMALL.shape) - 1) / 2) == pytest.approx(
        vertebra.centre_mm
    )
    truth = np.array(patient.truth.levels["L1"].centre_lps_mm)
    assert np.linalg.norm(vertebra.centre_mm - truth) < 3


def test_masking_takes_the_surroundings_away_and_nothing_else(patient: SimulatedPatient) -> None:
    volume, labels = scan_and_labels(patient)
    masked = crop_vertebra(volume, labels, "L1", SMALL)
    around = crop_vertebra(volume, labels, "L1", replace(SMALL, surroundings=True))
    kept = masked != OUTSIDE_HU
    assert np.array_equal(masked[kept], around[kept])
    assert masked.dtype == np.int16
    # The simulator knows the vertebra: the mask's volume is kept within the blur of 2 mm voxels.
    l1 = np.count_nonzero(labels.array == labels.scheme.vertebrae["L1"])
    inside = resample(
        (labels.canonical().array == labels.scheme.vertebrae["L1"]).view(np.uint8),
        labels.canonical().grid,
        crop_grid(volume.grid, measure_vertebrae(labels)["L1"], SMALL),
        outside=0.0,
    )
    assert kept.sum() * 8.0 == pytest.approx(float(inside.sum()) * 8.0, rel=0.05)
    assert kept.sum() * 8.0 <= l1 * labels.grid.voxel_volume_mm3
    # The bodies above and below are in the picture with surroundings only.
    for end in (0, -1):
        assert around[end, 12:24, 12:24].max() > 100
        assert masked[end, 15:21, 15:21].max() == OUTSIDE_HU


@pytest.mark.parametrize("position", ["HFP", "FFS", "HFDR"])
def test_however_the_scan_lies_the_crop_stands_upright(position: str) -> None:
    """The same patient scanned in another position: the crop is the same picture."""
    person = sample_patient(np.random.default_rng(6))
    scan = replace(ROUTINE, in_plane_mm=2.0)
    spec = replace(SMALL, surroundings=True)
    pictures = []
    for place in ("HFS", position):
        made = simulate_patient(person, replace(scan, patient_position=place), seed=1)
        pictures.append(crop_vertebra(made.volume, made.labels, "L1", spec).astype(float))
    plain, other = pictures
    for turned in (plain[::-1], plain[:, ::-1], plain[:, :, ::-1]):
        assert np.corrcoef(turned.ravel(), other.ravel())[0, 1] < 0.9
    assert np.corrcoef(plain.ravel(), other.ravel())[0, 1] > 0.98


def test_axes_run_superior_posterior_left(patient: SimulatedPatient) -> None:
    """T12 lies at the high end of the first axis, the spinous process at that of the second."""
    volume, labels = scan_and_labels(patient)
    around = replace(SMALL, surroundings=True)
    numbers = labels.scheme.vertebrae
    vertebra = measure_vertebrae(labels)["L1"]
    grid = crop_grid(volume.grid, vertebra, around)

    def centre(level: str) -> NDArray[np.float64]:
        mask = (labels.canonical().array == numbers[level]).view(np.uint8)
        share = resample(mask, labels.canonical().grid, grid, outside=0.0)
        index = np.stack(np.indices(share.shape), axis=-1)
        return np.asarray(np.average(index.reshape(-1, 3), axis=0, weights=share.ravel()))

    assert centre("T12")[0] > centre("L1")[0] > centre("L2")[0]
    assert centre("L1")[1] > (SMALL.shape[1] - 1) / 2  # arch and process lie behind the body
    # And in the world: left, posterior and superior, in that order of the axes' ends.
    world = grid.index_to_world_mm(np.array([[0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]], float))
    steps = world[1:] - world[0]
    assert steps[0][0] == pytest.approx(2.0, abs=0.1)
    assert steps[1][1] == pytest.approx(2.0, abs=0.1)
    assert steps[2][2] == pytest.approx(2.0, abs=0.1)


def test_a_linear_ramp_in_the_world_is_one_in_the_crop(patient: SimulatedPatient) -> None:
    """HU of 2 a mm to the left and -3 a mm upwards: every voxel inside holds the analytic value."""
    volume, labels = scan_and_labels(patient)
    vertebra = measure_vertebrae(labels, levels=("L1",))["L1"]
    own = CropSpec(shape=(20, 20, 20), surroundings=True, axes="vertebra")
    coarse = CropSpec(shape=(8, 10, 10), spacing_mm=(3.0, 2.5, 4.0), surroundings=True)
    for spec in (own, coarse):
        field = _ramp(volume.grid, vertebra.centre_mm)
        crop = crop_measured(replace(volume, array=field), vertebra, spec)
        grid = crop_grid(volume.grid, vertebra, spec)
        assert np.abs(crop - _ramp(grid, vertebra.centre_mm)).max() <= 0.51  # rounded to whole HU


def _ramp(grid: Grid, centre_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    index = np.stack(np.indices(grid.shape), axis=-1).astype(np.float64)
    away = grid.index_to_world_mm(index) - centre_mm
    return np.asarray(away @ np.array([2.0, 0.0, -3.0]) + 150.0)


@pytest.mark.parametrize("axes", ["scanner", "vertebra"])
@pytest.mark.parametrize("spacing_mm", [1.0, 2.0])
def test_trabecular_hu_of_the_crop_are_those_of_the_scan(
    patient: SimulatedPatient, axes: str, spacing_mm: float
) -> None:
    """Mean and median of the eroded body: from full resolution, and from the crop alone."""
    volume, labels = scan_and_labels(patient)
    side = round(64 / spacing_mm)
    spec = CropSpec(shape=(side,) * 3, spacing_mm=(spacing_mm,) * 3, axes=axes)  # type: ignore[arg-type]
    mean, median, crop_mean, crop_median = _trabecular(volume, labels, spec)
    assert crop_mean == pytest.approx(mean, abs=1.5)
    assert crop_median == pytest.approx(median, abs=1.5)


def _trabecular(
    volume: Volume, labels: LabelMap, spec: CropSpec
) -> tuple[float, float, float, float]:
    vertebra = measure_vertebrae(labels, levels=("L1",))["L1"]
    region = trabecular_region(vertebra)
    whole = region_statistics(volume.canonical(), region)
    crop = crop_measured(volume, vertebra, spec).astype(np.float64)
    grid = crop_grid(volume.grid, vertebra, spec)
    weights = resample(region.weights, region.grid, grid, outside=0.0).astype(np.float64)
    mean = float(np.sum(weights * crop) / np.sum(weights))
    used = weights > 0
    (median,) = weighted_quantiles(crop[used], weights[used], (0.5,))
    return whole.mean, whole.median, mean, median


def test_padding_and_metal_stay_in_range(patient: SimulatedPatient) -> None:
    volume, labels = scan_and_labels(patient)
    array = volume.array.astype(np.int32)
    array[labels.array == labels.scheme.vertebrae["T12"]] = 60_000
    array[labels.array == labels.scheme.vertebrae["L2"]] = -3024
    spec = replace(SMALL, surroundings=True)
    crop = crop_vertebra(replace(volume, array=array), labels, "L1", spec)
    assert crop.max() == np.iinfo(np.int16).max
    assert crop.min() >= OUTSIDE_HU


def test_what_lies_beyond_the_scan_is_air(patient: SimulatedPatient) -> None:
    volume, labels = scan_and_labels(patient)
    wide = CropSpec(shape=(100, 40, 40), spacing_mm=(2.0, 2.0, 2.0), surroundings=True)
    crop = crop_vertebra(volume, labels, "L1", wide)
    assert (crop[0] == OUTSIDE_HU).all()
    assert (crop[-1] == OUTSIDE_HU).all()
    assert crop[50].max() > 0


def test_a_vertebra_without_a_body_is_centred_on_its_label(patient: SimulatedPatient) -> None:
    volume, labels = scan_and_labels(patient)
    array = np.zeros_like(labels.canonical().array)
    array[20:24, 40:44, 50:54] = labels.scheme.vertebrae["L1"]
    splinter = LabelMap(array, labels.canonical().grid, labels.scheme)
    vertebra = measure_vertebrae(splinter)["L1"]
    assert vertebra.body is None
    grid = crop_grid(volume.grid, vertebra, SMALL)
    middle = splinter.grid.index_to_world_mm(np.array([21.5, 41.5, 51.5]))
    assert grid.index_to_world_mm((np.array(SMALL.shape) - 1) / 2) == pytest.approx(middle, abs=0.5)
    canonical = volume.canonical()
    assert crop_vertebra(canonical, splinter, "L1", SMALL).max() > OUTSIDE_HU
    with pytest.raises(QualityError, match=r"no axes of its own .*; crop along the scanner's"):
        crop_vertebra(canonical, splinter, "L1", replace(SMALL, axes="vertebra"))


def test_what_cannot_be_cropped_says_why(patient: SimulatedPatient) -> None:
    volume, labels = scan_and_labels(patient)
    with pytest.raises(QualityError, match="L5 is not among the labelled vertebrae"):
        crop_vertebra(volume, labels, "L5", SMALL)
    with pytest.raises(GeometryError, match="do not lie on the scan's grid"):
        crop_vertebra(volume, labels.crop((slice(1, None), slice(None), slice(None))), "L1", SMALL)
    with pytest.raises(InputError, match="not in mg/cm3"):
        crop_vertebra(replace(volume, unit="mg/cm3"), labels, "L1", SMALL)


@pytest.mark.skipif(not CT.is_dir(), reason="the shared real CT is not here")
def test_the_real_l1_keeps_its_trabecular_hu() -> None:
    """data/INDEX.md: the median of this L1's eroded body is 96 to 110 HU; so it is in the crop."""
    example = CT / "totalsegmentator_example"
    volume = read_scan(example / "ct.nii.gz").volume
    labels = FileSegmenter(example / "labels.nii.gz").segment(volume)
    mean, median, crop_mean, crop_median = _trabecular(volume, labels, CropSpec())
    assert 96 <= crop_median <= 110
    assert crop_median == pytest.approx(median, abs=5)
    # Its dense focus lies at the region's edge, and 3 mm voxels interpolated to 1 mm carry part of
    # it inwards: the median hardly feels it, the mean does.
    assert crop_mean == pytest.approx(mean, abs=6)
