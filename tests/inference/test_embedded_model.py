"""The model that the package ships: small, honest about itself, and better than chance on fresh
simulated patients."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from osteoscope.apps.mapping import map_items
from osteoscope.evaluation import evaluate
from osteoscope.inference.embedded_model import require_embedded
from osteoscope.inference.session import DeployedModel, open_model
from osteoscope.io.predictions_table import read_predictions
from osteoscope.simulation.cohort_preset import cohort_preset
from osteoscope.studies.tscore.predict import predict_store
from osteoscope.studies.tscore.virtual_cohort import VirtualStorePlan, write_virtual_store

_FRESH_SEED = 987_654


@pytest.fixture(scope="module")
def model() -> DeployedModel:
    return open_model(require_embedded())


def test_it_is_small_and_says_what_it_is(model: DeployedModel) -> None:
    assert require_embedded().stat().st_size <= 8 * 2**20
    assert model.spec.simulated
    assert "simulated subjects only" in model.spec.training
    assert model.spec.licence == "Apache-2.0"
    assert model.spec.guard is not None
    assert model.spec.conformal is not None


def test_its_card_holds_its_auc(model: DeployedModel) -> None:
    card = require_embedded().with_suffix(".md").read_text(encoding="utf-8")
    for name in ("macro_auc", "auc_osteoporosis"):
        value, low, high, n = model.spec.metrics[name]
        assert f"| {value:.3f}" in card
        assert f"{low:.3f} to {high:.3f}" in card
        assert n >= 300


@pytest.mark.slow
def test_on_fresh_simulated_patients_it_does_what_its_card_says(
    model: DeployedModel, tmp_path: Path
) -> None:
    """Fifty new patients of the same virtual population: the AUC's interval meets the card's."""
    plan = VirtualStorePlan(cohort_preset("population"), 50, _FRESH_SEED, model.spec.crop)
    store = write_virtual_store(tmp_path / "store", plan, mapper=partial(map_items, workers=1))
    summary = predict_store(store.folder, require_embedded(), tmp_path / "p.csv")
    assert summary["withheld"] <= 6
    found = evaluate(read_predictions(tmp_path / "p.csv"), draws=500)["macro_auc"]
    _, low, high, _ = model.spec.metrics["macro_auc"]
    assert found.high > low
    assert found.low < high
    assert found.value > 0.6
