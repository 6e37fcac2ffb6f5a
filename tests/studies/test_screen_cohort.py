"""A cohort's screen: failures are listed and stop nothing, and a second start resumes."""

import csv
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osteoscope.apps.mapping import map_items
from osteoscope.core.errors import InputError
from osteoscope.core.grid import Grid
from osteoscope.core.volume import Volume
from osteoscope.io.image_files import write_labels, write_volume
from osteoscope.simulation.patient import sample_patient
from osteoscope.simulation.render import simulate_patient
from osteoscope.simulation.scan import ScanSpec
from osteoscope.studies.screen.cohort import cohort_items, screen_cohort
from osteoscope.studies.screen.config import ScreenConfig

MAPPER = partial(map_items, workers=1, scheduler=None)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small simulated scans of T12 to L2, and one file that is not a scan."""
    folder = tmp_path_factory.mktemp("cohort")
    for number in (1, 2):
        scan = ScanSpec(in_plane_mm=1.6, slice_mm=2.0, top_level="T11", bottom_level="L3")
        patient = sample_patient(np.random.default_rng(number))
        made = simulate_patient(patient, scan, seed=number)
        write_volume(folder / f"ct{number}.nii.gz", made.volume)
        sidecar = {"KVP": 120, "Simulated": True}
        (folder / f"ct{number}.json").write_text(json.dumps(sidecar))
        write_labels(folder / f"labels{number}.nii.gz", made.labels.array, made.labels.grid)
    (folder / "ct3.nii.gz").write_bytes(b"not an image")
    (folder / "cohort.csv").write_text(
        "subject_id,image,segmentation\n"
        "s1,ct1.nii.gz,labels1.nii.gz\n"
        "s3,ct3.nii.gz,labels1.nii.gz\n"
        "s2,ct2.nii.gz,labels2.nii.gz\n"
    )
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_failures_are_listed_and_a_second_start_resumes(cohort: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told: list[tuple[str, str]] = []
    outcome = screen_cohort(
        cohort / "cohort.csv",
        out,
        ScreenConfig(),
        mapper=MAPPER,
        on_item=lambda name, state: told.append((name, state)),
    )
    assert (outcome.n_done, outcome.n_failed, outcome.n_skipped) == (2, 1, 0)
    assert [name for name, _ in told] == ["s1", "s3", "s2"]
    assert told[1][1].startswith("failed: ")
    rows = rows_of(outcome.table_path)
    assert [row["subject_id"] for row in rows] == ["s1", "s3", "s2"]
    assert rows[1]["status"] == "failed"
    assert rows[1]["error"]
    assert float(rows[0]["trabecular_median_hu"]) > 0
    assert rows[0]["simulated"] == "True"
    assert not (out / "s3").exists()
    assert "s3" in (out / "cohort.html").read_text()

    made = (out / "s1" / "result.json").stat().st_mtime_ns
    again = screen_cohort(cohort / "cohort.csv", out, ScreenConfig(), mapper=MAPPER)
    assert (again.n_done, again.n_failed, again.n_skipped) == (0, 1, 2)
    assert (out / "s1" / "result.json").stat().st_mtime_ns == made
    assert [row["subject_id"] for row in rows_of(again.table_path)] == ["s1", "s3", "s2"]


def test_other_options_or_a_changed_file_are_done_again(cohort: Path, tmp_path: Path) -> None:
    table = cohort / "one.csv"
    table.write_text("subject_id,image,segmentation\ns1,ct1.nii.gz,labels1.nii.gz\n")
    out = tmp_path / "out"
    first = screen_cohort(table, out, ScreenConfig(), mapper=MAPPER)
    assert first.n_done == 1
    other = screen_cohort(table, out, ScreenConfig(erosion_mm=4.0), mapper=MAPPER)
    assert (other.n_done, other.n_skipped) == (1, 0)
    result = json.loads((out / "s1" / "result.json").read_text())
    assert result["config"]["erosion_mm"] == 4.0
    image = cohort / "labels1.nii.gz"
    image.touch()
    third = screen_cohort(table, out, ScreenConfig(erosion_mm=4.0), mapper=MAPPER)
    assert third.n_done == 1


def test_an_interrupted_run_keeps_what_is_done(cohort: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def stops_after_one(function: Any, items: Any, *, on_done: Any) -> Any:
        on_done(0, map_items(function, items[:1])[0])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        screen_cohort(cohort / "cohort.csv", out, ScreenConfig(), mapper=stops_after_one)
    assert [row["subject_id"] for row in rows_of(out / "screen.csv")] == ["s1"]
    resumed = screen_cohort(cohort / "cohort.csv", out, ScreenConfig(), mapper=MAPPER)
    assert (resumed.n_done, resumed.n_failed, resumed.n_skipped) == (1, 1, 1)


def test_a_folder_tree_is_a_cohort_too(cohort: Path) -> None:
    scans = {scan.subject_id: scan for scan in cohort_items(cohort)}
    assert {"ct1", "ct2", "ct3"} <= set(scans)


def test_a_file_that_is_no_table_is_refused(cohort: Path) -> None:
    with pytest.raises(InputError, match="A cohort is a folder or a table"):
        cohort_items(cohort / "ct1.nii.gz")


def test_scan_and_labels_may_run_in_any_direction(cohort: Path, tmp_path: Path) -> None:
    """The same scan stored with flipped and swapped axes gives the same numbers."""
    from osteoscope.io.labels import read_labels
    from osteoscope.io.scan import read_scan
    from osteoscope.studies.screen.pipeline import screen_scan

    volume = read_scan(cohort / "ct1.nii.gz").volume
    labels = read_labels(cohort / "labels1.nii.gz")
    order, flip = [1, 2, 0], np.diag([-1.0, 1.0, -1.0])
    affine = volume.grid.affine_lps_mm.copy()
    matrix = affine[:3, :3][:, order]
    shape = tuple(np.array(volume.grid.shape)[order])
    corner = (np.diag(flip) < 0) * (np.array(shape) - 1)
    affine[:3, 3] += matrix @ corner
    affine[:3, :3] = matrix @ flip
    grid = Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)
    turn = (slice(None, None, -1), slice(None), slice(None, None, -1))
    write_volume(
        tmp_path / "ct.nii.gz",
        Volume(np.ascontiguousarray(volume.array.transpose(order)[turn]), grid),
    )
    turned = np.ascontiguousarray(labels.array.transpose(order)[turn])
    write_labels(tmp_path / "labels.nii.gz", turned, grid)
    plain = screen_scan(
        cohort / "ct1.nii.gz",
        tmp_path / "plain",
        ScreenConfig(),
        segmentation=cohort / "labels1.nii.gz",
        report=False,
    )
    other = screen_scan(
        tmp_path / "ct.nii.gz",
        tmp_path / "turned",
        ScreenConfig(),
        segmentation=tmp_path / "labels.nii.gz",
        report=False,
    )
    for code, expected in plain.result["vertebrae"]["L1"]["measurements"].items():
        found = other.result["vertebrae"]["L1"]["measurements"][code]
        assert found["value"] == pytest.approx(expected["value"], abs=0.05, rel=1e-3), code
