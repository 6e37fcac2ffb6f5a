"""A trained nnU-Net v2 model folder, checked before anything is started."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osteoscope.anatomy.segmenters.nnunet_trust import check_architecture, check_checkpoint
from osteoscope.core.errors import ModelError

_WRITABLE = (".nii.gz", ".nii", ".nrrd", ".mha")


@dataclass(frozen=True)
class NnUnetModel:
    """What of a model folder a prediction needs to know.

    Args:
        folder: The folder.
        labels: Number by class name, as ``dataset.json`` has them.
        file_ending: Image format that the model's training data had.
        folds: Trained folds to average, ``all`` or numbers as text.
    """

    folder: Path
    labels: Mapping[str, Any]
    file_ending: str
    folds: tuple[str, ...]


def open_model(
    folder: Path, *, folds: Sequence[int | str] | None, checkpoint: str, trust: bool
) -> NnUnetModel:
    """Read and check a model folder.

    Args:
        folder: The one that holds ``dataset.json``, ``plans.json`` and ``fold_*``.
        folds: The folds to use; None uses every numbered one, else ``all``.
        checkpoint: Name of the weights in each fold.
        trust: Skip the look into weights and plans for code that they would run.

    Raises:
        ModelError: Something is missing, incomplete, not for one-channel CT or not plain data.
    """
    if not folder.is_dir():
        raise ModelError(f"The nnU-Net model folder {folder.name!r} does not exist.")
    dataset, plans = _json(folder, "dataset.json"), _json(folder, "plans.json")
    chosen = _folds(folder, folds, checkpoint)
    ending = _file_ending(dataset)
    _check_channels(dataset)
    labels = dataset.get("labels")
    if not isinstance(labels, dict) or not isinstance(plans.get("configurations"), dict):
        raise ModelError(
            "The nnU-Net model's dataset.json has no labels or its plans.json no configurations; "
            "it is not a folder of nnU-Net version 2."
        )
    if not trust:
        check_architecture(plans)
        for fold in chosen:
            check_checkpoint(folder / f"fold_{fold}" / checkpoint)
    return NnUnetModel(folder.absolute(), labels, ending, chosen)


def _json(folder: Path, name: str) -> dict[str, Any]:
    try:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
    except OSError:
        inner = sorted(path.parent.name for path in folder.glob(f"*/{name}"))
        hint = f"; its subfolder {inner[0]!r} does: give that one" if inner else ""
        raise ModelError(
            f"The nnU-Net model folder {folder.name!r} holds no {name}{hint or '; copy it whole'}."
        ) from None
    except ValueError:
        raise ModelError(f"The nnU-Net model's {name} is damaged; copy the model again.") from None
    if not isinstance(content, dict):
        raise ModelError(f"The nnU-Net model's {name} is damaged; copy the model again.")
    return content


def _folds(folder: Path, folds: Sequence[int | str] | None, checkpoint: str) -> tuple[str, ...]:
    def trained(fold: str) -> bool:
        path = folder / f"fold_{fold}" / checkpoint
        return path.is_file() and path.stat().st_size > 0

    if folds is not None:
        names = tuple(str(fold) for fold in folds)
        lacking = [name for name in names if not trained(name)]
        if lacking or not names:
            raise ModelError(
                f"The nnU-Net model has no {checkpoint} in fold_{(*lacking, '*')[0]}; copy the "
                "model whole or choose other folds."
            )
        return names
    found = sorted(path.name.removeprefix("fold_") for path in folder.glob("fold_*"))
    usable = [name for name in found if trained(name)]
    numbered = tuple(name for name in usable if name.isdecimal())
    if not usable:
        raise ModelError(
            f"The nnU-Net model has no fold_*/{checkpoint}; copy the model whole or name its "
            "checkpoint."
        )
    return numbered or tuple(usable)


def _file_ending(dataset: Mapping[str, Any]) -> str:
    ending = dataset.get("file_ending")
    if ending not in _WRITABLE:
        raise ModelError(
            f"The nnU-Net model takes files that end in {ending!r}; it can be given "
            f"{', '.join(_WRITABLE)}."
        )
    return str(ending)


def _check_channels(dataset: Mapping[str, Any]) -> None:
    channels = dataset.get("channel_names") or dataset.get("modality") or {}
    if len(channels) != 1:
        raise ModelError(f"The nnU-Net model takes {len(channels)} images a patient; a CT is one.")
