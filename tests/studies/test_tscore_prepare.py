"""Preparing a cohort: crops and measurements of scans, failures listed, resumed, labels fresh."""

import copy
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from osteoscope.anatomy.segmenters.file import FileSegmenter
from osteoscope.apps.cli.tscore.prepare import prepare as prepare_command
from osteoscope.apps.mapping import map_items
from osteoscope.core.errors import InputError
from osteoscope.features.crop import crop_vertebra
from osteoscope.io.crop_store import CropStore
from osteoscope.io.image_files import write_labels, write_volume
from osteoscope.io.scan import read_scan
from osteoscope.simulation.patient import sample_patient
from osteoscope.simulation.render import simulate_patient
from osteoscope.simulation.scan import ScanSpec
from osteoscope.studies.screen.config import ScreenConfig
from osteoscope.studies.screen.pipeline import screen_scan
from osteoscope.studies.tscore.prepare import PrepareOutcome, prepare_cohort
from osteoscope.studies.tscore.prepare_config import PrepareConfig

SMALL = PrepareConfig(shape=(20, 28, 28), spacing_mm=(2.5, 2.5, 2.5))
CT = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "ct"
HEADER = "subject_id,image,segmentation,t_score,class,age_years,sex,site\n"


_MADE: dict[Any, Any] = {}


