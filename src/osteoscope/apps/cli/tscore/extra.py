"""Saying which extra a command needs before anything is read."""

from __future__ import annotations

from importlib.util import find_spec

from osteoscope.core.errors import ModelError


def need_train() -> None:
    """Raise ModelError where the extra ``train`` is not installed."""
    missing = [name for name in ("torch", "lightning_fabric", "timm") if find_spec(name) is None]
    if missing:
        raise ModelError(
            f"This command needs the extra 'train', and {missing[0]} is not installed; install "
            "osteoscope[train] into this environment (in the source folder: make .venv/.dev)."
        )
