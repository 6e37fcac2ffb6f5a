"""A run's folder: worked on beside its place, renamed when whole, never mixed with another."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
from pathlib import Path
from typing import Any

from osteoscope.core.config_file import config_as_dict
from osteoscope.core.errors import InputError
from osteoscope.core.provenance import created_with
from osteoscope.core.split import Split
from osteoscope.io.crop_store import CropStore
from osteoscope.learning.hardware import hardware
from osteoscope.studies.tscore.run_names import RUN_NAME
from osteoscope.studies.tscore.train_config import TrainConfig

_STATE_NAME = "unfinished.json"
_WHERE_IT_RUNS = ("accelerator", "devices", "nodes", "accumulate", "prefetch", "logger")
"""Settings of the fit that may change between an interruption and its continuation."""


def training_digest(config: TrainConfig, store_digest: str, split: Split) -> str:
    """Changes whenever another network would be trained; the answer does not count."""
    values = config_as_dict(config)
    del values["answer"]
    values["fit"] = {k: v for k, v in values["fit"].items() if k not in _WHERE_IT_RUNS}
    state = json.dumps([values, store_digest, split.digest], sort_keys=True)
    return hashlib.sha256(state.encode()).hexdigest()


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
        InputError: ``out`` holds something that is no run, or an unfinished run of other settings
            is there.
    """
    if out.exists() and not (out / RUN_NAME).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"The output {out.name!r} holds something but no run; choose another.")
    work = out.with_name(f".{out.name}.unfinished")
    digest = training_digest(config, store_digest, split)
    state = work / _STATE_NAME
    if state.is_file():
        try:
            found = json.loads(state.read_text(encoding="utf-8")).get("digest")
        except (ValueError, AttributeError):
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
    """Put the finished run in its place; an older run there stays whole until then."""
    (work / _STATE_NAME).unlink()
    for checkpoint in work.glob("fold_*/checkpoint.safetensors"):
        checkpoint.unlink()
    if not out.exists():
        work.replace(out)
        return
    old = out.with_name(f".{out.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    out.replace(old)
    work.replace(out)
    shutil.rmtree(old, ignore_errors=True)


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
