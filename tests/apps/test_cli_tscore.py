"""``osteoscope tscore`` from end to end on a small store, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from osteoscope.apps.cli.main import main
from tests.studies.tscore_stores import write_store

_QUICK = (
    "--preset", "small", "--set", "fit.epochs=2", "--set", "fit.batch_size=20",
    "--set", "fit.accelerator=cpu", "--set", "augment.blur_mm=0",
)  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(tmp_path_factory.mktemp("cli") / "store").folder


def _out(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


@pytest.mark.slow
def test_split_train_evaluate_export_predict(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split, run, model = tmp_path / "split.json", tmp_path / "run", tmp_path / "m" / "model.onnx"
    assert main(["tscore", "split", str(store), "--out", str(split), "--per-class", "4"]) == 0
    train = ["tscore", "train", str(store), "--split", str(split), "--out", str(run), *_QUICK]
    _out(capsys)
    assert main([*train, "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["metrics"]["macro_auc"]["n"] == 12
    assert "epoch 2/2, loss " in printed.err
    assert "validation AUC" in printed.err
    assert main(["tscore", "evaluate", str(run), "--draws", "200", "--quiet"]) == 0
    assert "Simulated: no patients exist." in _out(capsys)
    assert main(["tscore", "export", str(run), "--store", str(store), "--out", str(model)]) == 0
    assert "differs from torch by" in _out(capsys)
    predict = ["tscore", "predict", str(store), "--model", str(model)]
    predict += ["--split", str(run / "split.json")]
    assert main([*predict, "--out", str(tmp_path / "p.csv"), "--quiet"]) == 0
    assert "24 crops" in _out(capsys)
    assert main(["evaluate", str(tmp_path / "p.csv"), "--out", str(tmp_path / "e"), "-q"]) == 0


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_predictions(store: Path, tmp_path: Path) -> None:
    """The whole command, killed by the system, started again."""
    command = [
        sys.executable, "-W", "ignore", "-m", "osteoscope.apps.cli.main", "tscore", "train",
        str(store), *_QUICK, "--set", "fit.epochs=4", "--set", "fit.checkpoint_every_steps=1",
    ]  # fmt: skip
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert subprocess.run([*command, "--out", str(whole), "-q"], check=False).returncode == 0
    with subprocess.Popen(
        [*command, "--out", str(killed)], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("epoch 2/4"):
                process.kill()
    assert not killed.exists()
    assert subprocess.run([*command, "--out", str(killed), "-q"], check=False).returncode == 0
    assert (whole / "predictions.parquet").read_bytes() == (
        killed / "predictions.parquet"
    ).read_bytes()


def test_show_prints_settings_that_can_be_read_back(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show = ["tscore", "train", str(store), "--out", str(tmp_path / "run"), "--show"]
    assert main([*show, "--set", "fit.epochs=7"]) == 0
    first = _out(capsys)
    assert "epochs = 7" in first
    (tmp_path / "mine.toml").write_text(first, encoding="utf-8")
    assert main([*show, "--preset", "small", "--config", str(tmp_path / "mine.toml")]) == 0
    assert _out(capsys) == first


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--preset", "magic"], "Unknown preset 'magic'; known: embedded, medconv, small."),
        (["--set", "fit.epoch=3"], "Unknown configuration key 'fit.epoch'"),
        (["--set", "fit.epochs=many"], "fit.epochs must be a whole number"),
        (["--set", "model.name=resnet51"], "resnet50"),
        (["--set", "model.head=four-class"], "model.head must be one of"),
        (["--split", "nowhere.json"], "The split nowhere.json cannot be read"),
        (["--set", "model.weights=weights.pth"], "weights.pth"),
        (["--set", "fit.accelerator=cuda", "--set", "fit.devices=64"], "CUDA"),
    ],
)
def test_wrong_use_of_train_is_one_sentence(
    words: list[str],
    sentence: str,
    store: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["tscore", "train", str(store), "--out", str(tmp_path / "run"), *_QUICK]
    assert main([*command, *words]) == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert sentence in printed.err
    assert not (tmp_path / "run").exists()


def test_a_corrupt_store_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = write_store(tmp_path / "store").folder
    crops = store / "crops.npy"
    content = bytearray(crops.read_bytes())
    content[-7] ^= 1
    crops.write_bytes(content)
    assert main(["tscore", "train", str(store), "--out", str(tmp_path / "run"), *_QUICK]) == 2
    assert "differs from its digest" in capsys.readouterr().err


def test_nothing_to_make_a_table_of_is_one_sentence(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tscore", "tables", str(store), "--out", str(tmp_path / "t")]) == 2
    assert "Say what to make" in capsys.readouterr().err


def test_without_the_extra_the_sentence_names_it(
    store: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("osteoscope.apps.cli.tscore.extra.find_spec", lambda _: None)
    assert main(["tscore", "train", str(store), "--out", str(tmp_path / "run")]) == 2
    assert "osteoscope[train]" in capsys.readouterr().err
