"""Nested state (an optimiser's, a scaler's) as tensors by name and JSON for all else."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from osteoscope.core.errors import ModelError

_PLAIN = (bool, int, float, str)


def split_state(state: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """What is no tensor, JSON-ready; the tensors go into ``tensors``.

    JSON has neither tuples nor keys that are numbers, so that containers are written with their
    kind: ``{"tuple": [...]}``, ``{"dict": [[key, value], ...]}``. Floats come back bit for bit:
    Python writes them with as many digits as that takes.

    Args:
        state: Dictionaries, lists, tuples, tensors, texts, numbers and None.
        name: Where in the state this is; the names of tensors begin with it.
        tensors: Filled.

    Raises:
        ModelError: Something else is in it.

    >>> split_state({0: (1.0, None)}, "optimiser", {})
    {'dict': [[0, {'tuple': [1.0, None]}]]}
    """
    if state is None or isinstance(state, _PLAIN):
        return state
    if isinstance(state, Tensor):
        tensors[name] = state
        return {"tensor": name}
    if isinstance(state, dict) and all(isinstance(key, int | str) for key in state):
        parts = ((key, split_state(v, f"{name}/{key}", tensors)) for key, v in state.items())
        return {"dict": [[key, part] for key, part in parts]}
    if isinstance(state, list | tuple):
        kind = "tuple" if isinstance(state, tuple) else "list"
        return {kind: [split_state(v, f"{name}/{k}", tensors) for k, v in enumerate(state)]}
    raise ModelError(
        f"A checkpoint cannot hold {name}: it is a {type(state).__name__}, and only tensors, "
        "texts and numbers are stored; use another optimiser."
    )


def join_state(written: Any, tensors: dict[str, Tensor]) -> Any:
    """The inverse of :func:`split_state`.

    Raises:
        KeyError, TypeError, ValueError: It was not written by :func:`split_state`.

    >>> join_state({"dict": [[0, {"tuple": [1.0, None]}]]}, {})
    {0: (1.0, None)}
    """
    if not isinstance(written, dict):
        return written
    ((kind, value),) = written.items()
    if kind == "tensor":
        return tensors[value]
    if kind == "dict":
        return {key: join_state(part, tensors) for key, part in value}
    if kind in ("list", "tuple"):
        parts = [join_state(part, tensors) for part in value]
        return parts if kind == "list" else tuple(parts)
    raise ValueError(kind)
