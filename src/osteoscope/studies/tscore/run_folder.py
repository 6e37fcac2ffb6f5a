"""A run's folder: worked on beside its place, renamed when whole, never mixed with another."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from pathlib import Path
from typing import Any

from osteoscope.core.config_file import config_as_dict
from osteoscope.core.errors import InputError
from osteoscope.core.provenance import created_with
from osteoscope.core.split import Split
from osteoscope.io.crop_store import CropStore
from osteoscope.io.folder_swap import put_in_place
from osteoscope.learning.hardware import hardware
from osteoscope.studies.tscore.run_names import RUN_NAME
from osteoscope.studies.tscore.train_config import TrainConfig

_STATE_NAME = "unfinished.json"


def training_digest(config: TrainConfig, store_digest: str, split: Split) -> str:
    """Changes whenever another network would be trained; the answer does not count, nor where and
    how fast it runs."""
    values = config_as_dict(config)
    del values["answer"]
    values["fit"] = dict(config.fit.identity())
    state = json.dumps([values, store_digest, split.digest], sort_keys=True)
    return hashlib.sha256(state.encode()).hexdigest()


def check_out(out: Path, *, replace: bool) -> None:
    """Refuse, before any work, a place that holds something.

    Args:
        out: Where the run will lie.
        replace: Whether a finished run there may go.

    Raises:
        InputError: It holds something that is no run, or a finished run that may not go.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / RUN_NAME).is_file():
        raise InputError(f"The output {out.name!r} holds something but no run; choose another.")
    if not replace:
        raise InputError(
            f"The output {out.name!r} holds a finished run; choose another, evaluate it with "
            "osteoscope tscore evaluate, or train anew in its place with --replace."
        )


def unfinished_folder(out: Path) -> Path:
    """Where a run is worked on until it is whole."""
    return out.with_name(f".{out.name}.unfinished")


def working_folder(
    out: Path, config: TrainConfig, store_digest: str, split: Split, *, write: bool
) -> Path:
    """The hidden folder beside ``out`` in which a run is worked on; an unfinished one goes on.

    Args:
        out: Where the run will lie.
        config: Its settings.
        store_digest: Of its store.
        split: Its split.
        write: Whether this process makes it (one of several does).

    Raises:
        InputError: An unfinished run of other settings is there, or it cannot be made.
    """
    work = unfinished_folder(out)
    digest = training_digest(config, store_digest, split)
    state = work / _STATE_NAME
    if work.exists() and any(work.iterdir()):
        try:
            found = json.loads(state.read_text(encoding="utf-8")).get("digest")
        except (OSError, ValueError, AttributeError):
            found = None
        if found != digest:
            raise InputError(
                f"An unfinished run of other settings, store or split lies in {work.name!r}; "
                "finish it with its own settings, delete that folder, or choose another output."
            )
    elif write:
        try:
            work.mkdir(parents=True, exist_ok=True)
            state.write_text(json.dumps({"digest": digest}), encoding="utf-8")
        except OSError as error:
            raise InputError(
                f"The output folder {out.name!r} cannot be made: {error.strerror}."
            ) from None
    return work


def finish_run(work: Path, out: Path) -> None:
    """Put the finished run in its place.

    Checkpoints and state go last: a kill in between leaves a folder that the same command
    finishes without training again.
    """
    put_in_place(work, out)
    for checkpoint in out.glob("fold_*/checkpoint.safetensors"):
        checkpoint.unlink()
    (out / _STATE_NAME).unlink(missing_ok=True)


def run_record(
    store: CropStore, split: Split, config: TrainConfig, duration_s: float
) -> dict[str, Any]:
    """What made a run: programs, digests of what went in, seed, hardware, duration."""
    return {
        "study": "tscore",
        "simulated": store.simulated,
        "created_with": created_with(),
        "store_digest": store.digest,
        "crop": store.spec.to_dict(),
        "sources": dict(store.sources),
        "split_digest": split.digest,
        "training_digest": training_digest(config, store.digest, split),
        "folds": len(split.folds),
        "seed": config.fit.seed,
        "hardware": {
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            **hardware(),
        },
        "duration_s": round(duration_s, 1),
    }