def remembering(function: Any, items: Any, *, on_done: Any = None) -> list[Any]:
    """Maps as the real one does, but reads and measures each scan with each options once."""
    outcomes = []
    for index, item in enumerate(items):
        key = (item, function.keywords["config"])
        if key not in _MADE:
            (_MADE[key],) = map_items(function, [item])
        outcome = copy.deepcopy(_MADE[key])
        if on_done is not None:
            on_done(index, outcome)
        outcomes.append(outcome)
    return outcomes


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two simulated scans from T12 to L2, one with metal in L1, and one file that is no scan."""
    folder = tmp_path_factory.mktemp("scans")
    for number, defects in ((1, ()), (2, ("metal:L1",))):
        scan = ScanSpec(in_plane_mm=2.0, slice_mm=2.0, top_level="T12", bottom_level="L2")
        patient = sample_patient(np.random.default_rng(number), defects=defects)
        made = simulate_patient(patient, scan, seed=number)
        write_volume(folder / f"ct{number}.nii.gz", made.volume)
        sidecar = {"KVP": 120, "Simulated": True, "PatientSex": "F"}
        (folder / f"ct{number}.json").write_text(json.dumps(sidecar))
        write_labels(folder / f"labels{number}.nii.gz", made.labels.array, made.labels.grid)
    (folder / "ct3.nii.gz").write_bytes(b"not an image")
    return folder


def table_of(folder: Path, *rows: str) -> Path:
    (folder / "cohort.csv").write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return folder / "cohort.csv"


def both(folder: Path) -> Path:
    return table_of(
        folder,
        "s2,ct2.nii.gz,labels2.nii.gz,-2.5,,71,M,north",
        "s1,ct1.nii.gz,labels1.nii.gz,,normal,,,",
    )


def prepared(table: Path, out: Path, config: PrepareConfig = SMALL) -> PrepareOutcome:
    return prepare_cohort(table, out, config, mapper=remembering)


def counts(outcome: PrepareOutcome) -> tuple[int, int, int]:
    return outcome.n_done, outcome.n_failed, outcome.n_skipped


def test_a_store_holds_the_crops_and_what_is_known(scans: Path, tmp_path: Path) -> None:
    outcome = prepared(both(scans), tmp_path / "store")
    assert counts(outcome) == (2, 0, 0)
    store = CropStore.open(outcome.folder)
    assert store.spec == SMALL.crop
    assert store.column("subject_id").tolist() == ["s2", "s1"]
    assert store.column("class_index").tolist() == [2, 0]
    assert store.column("t_score")[0] == -2.5
    assert np.isnan(store.column("t_score")[1])
    assert store.column("age_years")[0] == 71
    assert np.isnan(store.column("age_years")[1])
    assert store.column("sex").tolist() == ["M", "F"]  # the table's word before the file's
    assert store.column("site").tolist() == ["north", ""]
    assert store.column("kvp").tolist() == [120, 120]
    assert store.simulated
    for row, number in enumerate((2, 1)):
        reading = read_scan(scans / f"ct{number}.nii.gz")
        labels = FileSegmenter(scans / f"labels{number}.nii.gz").segment(reading.volume)
        crop = crop_vertebra(reading.volume, labels, "L1", SMALL.crop)
        assert np.array_equal(store.crops[row], crop)
        assert store.column("image_digest")[row] == f"sha256:{reading.digest}"
    assert not (outcome.folder / "failures.csv").exists()


def test_the_attenuation_is_the_screen_s(scans: Path, tmp_path: Path) -> None:
    """l1_hu is what a screen of the same scan reports, and missing where it withholds it."""
    store = CropStore.open(prepared(both(scans), tmp_path / "store").folder)
    result = screen_scan(
        scans / "ct1.nii.gz",
        tmp_path / "screen",
        ScreenConfig(levels=("L1",)),
        segmentation=scans / "labels1.nii.gz",
        report=False,
    ).result
    measured = result["vertebrae"]["L1"]["measurements"]["trabecular_median_hu"]
    assert store.column("l1_hu")[1] == pytest.approx(measured["value"], abs=1e-6)
    assert np.isnan(store.column("l1_hu")[0])
    assert "metal" in store.column("l1_hu_reason")[0].lower()
    assert "metal_in_region" in store.column("flags")[0].split()
    assert np.isnan(store.column("virtual_dxa_t")).all()
    assert set(store.column("virtual_dxa_reason")) == {"No calibration was given."}


def test_failures_are_listed_and_stop_nothing(scans: Path, tmp_path: Path) -> None:
    table = table_of(
        scans,
        "s1,ct1.nii.gz,labels1.nii.gz,-1.0,,,,",
        "s3,ct3.nii.gz,labels1.nii.gz,-1.0,,,,",
        "s4,ct1.nii.gz,,-1.0,,,,",
    )
    told: list[tuple[str, str]] = []
    outcome = prepare_cohort(
        table,
        tmp_path / "store",
        SMALL,
        mapper=remembering,
        on_item=lambda *what: told.append(what),
    )
    assert counts(outcome) == (1, 2, 0)
    assert len(CropStore.open(outcome.folder)) == 1
    with (outcome.folder / "failures.csv").open(newline="") as stream:
        failures = list(csv.DictReader(stream))
    assert [row["subject_id"] for row in failures] == ["s3", "s4"]
    assert "no segmentation" in failures[1]["reason"]
    assert [state.partition(":")[0] for _, state in told] == ["done", "failed", "failed"]
    again = prepared(table, tmp_path / "store")
    assert counts(again) == (0, 2, 1)
    assert len(CropStore.open(again.folder)) == 1


def test_several_levels_are_rows_of_one_subject(scans: Path, tmp_path: Path) -> None:
    table = table_of(scans, "s1,ct1.nii.gz,labels1.nii.gz,-1.0,,,,")
    config = PrepareConfig(levels=("L1", "L2", "L5"), shape=(8, 8, 8), spacing_mm=(5.0, 5.0, 5.0))
    outcome = prepared(table, tmp_path / "store", config)
    assert counts(outcome) == (0, 1, 0)
    store = CropStore.open(outcome.folder)
    assert store.column("level").tolist() == ["L1", "L2"]
    assert store.column("subject_id").tolist() == ["s1", "s1"]
    l1, l2 = store.column("l1_hu")
    assert l1 != l2
    assert "s1,L5,L5 is not among the labelled" in (outcome.folder / "failures.csv").read_text()


def test_nothing_is_read_twice_and_the_same_work_gives_the_same_store(
    scans: Path, tmp_path: Path
) -> None:
    first = prepared(both(scans), tmp_path / "store")
    before = CropStore.open(first.folder)
    state = {path.name: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    again = prepared(both(scans), tmp_path / "store")
    assert counts(again) == (0, 0, 2)
    assert {p.name: p.stat().st_mtime_ns for p in first.folder.iterdir()} == state
    other = prepared(both(scans), tmp_path / "other")
    assert CropStore.open(other.folder).digest == before.digest


def test_changed_labels_need_no_reading_and_changed_files_do(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"
    prepared(both(scans), out)
    relabelled = table_of(
        scans,
        "s1,ct1.nii.gz,labels1.nii.gz,-1.5,,60,,south",
        "s2,ct2.nii.gz,labels2.nii.gz,,,,,",
    )
    assert counts(prepared(relabelled, out)) == (0, 0, 2)
    store = CropStore.open(out)
    assert store.column("subject_id").tolist() == ["s1", "s2"]
    assert store.column("class_index").tolist() == [1, -1]
    assert store.column("site").tolist() == ["south", ""]
    assert store.column("age_years")[0] == 60
    assert store.column("sex").tolist() == ["F", "F"]
    (scans / "labels1.nii.gz").touch()
    assert counts(prepared(relabelled, out)) == (1, 0, 1)
    fewer = table_of(scans, "s2,ct2.nii.gz,labels2.nii.gz,,,,,")
    assert counts(prepared(fewer, out)) == (0, 0, 1)
    assert CropStore.open(out).column("subject_id").tolist() == ["s2"]


def test_a_stopped_run_goes_on(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"
    table = both(scans)

    def stops_after_one(function: Any, items: Any, *, on_done: Any) -> Any:
        on_done(0, remembering(function, items[:1])[0])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_cohort(table, out, SMALL, mapper=stops_after_one)
    with pytest.raises(InputError, match="is no store"):
        CropStore.open(out)
    assert counts(prepared(table, out)) == (1, 0, 1)
    whole = prepared(table, tmp_path / "whole")
    assert CropStore.open(out).digest == CropStore.open(whole.folder).digest


def test_where_the_files_lie_is_no_part_of_the_store(scans: Path, tmp_path: Path) -> None:
    """A copy of the cohort elsewhere, with other times, gives the same digest."""
    copied = tmp_path / "elsewhere"
    copied.mkdir()
    for path in scans.iterdir():
        (copied / path.name).write_bytes(path.read_bytes())
    stores = [
        prepared(both(folder), tmp_path / f"store-{folder.name}") for folder in (scans, copied)
    ]
    one, other = (CropStore.open(outcome.folder) for outcome in stores)
    assert "source_key" not in one.table
    assert one.digest == other.digest


def test_several_workers_give_the_same_store(scans: Path, tmp_path: Path) -> None:
    table = both(scans)
    one = prepared(table, tmp_path / "one")

    def backwards(function: Any, items: Any, *, on_done: Any) -> Any:
        for index in reversed(range(len(items))):
            on_done(index, remembering(function, [items[index]])[0])

    many = prepare_cohort(table, tmp_path / "many", SMALL, mapper=backwards)
    assert CropStore.open(one.folder).digest == CropStore.open(many.folder).digest


def test_crops_do_not_stay_in_memory(scans: Path, tmp_path: Path) -> None:
    kept: list[Any] = []

    def keeping(function: Any, items: Any, *, on_done: Any) -> Any:
        for index, outcome in enumerate(remembering(function, items)):
            on_done(index, outcome)
            kept.append(outcome)

    prepare_cohort(both(scans), tmp_path / "store", SMALL, mapper=keeping)
    assert [outcome.value.crops for outcome in kept] == [[], []]


def test_a_store_of_other_crops_is_left_alone(scans: Path, tmp_path: Path) -> None:
    prepared(both(scans), tmp_path / "store")
    digest = CropStore.open(tmp_path / "store").digest
    with pytest.raises(InputError, match="a store of other crops"):
        prepared(both(scans), tmp_path / "store", PrepareConfig())
    assert CropStore.open(tmp_path / "store").digest == digest


def test_a_damaged_store_is_made_again(scans: Path, tmp_path: Path) -> None:
    whole = CropStore.open(prepared(both(scans), tmp_path / "store").folder).digest
    path = tmp_path / "store" / "crops.npy"
    path.write_bytes(path.read_bytes()[:-100])
    assert counts(prepared(both(scans), tmp_path / "store")) == (2, 0, 0)
    assert CropStore.open(tmp_path / "store").digest == whole


def test_where_nothing_can_be_prepared_nothing_is_left(scans: Path, tmp_path: Path) -> None:
    table = table_of(scans, "s4,ct1.nii.gz,,-1.0,,,,")
    with pytest.raises(InputError, match=r"None of the 1 scans .* no segmentation"):
        prepared(table, tmp_path / "store")
    assert list(tmp_path.iterdir()) == []


def test_a_calibrated_scan_has_a_virtual_t_score_or_a_reason(scans: Path, tmp_path: Path) -> None:
    table = table_of(scans, "s1,ct1.nii.gz,labels1.nii.gz,-1.0,,,,")
    config = PrepareConfig(shape=(8, 8, 8), spacing_mm=(5.0, 5.0, 5.0), calibration="internal")
    store = CropStore.open(prepared(table, tmp_path / "store", config).folder)
    assert np.isnan(store.column("virtual_dxa_t")[0])
    assert "L3" in store.column("virtual_dxa_reason")[0]  # the scan ends at L2


@pytest.mark.slow
def test_a_virtual_t_score_follows_the_simulated_dxa(tmp_path: Path) -> None:
    scan = ScanSpec(in_plane_mm=1.6, slice_mm=2.0, top_level="T12", bottom_level="L5")
    made = simulate_patient(sample_patient(np.random.default_rng(5)), scan, seed=5)
    write_volume(tmp_path / "ct.nii.gz", made.volume)
    (tmp_path / "ct.json").write_text(json.dumps({"KVP": 120, "Simulated": True}))
    write_labels(tmp_path / "labels.nii.gz", made.labels.array, made.labels.grid)
    table = table_of(tmp_path, "s1,ct.nii.gz,labels.nii.gz,,,,,")
    config = PrepareConfig(shape=(8, 8, 8), spacing_mm=(5.0, 5.0, 5.0), calibration="internal")
    store = CropStore.open(prepared(table, tmp_path / "store", config).folder)
    # The interval of an internally calibrated T-score spans more than one SD either side.
    assert store.column("virtual_dxa_t")[0] == pytest.approx(made.truth.dxa.t_score, abs=1.5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"levels": ("L9",)}, "Unknown vertebra"),
        ({"axes": "patient"}, "known: scanner, vertebra"),
        ({"scheme": "mine"}, "Unknown label scheme"),
        ({"calibration": "gone.csv"}, "gone.csv does not exist"),
        ({"calibration": 3}, "must be text"),
        ({"dxa_reference": "x"}, "Unknown DXA reference"),
    ],
)
def test_options_are_checked_before_any_scan(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        PrepareConfig(**options)


class TestCommand:
    """``osteoscope tscore prepare``."""

    @pytest.fixture
    def app(self) -> typer.Typer:
        app = typer.Typer()
        app.command()(prepare_command)
        return app

    def test_it_tells_what_it_did(self, app: typer.Typer, scans: Path, tmp_path: Path) -> None:
        table = table_of(
            scans,
            "s1,ct1.nii.gz,labels1.nii.gz,-1.0,,,,",
            "s3,ct3.nii.gz,labels1.nii.gz,-1.0,,,,",
        )
        arguments = [
            str(table), "--out", str(tmp_path / "store"), "--shape", "8", "--spacing", "5,4,4",
            "--surroundings", "--level", "L1", "--json",
        ]  # fmt: skip
        ran = CliRunner().invoke(app, arguments)
        assert ran.exit_code == 1
        told = json.loads(ran.stdout)
        assert (told["done"], told["failed"], told["skipped"], told["rows"]) == (1, 1, 0, 1)
        assert Path(told["failures"]).is_file()
        assert "s1: done" in ran.stderr
        spec = CropStore.open(tmp_path / "store").spec
        assert (spec.shape, spec.spacing_mm) == ((8, 8, 8), (5.0, 4.0, 4.0))
        assert spec.surroundings

    @pytest.mark.parametrize("shape", ["8,8", "a", "", "8,8,8,8", "8.5"])
    def test_a_shape_that_is_none(
        self, app: typer.Typer, scans: Path, tmp_path: Path, shape: str
    ) -> None:
        arguments = [str(both(scans)), "--out", str(tmp_path / "store"), "--shape", shape]
        ran = CliRunner().invoke(app, arguments)
        assert isinstance(ran.exception, InputError)
        assert "--shape takes one number or three" in str(ran.exception)

    def test_a_file_of_options_and_the_command_line_over_it(
        self, app: typer.Typer, scans: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "crops.toml").write_text("shape = [8, 9, 10]\nspacing_mm = [5.0, 5.0, 5.0]\n")
        table = table_of(scans, "s1,ct1.nii.gz,labels1.nii.gz,-1.0,,,,")
        arguments = [
            str(table), "--out", str(tmp_path / "store"), "--config", str(tmp_path / "crops.toml"),
            "--spacing", "4", "--quiet",
        ]  # fmt: skip
        ran = CliRunner().invoke(app, arguments)
        assert ran.exit_code == 0
        assert "1 done, 0 failed, 0 skipped" in ran.stdout
        assert ran.stderr == ""
        spec = CropStore.open(tmp_path / "store").spec
        assert (spec.shape, spec.spacing_mm) == ((8, 9, 10), (4.0, 4.0, 4.0))


@pytest.mark.skipif(not CT.is_dir(), reason="the shared real CT is not here")
def test_the_real_scan(tmp_path: Path) -> None:
    """data/INDEX.md: the median of its L1 is 96 to 110 HU; the Siemens series holds no L1."""
    example = (CT / "totalsegmentator_example").resolve()
    table = table_of(
        tmp_path,
        f"torso,{example / 'ct.nii.gz'},{example / 'labels.nii.gz'},,,,,",
        f"chest,{(CT / 'siemens_t11_t12_dicom').resolve()},"
        f"{(CT / 'siemens_t11_t12_labels.nii.gz').resolve()},,,,,",
    )
    outcome = prepared(table, tmp_path / "store", PrepareConfig(surroundings=True))
    assert counts(outcome) == (1, 1, 0)
    store = CropStore.open(outcome.folder)
    assert 96 <= store.column("l1_hu")[0] <= 110
    assert not store.simulated
    assert store.column("enhanced")[0] in ("", "no")
    assert "L1 is not among the labelled" in (outcome.folder / "failures.csv").read_text()
    # Trabecular bone of the body's middle, darker than the dense focus under the upper endplate.
    middle = store.crops[0, 28:36, 40:48, 44:52]
    assert 60 < np.median(middle) < 160
    assert store.crops[0].max() > 500
