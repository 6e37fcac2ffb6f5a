"""The paper's tables on a small store: shared trainings, resumption, published numbers beside."""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path

import pytest

from osteoscope.apps.mapping import map_items
from osteoscope.core.errors import InputError
from osteoscope.studies.tscore.grid import grid_rows
from osteoscope.studies.tscore.published import published_table
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


def _write(wanted: Wanted, store: Path, out: Path, *settings: str) -> Written:
    return write_tables(
        wanted,
        [store],
        out,
        split=None,
        settings=(*SETTINGS, *settings),
        mapper=partial(map_items, workers=1),
    )


def test_every_row_of_every_table_has_its_training() -> None:
    for table in (2, 3, 4, 5, 6):
        rows = grid_rows(table)
        assert len(rows) == len(published_table(table))
        assert all(row.settings for row in rows)


def test_table_3_takes_the_rows_of_table_2_that_it_repeats() -> None:
    labels = {row.label for row in grid_rows(3) if row.store == 0}
    assert "resnet50.a1_in1k, TotalSegmentator" in labels
    assert "resnet101.a1_in1k+pretrain, TotalSegmentator" in labels


def test_tables_share_trainings_and_stand_beside_the_paper(store: Path, tmp_path: Path) -> None:
    wanted = Wanted((6,), (4, 6), cost=False)
    written = _write(wanted, store, tmp_path)
    assert {path.name for path in written.files} == {"table6.md", "figure4.png", "figure6.png"}
    assert written.failed == 0
    runs = sorted((tmp_path / "runs").iterdir())
    assert len(runs) == 1
    made = runs[0].stat().st_mtime_ns
    with (tmp_path / "table6.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["Row"] for row in rows] == [f"tau2 = {r.label}" for r in published_table(6)]
    assert rows[5]["ROC AUC, published"] == "79.34"
    assert "–" in rows[5]["ROC AUC, ours (95 %)"]
    text = (tmp_path / "table6.md").read_text(encoding="utf-8")
    assert "SIMULATED" in text
    assert "Every row was changed by: model.name=small3d" in text
    # Table IV's row of the same backbone with Bal-CE is that training too.
    again = _write(Wanted((4,), (), cost=False, only=("resnet50*+balce",)), store, tmp_path)
    assert again.failed == 0
    assert [path.stat().st_mtime_ns for path in (tmp_path / "runs").iterdir()] == [made]


def test_a_row_that_fails_is_named_and_the_others_stand(store: Path, tmp_path: Path) -> None:
    (tmp_path / "table2.md").unlink(missing_ok=True)
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


def test_a_label_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="No row of Table 2"):
        grid_rows(2, ["alexnet*"])
