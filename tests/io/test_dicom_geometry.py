"""Where the voxels of a DICOM series lie, and which positions are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from osteoscope.core.errors import GeometryError
from osteoscope.core.grid import Grid
from osteoscope.io.scan import ScanReading, read_scan
from osteoscope.io.simple_itk import sitk
from tests.io.made_series import AXIAL, Made, texture, write_series

# Row and column cosines that a scanner writes for an axial slice, by patient position.
ORIENTATIONS = {
    "HFS": (1, 0, 0, 0, 1, 0),
    "HFP": (-1, 0, 0, 0, -1, 0),
    "HFDR": (0, -1, 0, 1, 0, 0),
    "HFDL": (0, 1, 0, -1, 0, 0),
    "FFS": (-1, 0, 0, 0, 1, 0),
    "FFP": (1, 0, 0, 0, -1, 0),
    "FFDR": (0, 1, 0, 1, 0, 0),
    "FFDL": (0, -1, 0, -1, 0, 0),
    "coronal": (1, 0, 0, 0, 0, -1),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "oblique": (0.98480775, 0.17364818, 0, -0.16317591, 0.92541658, 0.34202014),
}


def world_values(reading: ScanReading) -> np.ndarray:
    """What the texture is at each voxel's place in the world as read."""
    index = np.stack(np.indices(reading.volume.array.shape), axis=-1)
    return texture(reading.volume.grid.index_to_world_mm(index))


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_every_orientation_keeps_each_voxel_at_its_place(tmp_path: Path, name: str) -> None:
    orientation = tuple(float(v) for v in ORIENTATIONS[name])
    tags = {"PatientPosition": name} if name.isupper() else {}
    made = write_series(tmp_path, Made(orientation=orientation, tags=tags))
    reading = read_scan(tmp_path)
    assert reading.volume.array.dtype == np.int16
    assert np.max(np.abs(reading.volume.array - world_values(reading))) <= (name == "oblique")
    assert reading.volume.grid.spacing_mm == pytest.approx([1.5, 0.9, 0.7], abs=1e-6)
    if name.isupper():
        assert reading.volume.acquisition.patient_position == name
    canonical = reading.volume.canonical()
    assert np.all(np.diag(canonical.grid.directions[::-1]) > 0.8)
    assert reading.chosen.plane == {"coronal": "coronal", "sagittal": "sagittal"}.get(name, "axial")
    assert made.n == reading.chosen.n_slices


