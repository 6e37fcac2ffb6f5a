"""Tensors and a description in one safetensors file: nothing in it is ever executed.

A file is written under a temporary name, forced to the disk and renamed, so that a killed process
leaves the old one whole. safetensors holds no checksum, so a digest of all stands in its header.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from osteoscope.core.errors import InputError, ModelError

_KEY = "osteoscope"


def write_weights(
    path: Path,
    tensors: Mapping[str, Tensor],
    description: Mapping[str, Any] | None = None,
    *,
    half: bool = False,
) -> None:
    """Write tensors and a description, whole or not at all.

    Args:
        path: The file; its folder exists.
        tensors: By name. Their memory order is not kept, their values are, bit for bit.
        description: JSON-ready values.
        half: Store 32-bit floats in 16 bits: half the size, about three decimal digits.

    Raises:
        ModelError: A value does not fit into 16 bits.
        InputError: The file cannot be written.
    """
    plain = {name: _plain(name, tensor, half) for name, tensor in tensors.items()}
    words = json.dumps({"half": half, "description": description or {}})
    text = json.dumps({"digest": _digest(plain, words), "about": words})
    partial = path.with_name(f".{path.name}.partial")
    try:
        save_file(plain, partial, metadata={_KEY: text})
        partial.chmod(0o644)
        _force_to_disk(partial)
        partial.replace(path)
        _force_to_disk(path.parent)
    except (OSError, SafetensorError) as error:
        partial.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"The weights {path.name} cannot be written: {reason}; check the folder's permissions "
            "and the room on its disk."
        ) from None


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and description of a file that :func:`write_weights` wrote.

    Returns:
        Tensors on the CPU, floats in 32 bits where they were stored in 16, and the description.

    Raises:
        ModelError: The file is missing, is no such file, is cut short, or a bit of it changed.
    """
    try:
        with safe_open(path, framework="pt") as stream:
            names = stream.keys()
            text = json.loads((stream.metadata() or {})[_KEY])
            tensors = {name: stream.get_tensor(name) for name in names}
        digest, words = text["digest"], text["about"]
        is_whole = digest == _digest(tensors, words)
    except FileNotFoundError:
        raise ModelError(f"The weights {path.name} are missing; train or export again.") from None
    except (OSError, SafetensorError, AttributeError, KeyError, ValueError, TypeError):
        raise ModelError(
            f"The weights {path.name} are no whole file of osteoscope: cut short, damaged or of "
            "another program; train or export again."
        ) from None
    if not is_whole:
        raise ModelError(
            f"The weights {path.name} are damaged: their digest differs from the one written "
            "with them; restore the file from a copy, or train again."
        )
    about = json.loads(words)
    if about["half"]:
        tensors = {k: v.float() if v.dtype == torch.float16 else v for k, v in tensors.items()}
    return tensors, about["description"]


def _plain(name: str, tensor: Tensor, half: bool) -> Tensor:
    """Contiguous and on the CPU, in a memory of its own as safetensors wants it."""
    plain = tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
    if half and plain.dtype == torch.float32:
        small = plain.half()
        if not torch.equal(small.isfinite(), plain.isfinite()):
            raise ModelError(
                f"The weights {name} exceed what 16 bits hold (65504); store them in 32 bits."
            )
        return small
    return plain


def _digest(tensors: Mapping[str, Tensor], words: str) -> str:
    """SHA-256 over the description, names, types, shapes and bytes."""
    digest = hashlib.sha256(words.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return f"sha256:{digest.hexdigest()}"


def _force_to_disk(path: Path) -> None:
    """A rename that outlives a power cut needs the file and its folder on the disk first."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
