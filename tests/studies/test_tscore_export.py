"""An exported run answers without torch as the run did, and its card says what it is."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from osteoscope.core.errors import InputError, ModelError
from osteoscope.evaluation.complete import EvaluationConfig
from osteoscope.evaluation.metrics import plain_metrics
from osteoscope.inference.session import open_model
from osteoscope.io.crop_store import CropStore, CropStoreWriter
from osteoscope.io.predictions_table import read_predictions
from osteoscope.studies.tscore.deployed import training_words
from osteoscope.studies.tscore.evaluate import evaluate_run
from osteoscope.studies.tscore.export import Exported, ExportOptions, export_run
from osteoscope.studies.tscore.fold import FoldRows
from osteoscope.studies.tscore.predict import predict_store
from osteoscope.studies.tscore.quantised import quantise_run
from osteoscope.studies.tscore.splits import SplitOptions, make_split, read_split
from osteoscope.studies.tscore.train import train_run
from osteoscope.studies.tscore.train_config import train_config
from tests.studies.tscore_stores import write_store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> CropStore:
    return write_store(tmp_path_factory.mktemp("export") / "store", (70, 50, 40))


@pytest.fixture(scope="module")
def run(store: CropStore) -> Path:
    out = store.folder.parent / "run"
    config = train_config(
        "embedded",
        settings=(
            "fit.epochs=6",
            "fit.batch_size=20",
            "fit.accelerator=cpu",
            "augment.blur_mm=0",
            "optimiser.learning_rate=0.005",
        ),
    )
    split = make_split(store, SplitOptions("holdout", 0, folds=4, validation_share=0.4))
    train_run(store, split, config, out)
    return out


@pytest.fixture(scope="module")
def exported(run: Path, store: CropStore) -> Exported:
    return export_run(
        run, store.folder, run.parent / "deployed" / "model.onnx", ExportOptions(licence="CC0-1.0")
    )


def test_the_deployed_model_says_what_the_run_said(
    exported: Exported, run: Path, store: CropStore, tmp_path: Path
) -> None:
    split = run / "split.json"
    summary = predict_store(store.folder, exported.model.path, tmp_path / "p.csv", split=split)
    fold = read_split(split).folds[0]
    assert summary["crops"] == len(fold.validation) + len(fold.test)
    deployed = read_predictions(tmp_path / "p.csv")
    trained = read_predictions(run / "predictions.parquet")
    of = {name: row for row, name in enumerate(trained.subject_id)}
    both = [(k, of[name]) for k, name in enumerate(deployed.subject_id) if name in of]
    assert len(both) > 50
    assert (deployed.part == trained.part[[of[name] for name in deployed.subject_id]]).all()
    ours, theirs = (np.array(column) for column in zip(*both, strict=True))
    np.testing.assert_allclose(
        deployed.probabilities[ours], trained.probabilities[theirs], atol=1e-4
    )
    np.testing.assert_allclose(
        deployed.t_score_predicted[ours], trained.t_score_predicted[theirs], atol=1e-3
    )


def test_it_knows_itself(exported: Exported, run: Path) -> None:
    spec = open_model(exported.model.path).spec
    assert spec == exported.spec
    assert spec.simulated
    assert spec.guard is not None
    assert spec.conformal is not None
    rows = read_predictions(run / "predictions.parquet")
    test = rows.select(rows.part == "test")
    value, low, high, n = spec.metrics["accuracy"]
    assert value == pytest.approx((test.probabilities.argmax(axis=1) == test.truth).mean())
    assert low < value < high or low == high
    assert n == len(test)


def test_the_card_holds_the_run_s_numbers(exported: Exported) -> None:
    text = exported.card.read_text(encoding="utf-8")
    value = exported.spec.metrics["macro_auc"][0]
    assert f"| {value:.3f}" in text
    assert "Trained on simulated subjects only" in text
    assert "CC0-1.0" in text
    assert "Not a medical device" in text


def test_predicting_needs_no_torch(
    exported: Exported, run: Path, store: CropStore, tmp_path: Path
) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from osteoscope.studies.tscore.predict import predict_store\n"
        f"predict_store(Path({str(store.folder)!r}), Path({str(exported.model.path)!r}), "
        f"Path({str(tmp_path / 'p.csv')!r}), split=Path({str(run / 'split.json')!r}))\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr


def test_what_eight_bits_cost_is_measured(exported: Exported, run: Path, store: CropStore) -> None:
    loss = quantise_run(run, store.folder, exported.model.path, ExportOptions(licence="CC0-1.0"))
    assert loss.size_bytes < 0.6 * exported.model.size_bytes
    assert loss.low <= loss.auc_int8 - loss.auc <= loss.high
    rows = read_predictions(run / "predictions.parquet")
    assert loss.auc == pytest.approx(
        plain_metrics(rows.select(rows.part == "test"))["macro_auc"], abs=1e-6
    )
    spec = open_model(loss.path).spec
    assert spec.name.endswith("int8")
    assert spec.metrics["macro_auc"][0] == pytest.approx(loss.auc_int8, abs=1e-9)
    assert spec.guard != exported.spec.guard


def test_a_run_is_evaluated_beside_its_baselines(run: Path, tmp_path: Path) -> None:
    complete = evaluate_run(run, EvaluationConfig(draws=200), out=tmp_path)
    assert set(complete.comparisons) == {"l1 attenuation", "l1 attenuation age and sex"}
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "l1 attenuation" in page
    assert "imulated" in page


def test_crops_of_another_cut_are_refused(
    exported: Exported, store: CropStore, tmp_path: Path
) -> None:
    writer = CropStoreWriter(tmp_path / "other", replace(store.spec, spacing_mm=(3.0, 3.0, 3.0)), 1)
    writer.add(store.crops[0], {"subject_id": "a", "level": "L1", "simulated": True})
    writer.finish()
    with pytest.raises(InputError, match="spacing_mm"):
        predict_store(tmp_path / "other", exported.model.path, tmp_path / "p.csv")


def test_another_store_is_refused(run: Path, tmp_path: Path) -> None:
    other = write_store(tmp_path / "other", seed=9)
    with pytest.raises(InputError, match="another store"):
        export_run(run, other.folder, tmp_path / "m.onnx", ExportOptions())


def test_the_training_s_own_store_needs_its_split(
    exported: Exported, store: CropStore, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="--split"):
        predict_store(store.folder, exported.model.path, tmp_path / "p.csv")


def test_half_the_size_says_what_half_the_size_does(
    run: Path, store: CropStore, exported: Exported, tmp_path: Path
) -> None:
    half = export_run(
        run, store.folder, tmp_path / "half.onnx", ExportOptions(licence="CC0-1.0", half=True)
    )
    assert half.model.size_bytes < 0.6 * exported.model.size_bytes
    assert half.spec.metrics.keys() == exported.spec.metrics.keys()
    assert "coverage" in half.spec.metrics
    assert half.spec.refers_to == pytest.approx(half.spec.prior)  # the preset puts them back


def test_a_cohort_with_real_subjects_is_not_called_simulated(tmp_path: Path) -> None:
    whole = write_store(tmp_path / "store", (40, 30, 30))
    simulated = np.ones(len(whole), bool)
    simulated[: len(whole) // 2] = False
    mixed = replace(whole, table={**whole.table, "simulated": simulated})
    rows = FoldRows(np.arange(60), np.arange(60, 80), np.arange(80, 100))
    words, only = training_words(mixed, rows, train_config("embedded"))
    assert not only
    assert "30 of 80 crops simulated" in words


def test_a_damaged_model_is_refused(exported: Exported, store: CropStore, tmp_path: Path) -> None:
    content = exported.model.path.read_bytes()
    (tmp_path / "m.onnx").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError):
        predict_store(store.folder, tmp_path / "m.onnx", tmp_path / "p.csv")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished run"):
        evaluate_run(tmp_path)
