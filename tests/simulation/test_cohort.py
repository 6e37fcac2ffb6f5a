"""Virtual cohorts on disk: same seed, same bytes; stopped runs go on; tables can be read."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from osteoscope.core.errors import InputError
from osteoscope.io.image_files import read_image
from osteoscope.io.scan import read_scan
from osteoscope.simulation.cohort import write_cohort
from osteoscope.simulation.cohort_mix import (
    NOTHING_PLANTED,
    CohortMix,
    draw_defects,
    draw_scan,
)
from osteoscope.simulation.patient import sample_patient
from osteoscope.simulation.patient_files import write_patient
from osteoscope.simulation.render import SimulatedPatient, simulate_patient
from osteoscope.simulation.scan import ScanSpec

COARSE = CohortMix(in_plane_mm=4.0, slice_mm=2.5, thick_slices=0.0, label_shift=1.0)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cohort")
    write_cohort(out, subjects=2, seed=5, mix=COARSE)
    return out


def test_the_same_seed_gives_the_same_bytes(cohort: Path, tmp_path: Path) -> None:
    write_cohort(tmp_path, subjects=2, seed=5, mix=COARSE)
    first, again = digests(cohort), digests(tmp_path)
    assert len(first) > 50
    assert first == again


def test_tables_name_files_and_truth(cohort: Path) -> None:
    with (cohort / "cohort.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [r["subject_id"] for r in rows] == ["sim-5-00001", "sim-5-00002"]
    for row in rows:
        for column in ("image", "segmentation", "subregions"):
            assert (cohort / row[column]).is_file()
        assert row["class"] in ("normal", "osteopenia", "osteoporosis")
        assert -6 < float(row["t_score"]) < 4
        assert row["simulated"] == "True"
        assert "possible_level_shift" in row["planted"]
    with (cohort / "truth.csv").open(newline="", encoding="utf-8") as stream:
        levels = list(csv.DictReader(stream))
    truth = json.loads((cohort / "sim-5-00001" / "truth.json").read_text(encoding="utf-8"))
    l1 = next(r for r in levels if (r["subject_id"], r["level"]) == ("sim-5-00001", "L1"))
    assert float(l1["vbmd_mg_cm3"]) == pytest.approx(truth["levels"]["L1"]["vbmd_mg_cm3"], abs=1e-3)
    assert truth["simulated"] is True


def test_a_stopped_cohort_goes_on(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_cohort(tmp_path, subjects=1, seed=5, mix=COARSE, formats=("nifti",))
    image = tmp_path / "sim-5-00001" / "ct.nii.gz"
    stamp = image.stat().st_mtime_ns
    leftover = tmp_path / ".sim-5-00002.partial"
    leftover.mkdir()
    (leftover / "junk").write_text("half written", encoding="utf-8")
    write_cohort(
        tmp_path, subjects=2, seed=5, mix=COARSE, formats=("nifti",),
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert seen == [(1, 2), (2, 2)]
    assert image.stat().st_mtime_ns == stamp
    assert not leftover.exists()
    assert not (tmp_path / "sim-5-00002" / "junk").exists()
    assert not (tmp_path / "sim-5-00002" / "dicom").exists()


def test_another_cohort_s_folder_is_refused(cohort: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(cohort, copy)
    before = digests(copy)
    with pytest.raises(InputError, match="another seed"):
        write_cohort(copy, subjects=2, seed=6, mix=COARSE)
    assert digests(copy) == before
    with pytest.raises(InputError, match="1-99999"):
        write_cohort(tmp_path / "none", subjects=0, seed=1)
    assert not (tmp_path / "none").exists()


def test_a_written_patient_reads_back(plain: SimulatedPatient, tmp_path: Path) -> None:
    files = write_patient(tmp_path, plain, patient_id="sim-test", formats=("nifti",))
    assert files.dicom is None
    assert files.image is not None
    read = read_image(files.image)
    np.testing.assert_array_equal(read.array, plain.volume.array)
    assert read.grid.matches(plain.volume.grid)
    labels = read_image(files.segmentation)
    np.testing.assert_array_equal(labels.array, plain.labels.array)
    facts = json.loads((tmp_path / "ct.json").read_text(encoding="utf-8"))
    assert facts["KVP"] == 120.0
    assert facts["Simulated"] is True
    with pytest.raises(InputError, match="dicom or nifti"):
        write_patient(tmp_path, plain, patient_id="sim-test", formats=("jpeg",))


@pytest.mark.parametrize(
    ("position", "oblique"), [("HFS", (0, 0, 0)), ("FFDL", (0, 0, 0)), ("HFP", (6, -4, 9))]
)
def test_a_written_series_is_read_where_it_was_scanned(
    position: str, oblique: tuple[float, float, float], tmp_path: Path
) -> None:
    scan = ScanSpec(
        in_plane_mm=4.0, slice_mm=4.0, patient_position=position, oblique_deg=oblique,
        contrast_phase="venous",
    )  # fmt: skip
    made = simulate_patient(sample_patient(np.random.default_rng(1)), scan, seed=1)
    files = write_patient(tmp_path, made, patient_id="sim-1-00001", formats=("dicom",))
    assert files.dicom is not None
    read = read_scan(files.dicom).volume
    np.testing.assert_array_equal(read.canonical().array, made.volume.canonical().array)
    assert read.canonical().grid.matches(made.volume.canonical().grid)
    assert read.acquisition == made.volume.acquisition


@pytest.mark.slow
def test_a_patient_takes_at_most_five_seconds_of_one_core(tmp_path: Path) -> None:
    patient = sample_patient(np.random.default_rng(2))
    start = time.process_time()
    made = simulate_patient(patient, ScanSpec(in_plane_mm=1.0, slice_mm=2.0), seed=1)
    write_patient(tmp_path, made, patient_id="sim-speed")
    assert time.process_time() - start <= 5.0


def test_shares_are_what_is_drawn() -> None:
    rng = np.random.default_rng(0)
    mix = CohortMix()
    drawn = [draw_defects(rng, mix) for _ in range(2000)]
    assert np.mean(["fracture" in d for d in drawn]) == pytest.approx(mix.fracture, abs=0.03)
    scans = [draw_scan(rng, mix, 150.0) for _ in range(2000)]
    enhanced = np.mean([s.contrast_phase is not None for s in scans])
    assert enhanced == pytest.approx(mix.contrast, abs=0.04)
    plain = [draw_scan(rng, NOTHING_PLANTED, 150.0) for _ in range(50)]
    assert {s.kvp for s in plain} == {120.0}
    assert {s.contrast_phase for s in plain} == {None}
    assert draw_defects(rng, NOTHING_PLANTED) == ()
    with pytest.raises(InputError, match="0-1"):
        CohortMix(fracture=1.5)
    with pytest.raises(InputError, match="exceed 1"):
        CohortMix(kvp_100=0.7, kvp_140=0.6)