@pytest.mark.parametrize("name", ["HFS", "HFP", "FFDL", "oblique", "coronal"])
def test_simpleitk_reads_the_same_voxels_at_the_same_places(tmp_path: Path, name: str) -> None:
    write_series(tmp_path, Made(orientation=tuple(float(v) for v in ORIENTATIONS[name])))
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path))
    image = sitk.ReadImage(names)
    reading = read_scan(tmp_path)
    theirs = sitk.GetArrayFromImage(image)
    for corner in np.ndindex(2, 2, 2):
        index = np.array(corner) * (np.array(theirs.shape) - 1)
        world = image.TransformIndexToPhysicalPoint([int(n) for n in index[::-1]])
        ours = reading.volume.grid.world_mm_to_index(np.array(world))
        assert ours == pytest.approx(np.rint(ours), abs=1e-3)
        k, j, i = np.rint(ours).astype(int)
        assert reading.volume.array[k, j, i] == theirs[tuple(index)]


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    step=st.floats(0.3, 5.0),
    spacing=st.tuples(st.floats(0.2, 1.5), st.floats(0.2, 1.5)),
)
def test_any_rotation_gives_the_grid_of_its_header(
    tmp_path_factory: pytest.TempPathFactory, seed: int, step: float, spacing: tuple[float, float]
) -> None:
    axes = Rotation.random(random_state=seed).as_matrix()
    made = Made(
        n=10, rows=3, columns=4, orientation=(*axes[0], *axes[1]), step=step, spacing=spacing,
        values=lambda points: np.full(points.shape[:2], -500) + 40 * np.arange(points.shape[1]),
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("series")
    write_series(folder, made)
    grid = read_scan(folder).volume.grid
    index = np.array([[0, 0, 0], [9, 0, 0], [9, 2, 3]])
    truth = np.array([made.points(0)[0, 0], made.points(9)[0, 0], made.points(9)[2, 3]])
    assert np.allclose(grid.index_to_world_mm(index), truth, atol=1e-4)


def test_slice_thickness_and_instance_number_play_no_part(tmp_path: Path) -> None:
    def lie(k: int, ds: object) -> None:
        ds.InstanceNumber = (k * 5) % 12  # type: ignore[attr-defined]

    write_series(tmp_path, Made(tags={"SliceThickness": 5.0}, per_slice=lie))
    reading = read_scan(tmp_path)
    assert reading.volume.grid.spacing_mm[0] == pytest.approx(1.5)
    assert reading.volume.acquisition.slice_thickness_mm == 5.0
    assert np.array_equal(reading.volume.array, world_values(reading))


def refused(tmp_path: Path, match: str) -> None:
    with pytest.raises(GeometryError, match=match) as caught:
        read_scan(tmp_path)
    assert str(caught.value).endswith(".")


def test_a_missing_slice_is_refused_with_its_place(tmp_path: Path) -> None:
    write_series(tmp_path, Made(n=14), skip=[5])
    refused(tmp_path, r"Missing slices: about 1 .* after slice 5 of 13 .*3\.00 mm where 1\.50 mm")


def test_doubled_slices_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "a")
    write_series(tmp_path / "b", Made(n=3))
    refused(tmp_path, r"Doubled slices: 3 of 15")


def test_uneven_spacing_is_refused(tmp_path: Path) -> None:
    def move(k: int, ds: object) -> None:
        ds.ImagePositionPatient[2] += 0.1 * (k == 4)  # type: ignore[attr-defined]

    write_series(tmp_path, Made(per_slice=move))
    refused(tmp_path, r"Uneven spacing: .* 1\.400 to 1\.600 mm")


def test_spacing_that_drifts_within_the_tolerance_of_a_step_is_refused(tmp_path: Path) -> None:
    def squeeze(k: int, ds: object) -> None:
        ds.ImagePositionPatient[2] += 0.009 * max(0, k - 20)  # type: ignore[attr-defined]

    write_series(tmp_path, Made(n=40, step=1.0, rows=2, columns=2, per_slice=squeeze))
    read_scan(tmp_path)  # 0.045 mm at worst: fine
    write_series(tmp_path / "long", Made(n=80, step=1.0, rows=2, columns=2, per_slice=squeeze))
    with pytest.raises(GeometryError, match="Uneven spacing"):
        read_scan(tmp_path / "long")


def test_rounded_positions_are_accepted(tmp_path: Path) -> None:
    def round_off(k: int, ds: object) -> None:
        z = float(ds.ImagePositionPatient[2])  # type: ignore[attr-defined]
        ds.ImagePositionPatient[2] = round(z, 2)  # type: ignore[attr-defined]

    write_series(tmp_path, Made(step=0.625, per_slice=round_off))
    assert read_scan(tmp_path).volume.grid.spacing_mm[0] == pytest.approx(0.625, abs=0.002)


def test_a_slice_shifted_sideways_is_refused(tmp_path: Path) -> None:
    def shift(k: int, ds: object) -> None:
        ds.ImagePositionPatient[0] += 3.0 * (k == 6)  # type: ignore[attr-defined]

    write_series(tmp_path, Made(per_slice=shift))
    refused(tmp_path, r"shifted sideways .* 3\.00 mm")


def test_an_impossible_shear_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path, Made(tilt_drift=2.0))
    refused(tmp_path, r"sheared by 53 degrees")


