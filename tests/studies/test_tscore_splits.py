"""Dividing a store: by subject, whatever its rows; made once."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from osteoscope.apps.cli.tscore.split import split as split_command
from osteoscope.core.crop_spec import CropSpec
from osteoscope.core.errors import InputError
from osteoscope.io.crop_store import CropStore, CropStoreWriter
from osteoscope.studies.tscore.splits import (
    SplitOptions,
    default_split,
    make_split,
    read_split,
    store_subjects,
    write_split,
)

SPEC = CropSpec(levels=("L1", "L2"), shape=(4, 4, 4))
CROP = np.zeros(SPEC.shape, dtype=np.int16)


def store_of(folder: Path, counts: tuple[int, int, int], unknown: int = 0) -> CropStore:
    """Subjects of each class with one row or two, at two sites."""
    classes = [c for c, count in enumerate(counts) for _ in range(count)] + [-1] * unknown
    writer = CropStoreWriter(folder, SPEC, 2 * len(classes))
    for number, index in enumerate(classes):
        for level in ("L1", "L2")[: 1 + number % 2]:
            row = {"subject_id": f"s{number}", "level": level, "class_index": index}
            writer.add(CROP, row | {"site": "north" if number % 3 else "south"})
    return CropStore.open(writer.finish())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> CropStore:
    return store_of(tmp_path_factory.mktemp("stores") / "store", (40, 35, 30), unknown=2)


@pytest.mark.parametrize("scheme", ["paper", "kfold", "nested", "site"])
def test_every_scheme_divides_subjects_not_rows(store: CropStore, scheme: str) -> None:
    split = make_split(store, SplitOptions(scheme, seed=3))
    assert split.scheme == scheme
    names, classes = store.column("subject_id"), store.column("class_index")
    assert split.subjects == set(names[classes >= 0].tolist())
    assert len(split.subjects) == 105
    for fold in split.folds:
        train = np.isin(names, fold.train)
        test = np.isin(names, fold.test)
        assert not set(names[train]) & set(names[test])
    assert store_subjects(store).n_without_class == 2


def test_the_paper_s_split_is_the_default(store: CropStore) -> None:
    (fold,) = default_split(store, 0).folds
    assert (len(fold.validation), len(fold.test)) == (39, 39)
    assert default_split(store, 0) == make_split(store, SplitOptions("paper", 0))


def test_a_small_cohort_has_a_default_too(tmp_path: Path) -> None:
    (fold,) = default_split(store_of(tmp_path / "store", (20, 12, 7)), 0).folds
    assert (len(fold.train), len(fold.validation), len(fold.test)) == (27, 6, 6)
    with pytest.raises(InputError, match="has 2 subjects"):
        default_split(store_of(tmp_path / "other", (20, 12, 2)), 0)


def test_a_subject_of_two_classes_is_refused(tmp_path: Path) -> None:
    writer = CropStoreWriter(tmp_path / "store", SPEC, 2)
    for level, index in (("L1", 0), ("L2", 1)):
        writer.add(CROP, {"subject_id": "s1", "level": level, "class_index": index})
    store = CropStore.open(writer.finish())
    with pytest.raises(InputError, match=r"rows of 1 subject\(s\) of the store differ in class"):
        make_split(store, SplitOptions())


def test_a_store_without_classes_cannot_be_divided(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No subject of the store has a class"):
        make_split(store_of(tmp_path / "store", (0, 0, 0), unknown=3), SplitOptions())


def test_an_unknown_scheme_lists_the_known(store: CropStore) -> None:
    with pytest.raises(InputError, match="known: paper, kfold, holdout, nested, site"):
        make_split(store, SplitOptions("random"))


def test_a_split_is_made_once(store: CropStore, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "split.json"
    split = make_split(store, SplitOptions(seed=1))
    write_split(path, split)
    assert read_split(path) == split
    write_split(path, split)
    with pytest.raises(InputError, match="a split is made once"):
        write_split(path, make_split(store, SplitOptions(seed=2)))
    assert read_split(path) == split
    (tmp_path / "note.json").write_text("{}")
    with pytest.raises(InputError, match="something else"):
        write_split(tmp_path / "note.json", split)


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"{}"])
def test_a_file_that_is_no_split_is_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "split.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="osteoscope tscore split"):
        read_split(path)


def run(*arguments: Any) -> Any:
    app = typer.Typer()
    app.command()(split_command)
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_the_command_writes_and_tells(store: CropStore, tmp_path: Path) -> None:
    out = tmp_path / "split.json"
    ran = run(store.folder, "--out", out, "--scheme", "nested", "--folds", 3, "--inner-folds", 2)
    assert ran.exit_code == 0
    assert "Fold 3 of 3" in ran.stdout
    assert "2 subjects without a class" in ran.stdout
    split = read_split(out)
    assert len(split.folds) == 3
    assert len(split.folds[0].inner) == 2
    again = run(store.folder, "--out", tmp_path / "2.json", "--scheme", "nested", "--folds", 3,
                "--inner-folds", 2, "--json")  # fmt: skip
    told = json.loads(again.stdout)
    assert told["digest"] == split.digest
    assert sum(fold["test"] for fold in told["folds"]) == 105
    assert told["without_class"] == 2
