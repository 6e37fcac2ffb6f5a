"""A whole training on a small store: the run folder, its leaks, its resumption, its baselines."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osteoscope.core.config_file import config_from_toml
from osteoscope.core.errors import InputError
from osteoscope.core.split import Fold, Split
from osteoscope.evaluation.metrics import plain_metrics
from osteoscope.io.crop_store import CropStore
from osteoscope.io.predictions_table import read_predictions
from osteoscope.studies.tscore.answer import AnswerConfig
from osteoscope.studies.tscore.answered import answered_predictions
from osteoscope.studies.tscore.train import train_run
from osteoscope.studies.tscore.train_config import TrainConfig, train_config
from tests.studies.tscore_stores import write_store

SETTINGS = (
    "model.name=small3d",
    "model.weights=none",
    "fit.epochs=3",
    "fit.batch_size=12",
    "fit.accelerator=cpu",
    "augment.blur_mm=0",
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> CropStore:
    return write_store(tmp_path_factory.mktemp("tscore") / "store")


@pytest.fixture(scope="module")
def split(store: CropStore) -> Split:
    """Every second subject learns, the others choose and test, by class in turn."""
    subjects, classes = store.column("subject_id"), store.column("class_index")
    parts: tuple[list[str], list[str], list[str]] = ([], [], [])
    for index in range(3):
        for k, name in enumerate(subjects[classes == index]):
            parts[(0, 1, 0, 2)[k % 4]].append(str(name))
    return Split("test", 0, (Fold(*(tuple(part) for part in parts)),))


def _config(*settings: str) -> TrainConfig:
    return train_config("small", settings=(*SETTINGS, *settings))


@pytest.fixture(scope="module")
def run(store: CropStore, split: Split, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    train_run(store, split, _config("fit.epochs=40"), out)
    return out


def test_a_run_holds_what_its_contract_names(run: Path, split: Split) -> None:
    assert {"config.toml", "split.json", "predictions.parquet", "run.json", "fold_0"} <= {
        p.name for p in run.iterdir()
    }
    assert config_from_toml(TrainConfig, run / "config.toml") == _config("fit.epochs=40")
    assert Split.from_json((run / "split.json").read_text(encoding="utf-8")) == split
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert record["simulated"] is True
    assert record["split_digest"] == split.digest
    assert not list(run.parent.glob(".*unfinished"))


def test_the_classes_are_learned(run: Path, split: Split) -> None:
    rows = read_predictions(run / "predictions.parquet")
    test = rows.select(rows.part == "test")
    assert set(test.subject_id) == set(split.folds[0].test)
    assert plain_metrics(test)["macro_auc"] > 0.8


def test_baselines_stand_beside_the_network(run: Path, split: Split) -> None:
    rows = read_predictions(run / "baselines" / "l1-attenuation.parquet")
    assert set(rows.subject_id[rows.part == "test"]) == set(split.folds[0].test)
    assert (run / "baselines" / "l1-attenuation-age-and-sex.parquet").is_file()
    assert not (run / "baselines" / "virtual-dxa.parquet").exists()


def test_nothing_that_is_chosen_sees_the_test_subjects(
    store: CropStore, split: Split, tmp_path: Path
) -> None:
    """With other test labels the same weights, epoch, tau, temperature and sets come out."""
    rows = np.isin(store.column("subject_id"), split.folds[0].test)
    classes = np.where(rows, (store.column("class_index") + 1) % 3, store.column("class_index"))
    t_scores = np.where(rows, np.nan, store.column("t_score"))
    other = replace(store, table={**store.table, "class_index": classes, "t_score": t_scores})
    found = []
    for name, crops in (("true", store), ("other", other)):
        train_run(crops, split, _config(), tmp_path / name)
        record = json.loads((tmp_path / name / "fold_0" / "fold.json").read_text(encoding="utf-8"))
        for epoch in record["history"]:
            del epoch["seconds"]
        found.append(record)
    assert found[0] == found[1]


def test_a_run_that_was_stopped_goes_on(store: CropStore, split: Split, tmp_path: Path) -> None:
    config = _config("fit.checkpoint_every_steps=1")
    train_run(store, split, config, tmp_path / "whole")
    calls = 0

    def stop(*_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_run(store, split, config, tmp_path / "stopped", on_progress=stop)
    assert not (tmp_path / "stopped").exists()
    train_run(store, split, config, tmp_path / "stopped")
    whole, stopped = (
        read_predictions(tmp_path / name / "predictions.parquet") for name in ("whole", "stopped")
    )
    np.testing.assert_array_equal(whole.probabilities, stopped.probabilities)


def test_another_run_is_not_continued(store: CropStore, split: Split, tmp_path: Path) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_run(store, split, _config(), tmp_path / "run", on_progress=stop)
    with pytest.raises(InputError, match="other settings"):
        train_run(store, split, _config("optimiser.learning_rate=0.5"), tmp_path / "run")


def test_something_else_is_not_overwritten(store: CropStore, split: Split, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="holds something"):
        train_run(store, split, _config(), tmp_path / "run")


def test_a_finished_run_is_not_trained_over(
    store: CropStore, split: Split, run: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="--replace"):
        train_run(store, split, _config("fit.epochs=1"), run)
    out = tmp_path / "run"
    train_run(store, split, _config("fit.epochs=1"), out)
    train_run(store, split, _config("fit.epochs=2"), out, replace=True)
    history = json.loads((out / "fold_0" / "fold.json").read_text(encoding="utf-8"))["history"]
    assert len(history) == 2


def test_a_kill_after_the_rename_leaves_a_whole_run(
    store: CropStore, split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("osteoscope.studies.tscore.train.finish_run", killed)
        with pytest.raises(KeyboardInterrupt):
            train_run(store, split, _config(), tmp_path / "run")
    steps: list[int] = []
    train_run(
        store, split, _config(), tmp_path / "run", on_progress=lambda *p: steps.append(p[2].step)
    )
    assert (tmp_path / "run" / "run.json").is_file()
    assert not (tmp_path / "run" / "unfinished.json").exists()
    assert not list((tmp_path / "run").glob("fold_*/checkpoint.safetensors"))


def test_damaged_logits_are_one_sentence(run: Path, store: CropStore, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    content = (copy / "fold_0" / "logits.npz").read_bytes()
    (copy / "fold_0" / "logits.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="damaged"):
        answered_predictions(copy, store.folder, AnswerConfig())


def test_another_answer_needs_no_training(run: Path, store: CropStore) -> None:
    same = answered_predictions(run, store.folder, _config().answer)
    np.testing.assert_allclose(
        same.probabilities, read_predictions(run / "predictions.parquet").probabilities, atol=1e-12
    )
    plain, added = (
        answered_predictions(
            run, store.folder, AnswerConfig(reading="add", tau=tau, temperature="none")
        ).probabilities
        for tau in (0.0, 1.0)
    )
    prior = json.loads((run / "fold_0" / "fold.json").read_text(encoding="utf-8"))["prior"]
    moved = np.log(added[:, 0] / added[:, 2]) - np.log(plain[:, 0] / plain[:, 2])
    np.testing.assert_allclose(moved, np.log(prior[0] / prior[2]), rtol=1e-6)


def test_a_split_of_another_store_is_refused(
    store: CropStore, split: Split, tmp_path: Path
) -> None:
    fold = split.folds[0]
    foreign = Split("test", 0, (replace(fold, train=(*fold.train, "stranger")),))
    with pytest.raises(InputError, match="1 subject"):
        train_run(store, foreign, _config(), tmp_path / "run")


@pytest.mark.parametrize("head", ["corn", "cumulative", "t-score", "joint"])
def test_every_head_makes_a_whole_run(
    head: str, store: CropStore, split: Split, tmp_path: Path
) -> None:
    settings = [f"model.head={head}"]
    if head == "corn":
        settings.append("loss.name=cross_entropy")
    trained = train_run(store, split, _config(*settings), tmp_path / "run")
    assert np.isfinite(trained.predictions.probabilities).all()
    assert np.isfinite(trained.predictions.t_score_predicted).all() == (
        head in ("t-score", "joint")
    )