def test_mixed_orientations_and_spacings_are_refused(tmp_path: Path) -> None:
    def turn(k: int, ds: object) -> None:
        if k == 3:
            ds.ImageOrientationPatient = [0.0, 1.0, 0.0, 1.0, 0.0, 0.0]  # type: ignore[attr-defined]

    def stretch(k: int, ds: object) -> None:
        if k == 3:
            ds.PixelSpacing = [0.8, 0.8]  # type: ignore[attr-defined]

    write_series(tmp_path / "a", Made(per_slice=turn))
    write_series(tmp_path / "b", Made(per_slice=stretch))
    refused(tmp_path / "a", r"different orientations \(1 \+ 11 slices\)")
    refused(tmp_path / "b", r"different pixel spacings")


def test_missing_positions_or_orientation_are_refused(tmp_path: Path) -> None:
    def forget(k: int, ds: object) -> None:
        if k == 3:
            ds.ImagePositionPatient = None  # type: ignore[attr-defined]

    write_series(tmp_path / "a", Made(per_slice=forget))
    write_series(tmp_path / "b", Made(tags={"PixelSpacing": None}))
    write_series(tmp_path / "c", Made(tags={"ImageOrientationPatient": None}))
    refused(tmp_path / "a", "without a position")
    refused(tmp_path / "b", "no orientation or no pixel spacing")
    refused(tmp_path / "c", "no orientation or no pixel spacing")


def smooth_ball(points: np.ndarray) -> np.ndarray:
    """A soft ball of 300 HU in air of -1000, 9.3 mm in radius, around (-14, 24, -20)."""
    distance = np.linalg.norm(points - np.array([-14.0, 24.0, -20.0]), axis=-1)
    return np.rint(-1000 + 1300 / (1 + np.exp(distance - 9.3))).astype(np.int32)


@pytest.mark.parametrize("drift", [0.35, -0.35])
def test_gantry_tilt_is_corrected_and_said_so(tmp_path: Path, drift: float) -> None:
    """A known ball stays at its place and round, whichever way the gantry leans."""
    angle = np.arctan2(abs(drift), 1.5)
    made = Made(
        n=24, rows=44, columns=30, spacing=(0.9, 0.9), tilt_drift=drift, values=smooth_ball,
        origin=(-27.0, 4.0 - 12 * drift, -38.0),
        tags={"GantryDetectorTilt": round(float(np.degrees(angle)), 2)},
    )  # fmt: skip
    write_series(tmp_path, made)
    reading = read_scan(tmp_path)
    grid, array = reading.volume.grid, reading.volume.array
    assert any("Gantry tilt of 13.1 degrees was corrected" in note for note in reading.notes)
    assert not any("the positions were believed" in note for note in reading.notes)
    assert array.dtype == np.int16
    assert grid.directions == pytest.approx(np.eye(3)[::-1], abs=1e-6)
    points = grid.index_to_world_mm(np.stack(np.indices(array.shape), axis=-1))
    inside = array > -350
    assert points[inside].mean(axis=0) == pytest.approx([-14.0, 24.0, -20.0], abs=0.1)
    # Voxel for voxel: linear interpolation of a smooth ball stays close to the truth.
    scanned = np.abs(points[..., 1] - 24.0) < 14
    assert np.max(np.abs(array - smooth_ball(points))[scanned]) < 40
    widths = [np.ptp(points[inside][:, axis]) for axis in range(3)]
    assert widths == pytest.approx([18.0, 18.0, 18.0], abs=2.1)


def test_a_tilt_that_header_and_positions_disagree_on_is_noted(tmp_path: Path) -> None:
    write_series(tmp_path, Made(tags={"GantryDetectorTilt": 12.0}))
    notes = read_scan(tmp_path).notes
    assert any("tilt of 12 degrees" in note and "show 0.0" in note for note in notes)


def test_a_grid_that_is_sheared_is_never_built() -> None:
    affine = np.eye(4)
    affine[0, 1] = 0.3
    with pytest.raises(GeometryError, match="right angles"):
        Grid((2, 2, 2), affine)


def test_axial_is_the_default_orientation() -> None:
    assert tuple(Made().normal) == (0.0, 0.0, 1.0)
    assert Made().orientation == AXIAL
