"""A finished run becomes one ONNX file with everything that its user needs to know in it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.config_file import config_from_toml
from osteoscope.core.errors import InputError
from osteoscope.core.model_spec import Adjustment, Conformal, ModelSpec
from osteoscope.core.split import Split
from osteoscope.core.who import WHO_CLASSES
from osteoscope.evaluation.evaluate import evaluate
from osteoscope.features.windows import apply_windows
from osteoscope.inference.guard import GuardSample, fit_guard, statistics_rows
from osteoscope.io.crop_store import CropStore
from osteoscope.learning.checkpoint import load_into
from osteoscope.learning.export import ExportedModel, export_onnx
from osteoscope.learning.heads import Head, TScoreHead, create_head
from osteoscope.learning.network import NO_WEIGHTS, new_network
from osteoscope.learning.predict import predict
from osteoscope.learning.weights_file import read_weights, write_weights
from osteoscope.reporting.model_card import write_model_card
from osteoscope.studies.tscore.answer import choose_answer
from osteoscope.studies.tscore.answered import read_fold, read_json
from osteoscope.studies.tscore.evaluate import run_predictions
from osteoscope.studies.tscore.fold import FoldOutcome, FoldRows, batches_of, classification
from osteoscope.studies.tscore.run_names import RUN_NAME
from osteoscope.studies.tscore.train_config import TrainConfig

NO_LICENCE = "not stated"
_EXAMPLES = 8
_MIN_GUARD = 20


@dataclass(frozen=True)
class ExportOptions:
    """How a run is exported.

    Args:
        name: What the model is called in reports; the run folder's name if empty.
        fold: Whose network, counted from 0.
        licence: Of the weights, for whoever gets the file.
        half: Store weights in 16 bits.
        pass_rate: Share of its own kind that the guard lets pass.
    """

    name: str = ""
    fold: int = 0
    licence: str = NO_LICENCE
    half: bool = False
    pass_rate: float = 0.98


@dataclass(frozen=True, eq=False)
class Exported:
    """What was written.

    Args:
        model: The ONNX file, and how near it is to torch.
        weights: The safetensors file.
        card: The model card.
        spec: What the file says about itself.
    """

    model: ExportedModel
    weights: Path
    card: Path
    spec: ModelSpec


def export_run(run: Path, store: Path, out: Path, options: ExportOptions) -> Exported:
    """Write ``out`` (ONNX), and beside it the weights as safetensors and the model card.

    Args:
        run: A finished run folder.
        store: The store that it was trained on: the guard learns what its crops look like.
        out: The ONNX file to write.
        options: Which fold, and how.

    Raises:
        InputError: The run is damaged or of another store, or has no such fold.
        ModelError: The file would not compute what torch does.
    """
    crops = CropStore.open(store)
    record = read_json(run / RUN_NAME)
    if record.get("store_digest") != crops.digest:
        raise InputError(
            f"The run {run.name!r} was trained on another store; give the one that it was made of."
        )
    split = Split.from_json((run / "split.json").read_text(encoding="utf-8"))
    if not 0 <= options.fold < len(split.folds):
        raise InputError(f"The run has {len(split.folds)} fold(s), counted from 0; no such fold.")
    config = config_from_toml(TrainConfig, run / "config.toml")
    outcome = read_fold(run / f"fold_{options.fold}")
    rows = FoldRows.of(crops, split.folds[options.fold])
    trained = _Trained.of(run, crops, config, outcome, options.fold)
    spec = _spec(run, crops, rows, trained, options)
    images = apply_windows(crops.crops[rows.validation[:_EXAMPLES]], config.data.windows)
    out.parent.mkdir(parents=True, exist_ok=True)
    written = export_onnx(
        trained.model,
        trained.head,
        spec,
        out,
        (len(config.data.windows), *crops.spec.shape),
        examples=images,
        half=options.half,
    )
    weights = out.with_suffix(".safetensors")
    write_weights(weights, trained.model.state_dict(), asdict(config.model), half=options.half)
    card = write_model_card(out.with_suffix(".md"), spec, record)
    return Exported(written, weights, card, spec)


@dataclass(frozen=True, eq=False)
class _Trained:
    """A fold's network with its chosen weights."""

    model: Any
    head: Head
    config: TrainConfig
    outcome: FoldOutcome

    @classmethod
    def of(
        cls, run: Path, store: CropStore, config: TrainConfig, outcome: FoldOutcome, fold: int
    ) -> _Trained:
        head = create_head(config.model.head)
        if isinstance(head, TScoreHead) and outcome.residual_sd is not None:
            head = TScoreHead(outcome.residual_sd)
        # The weights are about to be loaded: where they came from at first does not matter.
        model = new_network(
            replace(config.model, weights=NO_WEIGHTS),
            in_channels=len(config.data.windows),
            outputs=head.outputs,
            image_shape=store.spec.shape,
            seed=config.fit.seed,
        )
        load_into(model, read_weights(run / f"fold_{fold}" / outcome.weights)[0])
        return cls(model.eval(), head, config, outcome)


