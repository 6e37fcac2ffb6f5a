"""What the simulator's writer writes, the reader reads: two implementations of one standard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from osteoscope.core.grid import Grid
from osteoscope.core.volume import Acquisition, Volume
from osteoscope.io.dicom_write import write_ct_series
from osteoscope.io.scan import read_scan

TURNS = {
    "HFS": (0, 0, 0), "HFP": (0, 0, 180), "HFDR": (0, 0, 90), "HFDL": (0, 0, -90),
    "FFS": (0, 180, 0), "FFP": (180, 0, 0), "FFDR": (0, 180, 90), "FFDL": (0, 180, -90),
    "HFS oblique": (12, -8, 5),
}  # fmt: skip


@pytest.mark.parametrize("name", TURNS)
def test_every_position(tmp_path: Path, name: str) -> None:
    turn = Rotation.from_euler("xyz", TURNS[name], degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = (turn * [0.8, 0.9, 1.25])[:, ::-1]
    affine[:3, 3] = [-31.5, 42.25, -107.125]
    array = np.random.default_rng(1).integers(-1000, 2000, (12, 6, 8)).astype(np.int16)
    facts = Acquisition(
        kvp=100.0, kernel="Br40", patient_position=name.split()[0], slice_thickness_mm=1.25
    )
    volume = Volume(array, Grid((12, 6, 8), affine), "HU", facts)
    write_ct_series(tmp_path / "series", volume, uid_seed="5", patient_id="SIM-5")
    reading = read_scan(tmp_path / "series")
    written, read = volume.canonical(), reading.volume.canonical()
    assert np.array_equal(read.array, written.array)
    assert read.grid.matches(written.grid, 1e-3)
    assert reading.volume.acquisition.kvp == 100.0
    assert reading.volume.acquisition.kernel == "Br40"
    assert reading.volume.acquisition.patient_position == name.split()[0]


def test_a_simulated_patient_says_so(tmp_path: Path) -> None:
    array = np.random.default_rng(1).integers(-1000, 2000, (12, 6, 8)).astype(np.int16)
    affine = np.eye(4)[[2, 1, 0, 3]]
    volume = Volume(array, Grid((12, 6, 8), affine), "HU", Acquisition(simulated=True))
    write_ct_series(tmp_path / "series", volume, uid_seed="5", patient_id="SIM-5")
    assert read_scan(tmp_path / "series").volume.acquisition.simulated
