"""The paper's tables on a small store: shared trainings, resumption, published numbers beside."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from osteoscope.apps.mapping import map_items
from osteoscope.core.errors import InputError
from osteoscope.core.split import Fold, Split
from osteoscope.evaluation.estimates import Estimate
from osteoscope.io.crop_store import CropStore, CropStoreWriter
from osteoscope.studies.tscore import cost_accuracy
from osteoscope.studies.tscore.cost_accuracy import accuracies, percent
from osteoscope.studies.tscore.grid import RowResult, grid_rows, plan_grid
from osteoscope.studies.tscore.published import published_table
from osteoscope.studies.tscore.splits import default_split, read_split, write_split
from osteoscope.studies.tscore.table_cohort import open_cohort
from osteoscope.studies.tscore.table_files import Wanted, Written, write_tables
from tests.studies.tscore_stores import write_store

SETTINGS = (
    "model.name=small3d",
    "model.weights=none",
    "model.inflate=average",
    "fit.epochs=1",
    "fit.batch_size=30",
    "fit.accelerator=cpu",
    "augment.probability=0",
    "augment.blur_mm=0",
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(tmp_path_factory.mktemp("tables") / "store").folder


@pytest.fixture(scope="module")
def made(store: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Written]:
    """Table VI with both figures: one training."""
    out = tmp_path_factory.mktemp("made")
    return out, _write(Wanted((6,), (4, 6), cost=False), [store], out)


def _write(
    wanted: Wanted, stores: Sequence[Path], out: Path, *, split: Path | None = None
) -> Written:
    return write_tables(
        wanted, stores, out, split=split, settings=SETTINGS, mapper=partial(map_items, workers=1)
    )


def _no_training(*_: object, **__: object) -> None:
    raise AssertionError("a training was started")


def _other_segmenter(store: Path, folder: Path, without: Sequence[str], **changed: object) -> Path:
    """The same patients with other crops, but for those whose crop failed."""
    first = CropStore.open(store)
    kept = [k for k in range(len(first)) if first.row(k)["subject_id"] not in without]
    writer = CropStoreWriter(folder, first.spec, len(kept), sources={"made by": "test"})
    for k in kept:
        writer.add(first.crops[k] + np.int16(10), first.row(k) | changed)
    writer.finish()
    return folder


def _records(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_every_row_of_every_table_has_its_training() -> None:
    for table in (2, 3, 4, 5, 6):
        rows = grid_rows(table)
        assert len(rows) == len(published_table(table))
        assert all(row.settings for row in rows)


def test_table_3_takes_the_rows_of_table_2_that_it_repeats() -> None:
    labels = {row.label for row in grid_rows(3) if row.store == 0}
    assert "resnet50.a1_in1k, TotalSegmentator" in labels
    assert "resnet101.a1_in1k+pretrain, TotalSegmentator" in labels


def test_tables_share_trainings_and_stand_beside_the_paper(
    store: Path, made: tuple[Path, Written]
) -> None:
    out, written = made
    assert {path.name for path in written.files} == {"table6.md", "figure4.png", "figure6.png"}
    assert written.failed == 0
    (run,) = (out / "runs").iterdir()
    at = run.stat().st_mtime_ns
    rows = _records(out / "table6.csv")
    assert [row["Row"] for row in rows] == [f"tau2 = {r.label}" for r in published_table(6)]
    assert rows[5]["ROC AUC, published"] == "79.34"
    assert "–" in rows[5]["ROC AUC, ours (95 %)"]
    text = (out / "table6.md").read_text(encoding="utf-8")
    assert "SIMULATED" in text
    assert "Every row was changed by: model.name=small3d" in text
    # Table IV's row of the same backbone with Bal-CE is that training too.
    again = _write(Wanted((4,), (), cost=False, only=("resnet50*+balce",)), [store], out)
    assert again.failed == 0
    assert [path.stat().st_mtime_ns for path in (out / "runs").iterdir()] == [at]


def test_the_cost_table_takes_the_accuracy_of_the_finished_training(
    store: Path, made: tuple[Path, Written]
) -> None:
    out, _ = made
    cohort = open_cohort([store], None)
    jobs = [job for n in (2, 4) for job in plan_grid(grid_rows(n), cohort, out / "runs", SETTINGS)]
    found = accuracies(["small3d", "vit3d-base"], jobs)
    assert list(found) == ["small3d"]
    assert [found["small3d"].run] == [run.name for run in (out / "runs").iterdir()]
    assert found["small3d"].simulated
    # tau2 = 1 of Table VI is that row's answer.
    (row,) = [r for r in _records(out / "table6.csv") if float(r["Row"].split("=")[1]) == 1.0]
    assert row["ROC AUC, ours (95 %)"] == percent(found["small3d"].auc)
    assert row["n"] == str(found["small3d"].auc.n)
    other = plan_grid(grid_rows(4), cohort, out / "runs", (*SETTINGS, "fit.seed=7"))
    assert accuracies(["small3d"], other) == {}


@pytest.mark.parametrize(
    ("trained", "chosen"),
    [
        (("", "+pretrain", "+pretrain+balce", "+pretrain+balce+sam"), "+pretrain+balce"),
        (("", "+pretrain+balce+sam", "+pretrain+balce+resample"), "+pretrain+balce+resample"),
        (("+pretrain+sam", "+pretrain"), "+pretrain"),
    ],
)
def test_of_several_trainings_the_simplest_with_balce_stands_for_a_network(
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
    trained: tuple[str, ...],
    chosen: str,
) -> None:
    backbone = "resnet50.a1_in1k"
    jobs = plan_grid(grid_rows(2), open_cohort([store], None), Path("runs"))
    (expected,) = (job.folder.name for job in jobs if job.row.label == backbone + chosen)
    labels = {backbone + ingredients for ingredients in trained}
    estimate = Estimate("macro_auc", 0.7, 0.6, 0.8, 39)
    monkeypatch.setattr(cost_accuracy, "is_trained", lambda job: job.row.label in labels)
    monkeypatch.setattr(
        cost_accuracy, "row_result", lambda job: RowResult(job.row, {"macro_auc": estimate})
    )
    found = accuracies([backbone, "resnet18.a1_in1k"], jobs)
    assert {name: accuracy.run for name, accuracy in found.items()} == {backbone: expected}


@pytest.mark.slow
def test_costs_stand_beside_the_accuracy(store: Path, made: tuple[Path, Written]) -> None:
    out, _ = made
    told: list[str] = []
    written = write_tables(
        Wanted((), (), cost=True, cost_only=("small3d",)),
        [store],
        out,
        split=None,
        settings=SETTINGS,
        mapper=_no_training,
        on_done=lambda step, _: told.append(step),
    )
    assert written.files == (out / "costs.md",)
    (row,) = _records(out / "costs.csv")
    assert row["Network"] == "small3d"
    assert (out / "runs" / row["Run"] / "run.json").is_file()
    assert "–" in row["ROC AUC, ours (95 %)"]
    assert float(row["Latency, ms"]) > 0
    assert told[0] == "size of small3d"
    assert "At equal accuracy: 1 of these" in (out / "costs.md").read_text(encoding="utf-8")


def test_two_segmenters_are_compared_on_the_same_patients(store: Path, tmp_path: Path) -> None:
    lacking = ["p003", "p017", "p041"]
    second = _other_segmenter(store, tmp_path / "second", lacking)
    out = tmp_path / "out"
    wanted = Wanted((3,), (), cost=False, only=("resnet18*",))
    assert _write(wanted, [store, second], out).failed == 0
    rows = _records(out / "table3.csv")
    assert len(rows) == 2
    assert rows[0]["n"] == rows[1]["n"] != "failed"
    first, other = (read_split(run / "split.json") for run in (out / "runs").iterdir())
    assert first == other
    assert first.subjects == {f"p{k:03d}" for k in range(60)} - set(lacking)
    text = (out / "table3.md").read_text(encoding="utf-8")
    assert "over 57 subjects that both have; left out are 3 of the first store and 0" in text


def test_one_store_is_divided_as_a_training_divides_it(store: Path) -> None:
    cohort = open_cohort([store], None)
    assert cohort.split == default_split(CropStore.open(store), 0)
    assert cohort.left_out == (0,)


def test_a_split_file_serves_two_stores_that_hold_its_subjects(store: Path, tmp_path: Path) -> None:
    second = _other_segmenter(store, tmp_path / "second", ["p003"])
    fits, too_large = tmp_path / "fits.json", tmp_path / "large.json"
    write_split(fits, default_split(CropStore.open(second), 3))
    write_split(too_large, default_split(CropStore.open(store), 3))
    assert open_cohort([store, second], fits).split == read_split(fits)
    with pytest.raises(InputError, match=r"1 subject\(s\) who have no crop .* in store 2"):
        open_cohort([store, second], too_large)
    with pytest.raises(InputError, match=r"1 subject\(s\) who have no crop .* in the store"):
        open_cohort([second], too_large)


def test_stores_of_other_patients_are_refused(store: Path, tmp_path: Path) -> None:
    everybody = CropStore.open(store).column("subject_id").tolist()
    strangers = _other_segmenter(store, tmp_path / "a", everybody[1:], subject_id="stranger")
    with pytest.raises(InputError, match="no subject of known class in common"):
        open_cohort([store, strangers], None)
    relabelled = _other_segmenter(store, tmp_path / "b", [], class_index=1, t_score=-1.5)
    with pytest.raises(InputError, match=r"40 subject\(s\) have another class"):
        open_cohort([store, relabelled], None)
    with pytest.raises(InputError, match="one store, or two"):
        open_cohort([store] * 3, None)


@pytest.mark.parametrize(
    ("wanted", "settings", "words"),
    [
        # The second table's labels, Figure 6's and the cost table's are read before the first's
        # training.
        (Wanted((4, 5), (), False, ("resnet50*",)), (), "No row of Table 5"),
        (Wanted((4,), (6,), False, ("resnet50*",)), (), "No row of Table 6"),
        (Wanted((4,), (), True, (), ("alexnet",)), (), "No network of the cost table"),
        (Wanted((4,), (), False), ("fit.epoch=1",), "'fit.epoch'"),
        # Only Table V has a row with tau2 = 0 ("two_temperature" divides by it).
        (Wanted((6, 5), (), False), ("answer.reading=two_temperature",), "tau must be above 0"),
    ],
)
def test_what_cannot_be_made_is_refused_before_training(
    store: Path, tmp_path: Path, wanted: Wanted, settings: tuple[str, ...], words: str
) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match=words):
        write_tables(
            wanted,
            [store],
            out,
            split=None,
            settings=(*SETTINGS, *settings),
            mapper=_no_training,
        )
    assert not out.exists()


def test_a_split_that_tests_nobody_is_refused_before_training(store: Path, tmp_path: Path) -> None:
    (fold,) = default_split(CropStore.open(store), 0).folds
    path = tmp_path / "split.json"
    untested = Fold((*fold.train, *fold.test), fold.validation, ())
    write_split(path, Split("own", 0, (untested,)))
    with pytest.raises(InputError, match="no test subjects"):
        write_tables(
            Wanted((6,), (), cost=False),
            [store],
            tmp_path / "out",
            split=path,
            settings=SETTINGS,
            mapper=_no_training,
        )


def test_a_row_that_fails_is_named_and_the_others_stand(store: Path, tmp_path: Path) -> None:
    written = write_tables(
        Wanted((2,), (), cost=False, only=("ViT*", "resnet18.a1_in1k")),
        [store],
        tmp_path,
        split=None,
        settings=(
            *(s for s in SETTINGS if not s.startswith("model.")),
            "model.weights=nowhere.safetensors",
        ),
        mapper=partial(map_items, workers=1),
    )
    assert written.failed == 2
    text = (tmp_path / "table2.md").read_text(encoding="utf-8")
    assert "resnet18.a1_in1k failed: " in text
    assert "an accuracy of 33.54 % is no multiple of 1/78" in text


@pytest.mark.parametrize(
    ("tables", "figures", "words"),
    [((), (), "Say what"), ((7,), (), "no table 7"), ((), (5,), "no figure 5")],
)
def test_what_the_paper_does_not_have_is_refused(
    tables: tuple[int, ...], figures: tuple[int, ...], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        Wanted(tables, figures, cost=False)


def test_networks_of_no_cost_table_are_refused() -> None:
    with pytest.raises(InputError, match="give --cost too"):
        Wanted((2,), (), cost=False, cost_only=("small3d",))


def test_a_label_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="No row of Table 2"):
        grid_rows(2, ["alexnet*"])
