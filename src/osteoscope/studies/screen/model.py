"""The model that a screen asks: the user's, the embedded one, or none."""

from __future__ import annotations

import multiprocessing
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from osteoscope.core.measurement import Missing
from osteoscope.inference.embedded_model import embedded_path, require_embedded
from osteoscope.studies.screen.config import ScreenConfig

if TYPE_CHECKING:
    from osteoscope.inference.session import DeployedModel

_CODE = "classification"
_NOT_ASKED = Missing(_CODE, "No model was asked (--model none).")
_NONE_THERE = Missing(
    _CODE,
    "No model was named, and this installation has no embedded one; name one with --model FILE.",
)


def chosen_model(config: ScreenConfig) -> DeployedModel | Missing:
    """The model that the configuration names, opened once a process, or why there is none.

    Raises:
        ModelError: The file cannot be used, or the embedded model is asked for and is not there.
        InputError: An unknown runtime.
    """
    path = _model_path(config)
    if isinstance(path, Missing):
        return path
    threads = config.threads
    if threads is None and multiprocessing.parent_process() is not None:
        threads = 1  # the cores are taken by the other workers already
    return _opened(path, model_state(config), config.runtime, threads)


def check_model(config: ScreenConfig) -> None:
    """Refuse a model that could not be used, without loading the runtime.

    Raises:
        ModelError: See :func:`chosen_model`.
        InputError: An unknown runtime.
    """
    path = _model_path(config)
    if isinstance(path, Missing):
        return
    from osteoscope.inference.session import check_runtime, read_model_bytes, read_spec

    check_runtime(config.runtime)
    read_spec(read_model_bytes(path), path.name)


def model_state(config: ScreenConfig) -> str:
    """Changes where the model that a screen would ask changes, so that a resumed run knows."""
    try:
        path = _model_path(config)
        if isinstance(path, Missing):
            return "no model"
        stat = path.stat()
    except OSError:
        return "no file"
    return f"{path.absolute()}|{stat.st_size}|{stat.st_mtime_ns}"


def _model_path(config: ScreenConfig) -> Path | Missing:
    if config.model == "none":
        return _NOT_ASKED
    if config.model == "embedded":
        return require_embedded()
    if config.model is None:
        return embedded_path() or _NONE_THERE
    return Path(config.model)


@lru_cache(maxsize=1)
def _opened(path: Path, state: str, runtime: str, threads: int | None) -> DeployedModel:
    """``state`` belongs to the key: a file that is written anew is opened anew."""
    from osteoscope.inference.session import open_model

    del state
    return open_model(path, runtime=runtime, threads=threads)
