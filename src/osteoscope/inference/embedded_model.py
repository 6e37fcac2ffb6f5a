"""The small model that comes with the package."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from osteoscope.core.errors import ModelError

EMBEDDED_NAME = "tscore_l1.onnx"


def embedded_path() -> Path | None:
    """Where the embedded model lies; None where this installation has none."""
    found = files("osteoscope.inference").joinpath("embedded", EMBEDDED_NAME)
    if not found.is_file():
        return None
    with as_file(found) as path:
        return path


def require_embedded() -> Path:
    """Where the embedded model lies.

    Raises:
        ModelError: This installation has none.
    """
    path = embedded_path()
    if path is None:
        raise ModelError(
            f"This installation holds no embedded model ({EMBEDDED_NAME}); name one with --model "
            "FILE, or use --model none."
        )
    return path
