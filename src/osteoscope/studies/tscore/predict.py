"""An exported model on every crop of a store: a table of answers, and one of what is withheld."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osteoscope.core.crop_spec import CropSpec
from osteoscope.core.errors import InputError
from osteoscope.core.model_spec import ModelSpec
from osteoscope.inference.classify import Classification, classify_crop
from osteoscope.inference.session import DEFAULT_RUNTIME, open_model
from osteoscope.io.crop_store import CropStore
from osteoscope.io.csv_table import write_csv
from osteoscope.studies.tscore.splits import read_split

OnCrop = Callable[[int, int], None]


def predict_store(
    store: Path,
    model: Path,
    out: Path,
    *,
    split: Path | None = None,
    fold: int = 0,
    runner: RunnerOptions | None = None,
    on_crop: OnCrop | None = None,
) -> dict[str, int]:
    """Ask a model about every crop; needs no torch.

    ``out`` gets a row for each crop that the model's guard lets pass, in the form that
    ``osteoscope evaluate`` reads; ``NAME.withheld.csv`` beside it the others, with the reason. A
    table without rows is not written.

    Args:
        store: Its crops must be cut as the model's were.
        model: ONNX file from ``osteoscope tscore export``.
        out: CSV file to write.
        split: Needed where the model was trained on this very store: training subjects are left
            out, and the others get their ``part``.
        fold: Of the split, counted from 0.
        runner: What runs the model; onnxruntime if not given.
        on_crop: Told how many of how many are done.

    Returns:
        ``crops`` and, of them, ``withheld``.

    Raises:
        InputError: The store's crops are cut otherwise, the model was trained on it and no split is
            given, or ``out`` is no CSV file.
        ModelError: The model cannot be used.
    """
    if out.suffix.lower() != ".csv":
        raise InputError(f"Predictions are written as .csv, not as {out.name!r}.")
    runner = runner or RunnerOptions()
    deployed = open_model(model, runtime=runner.runtime, threads=runner.threads)
    crops = CropStore.open(store)
    _check_alike(crops.spec, deployed.spec.crop)
    parts = _parts(crops, deployed.spec, split, fold)
    answered: list[dict[str, Any]] = []
    withheld: list[dict[str, Any]] = []
    for number, row in enumerate(parts):
        found = classify_crop(deployed, crops.crops[row])
        who = {name: str(crops.column(name)[row]) for name in ("subject_id", "level")}
        who["part"] = parts[row]
        if found.guard.known is False:
            withheld.append({**who, "reason": found.guard.reason})
        else:
            answered.append({**who, **_answer(found), **_truth(crops, row, found.classes)})
        if on_crop is not None:
            on_crop(number + 1, len(parts))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.unlink(missing_ok=True)
        others = out.with_suffix(".withheld.csv")
        others.unlink(missing_ok=True)
        for path, rows in ((out, answered), (others, withheld)):
            if rows:
                write_csv(path, rows)
    except OSError as error:
        raise InputError(f"The table {out.name} cannot be written: {error.strerror}.") from None
    return {"crops": len(parts), "withheld": len(withheld)}


@dataclass(frozen=True)
class RunnerOptions:
    """What runs a model.

    Args:
        runtime: ``onnxruntime`` or ``openvino``.
        threads: Of one inference; None leaves it to the runtime.
    """

    runtime: str = DEFAULT_RUNTIME
    threads: int | None = None


def _parts(store: CropStore, spec: ModelSpec, split: Path | None, fold: int) -> dict[int, str]:
    """Part of each row to be asked about: all are new to the model, or as a split says.

    Raises:
        InputError: The model was trained on this store and no split says on whom, or the split is
            another one.
    """
    if spec.sources.get("store") != store.digest:
        return dict.fromkeys(range(len(store)), "test")
    if split is None:
        raise InputError(
            "The model was trained on subjects of this store; give the split of its run with "
            "--split RUN/split.json, so that they are left out."
        )
    found = read_split(split)
    if spec.sources.get("split") != found.digest or not 0 <= fold < len(found.folds):
        raise InputError(
            f"The split {split.name} is not the one that the model was trained with, or has no "
            f"fold {fold}; give the split.json of its run."
        )
    chosen = found.folds[fold]
    part_of = {
        **dict.fromkeys(chosen.validation, "validation"), **dict.fromkeys(chosen.test, "test")
    }  # fmt: skip
    subjects = enumerate(store.column("subject_id").tolist())
    return {row: part_of[name] for row, name in subjects if name in part_of}


def _check_alike(found: CropSpec, wanted: CropSpec) -> None:
    for name in ("shape", "spacing_mm", "surroundings", "axes"):
        here, there = getattr(found, name), getattr(wanted, name)
        if here != there:
            raise InputError(
                f"The store's crops have {name} {here} and the model wants {there}; prepare the "
                "store with the model's."
            )
    strange = set(found.levels) - set(wanted.levels)
    if strange:
        raise InputError(
            f"The store holds {', '.join(sorted(strange))} and the model was made for "
            f"{', '.join(wanted.levels)}."
        )


def _answer(found: Classification) -> dict[str, Any]:
    row: dict[str, Any] = {
        f"p_{name}": float(p) for name, p in zip(found.classes, found.probabilities, strict=True)
    }
    row["category"] = found.category
    if found.prediction_set is not None:
        inside = zip(found.classes, found.prediction_set, strict=True)
        row["set"] = " ".join(name for name, held in inside if held)
    if found.t_score is not None:
        row["t_score_predicted"] = found.t_score
    return row


def _truth(crops: CropStore, row: int, classes: tuple[str, ...]) -> dict[str, Any]:
    index = int(crops.column("class_index")[row])
    score = float(crops.column("t_score")[row])
    return {
        "truth": classes[index] if index >= 0 else "",
        "t_score": score if score == score else "",
        "simulated": bool(crops.column("simulated")[row]),
    }