def _spec(
    run: Path, store: CropStore, rows: FoldRows, trained: _Trained, options: ExportOptions
) -> ModelSpec:
    outcome, config = trained.outcome, trained.config
    chosen = outcome.rows[outcome.validation]
    answer = choose_answer(
        config.answer,
        outcome.logits[outcome.validation],
        store.column("class_index")[chosen].astype(np.int64),
        store.column("subject_id")[chosen],
        outcome.prior,
    )
    counts = np.bincount(store.column("class_index")[rows.train], minlength=len(WHO_CLASSES))
    spec = ModelSpec(
        name=options.name or run.name,
        crop=store.spec,
        windows=config.data.windows,
        classes=WHO_CLASSES,
        prior=outcome.prior,
        simulated=store.simulated,
        training=_training_words(store, rows, counts, config),
        licence=options.licence,
        adjust=Adjustment(answer.reading, answer.tau),
        temperature=answer.temperature,
        conformal=Conformal(answer.coverage, answer.sets, answer.thresholds),
        sources={"store": store.digest, "run": read_json(run / RUN_NAME)["training_digest"]},
        metrics=_metrics(run, options.fold),
    )
    if min(len(rows.train), len(rows.validation)) < _MIN_GUARD:
        return spec
    samples = [
        _guard_sample(store, part, trained, counts) for part in (rows.train, rows.validation)
    ]
    return replace(spec, guard=fit_guard(*samples, quantile=options.pass_rate))


def _guard_sample(
    store: CropStore, rows: NDArray[np.int64], trained: _Trained, counts: NDArray[np.int64]
) -> GuardSample:
    objective = classification(trained.config, trained.head, counts, store.spec.spacing_mm)
    found = predict(trained.model, objective, batches_of(store, rows), trained.config.fit)
    return GuardSample(
        statistics_rows([store.crops[row] for row in rows], store.spec),
        found["embedding"].astype(np.float64),
    )


def _training_words(
    store: CropStore, rows: FoldRows, counts: NDArray[np.int64], config: TrainConfig
) -> str:
    """A sentence or two for reports."""
    who = "simulated subjects only" if store.simulated else "subjects"
    numbers = ", ".join(f"{n} {name}" for name, n in zip(WHO_CLASSES, counts, strict=True))
    subjects = len(np.unique(store.column("subject_id")[rows.train]))
    return (
        f"{config.model.name}, trained on {subjects} {who} ({numbers}) with the loss "
        f"{config.loss.name}; {len(rows.validation)} others chose epoch, temperature and sets."
    )


def _metrics(run: Path, fold: int) -> dict[str, tuple[float, float, float, int]]:
    """Estimates on the fold's test subjects; none where it has no test part."""
    predictions = run_predictions(run)
    rows = (predictions.fold == fold) & (predictions.part == "test")
    if not rows.any():
        return {}
    return {
        name: (e.value, e.low, e.high, e.n)
        for name, e in evaluate(predictions.select(rows)).items()
        if all(math.isfinite(v) for v in (e.value, e.low, e.high))
    }
