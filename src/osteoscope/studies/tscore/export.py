"""A finished run becomes one ONNX file with everything that its user needs to know in it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from osteoscope.core.config_file import config_from_toml
from osteoscope.core.errors import InputError
from osteoscope.core.model_spec import ModelSpec
from osteoscope.core.split import Split
from osteoscope.core.who import WHO_CLASSES
from osteoscope.features.windows import apply_windows
from osteoscope.inference.session import open_model
from osteoscope.io.crop_store import CropStore
from osteoscope.learning.checkpoint import load_into
from osteoscope.learning.export import ExportedModel, describe, export_onnx
from osteoscope.learning.heads import Head, TScoreHead, create_head
from osteoscope.learning.network import NO_WEIGHTS, new_network
from osteoscope.learning.weights_file import read_weights, write_weights
from osteoscope.reporting.model_card import write_model_card
from osteoscope.studies.tscore.answered import read_fold, read_json
from osteoscope.studies.tscore.deployed import measured_spec, training_words
from osteoscope.studies.tscore.fold import FoldOutcome, FoldRows
from osteoscope.studies.tscore.run_names import RUN_NAME
from osteoscope.studies.tscore.splits import read_split
from osteoscope.studies.tscore.train_config import TrainConfig

NO_LICENCE = "not stated"
_EXAMPLES = 8


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
class ExportedRun:
    """A run as an export needs it.

    Args:
        record: Its ``run.json``.
        store: The store that it was trained on.
        split: Its split.
        config: Its settings.
        outcome: What the fold's network said.
        rows: The fold's rows.
    """

    record: dict[str, Any]
    store: CropStore
    split: Split
    config: TrainConfig
    outcome: FoldOutcome
    rows: FoldRows

    @classmethod
    def of(cls, run: Path, store: Path, fold: int) -> ExportedRun:
        """Read a run.

        Raises:
            InputError: It is damaged or of another store, or has no such fold.
        """
        crops = CropStore.open(store)
        record = read_json(run / RUN_NAME)
        if record.get("store_digest") != crops.digest:
            raise InputError(
                f"The run {run.name!r} was trained on another store; give the one that it was "
                "made of."
            )
        split = read_split(run / "split.json")
        if not 0 <= fold < len(split.folds):
            raise InputError(
                f"The run has {len(split.folds)} fold(s), counted from 0; there is no fold {fold}."
            )
        return cls(
            record=record,
            store=crops,
            split=split,
            config=config_from_toml(TrainConfig, run / "config.toml"),
            outcome=read_fold(run / f"fold_{fold}"),
            rows=FoldRows.of(crops, split.folds[fold]),
        )


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

    Temperature, sets, guard and metrics are those of the file as it was written, run as a screen
    runs it; only the class shares, the epoch and the weights come from the training.

    Args:
        run: A finished run folder.
        store: The store that it was trained on.
        out: The ONNX file to write.
        options: Which fold, and how.

    Raises:
        InputError: The run is damaged or of another store, or has no such fold.
        ModelError: The file would not compute what torch does.
    """
    given = ExportedRun.of(run, store, options.fold)
    crops, config = given.store, given.config
    model, head = _trained(run, given, options.fold)
    training, simulated = training_words(crops, given.rows, config)
    spec = ModelSpec(
        name=options.name or run.name,
        crop=crops.spec,
        windows=config.data.windows,
        classes=WHO_CLASSES,
        prior=given.outcome.prior,
        simulated=simulated,
        training=training,
        licence=options.licence,
        sources={
            "store": crops.digest,
            "split": given.split.digest,
            "training": given.record["training_digest"],
        },
    )
    images = apply_windows(crops.crops[given.rows.validation[:_EXAMPLES]], config.data.windows)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.partial.onnx")
    try:
        written = export_onnx(
            model,
            head,
            spec,
            partial,
            (len(config.data.windows), *crops.spec.shape),
            examples=images,
            half=options.half,
        )
        spec = measured_spec(
            open_model(partial), crops, given.rows, config, given.outcome,
            pass_rate=options.pass_rate,
        )  # fmt: skip
        describe(partial, spec)
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    weights = out.with_suffix(".safetensors")
    write_weights(weights, model.state_dict(), asdict(config.model), half=options.half)
    card = write_model_card(out.with_suffix(".md"), spec, given.record)
    written = replace(written, path=out, size_bytes=out.stat().st_size)
    return Exported(written, weights, card, spec)


def _trained(run: Path, given: ExportedRun, fold: int) -> tuple[Any, Head]:
    """The fold's network with its chosen weights, and its head."""
    config, outcome = given.config, given.outcome
    head = create_head(config.model.head)
    if isinstance(head, TScoreHead) and outcome.residual_sd is not None:
        head = TScoreHead(outcome.residual_sd)
    # The weights are about to be loaded: where they came from at first does not matter.
    model = new_network(
        replace(config.model, weights=NO_WEIGHTS),
        in_channels=len(config.data.windows),
        outputs=head.outputs,
        image_shape=given.store.spec.shape,
        seed=config.fit.seed,
    )
    load_into(model, read_weights(run / f"fold_{fold}" / outcome.weights)[0])
    return model.eval(), head
