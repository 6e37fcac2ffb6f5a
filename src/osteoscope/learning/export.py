"""A trained network as one ONNX file that runs without torch, checked before anybody uses it."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from osteoscope.core.errors import InputError, ModelError
from osteoscope.core.model_spec import METADATA_KEY
from osteoscope.learning.half_weights import store_in_half
from osteoscope.learning.heads import Head

INPUT, LOGITS, EMBEDDING, T_SCORE = "images", "class_logits", "embedding", "t_score"
TOLERANCE = 1e-4
"""Largest difference from torch, in units of the largest output where that is above 1."""
HALF_TOLERANCE = 1e-2
"""The same once the weights are rounded to 16 bits; before that, :data:`TOLERANCE` holds."""
_LARGEST_BYTES = 2**31 - 1
"""A Protocol Buffers message, and so an ONNX file in one piece, holds no more."""


class Spec(Protocol):
    """What goes into the file's metadata; :class:`osteoscope.core.model_spec.ModelSpec`."""

    def to_json(self) -> str:
        """The description as text."""
        ...


@dataclass(frozen=True)
class ExportedModel:
    """A written model.

    Args:
        path: The file.
        outputs: Names of what it gives.
        largest_difference: Of the written file from torch, over all outputs that were compared.
        size_bytes: Of the file.
    """

    path: Path
    outputs: tuple[str, ...]
    largest_difference: float
    size_bytes: int


def export_onnx(
    model: nn.Module,
    head: Head,
    spec: Spec,
    path: Path,
    example_shape: tuple[int, int, int, int],
    *,
    examples: NDArray[np.float32] | None = None,
    half: bool = False,
) -> ExportedModel:
    """Write a network and its head as ONNX and compare it with torch.

    The graph takes ``images`` (b, c, z, y, x), float32, already windowed, for any b, and gives
    ``class_logits`` (b, k), ``embedding`` (b, f) and, where the head has one, ``t_score`` (b,).
    onnxruntime must give what torch gives on random images and on ``examples``, for several b.

    Args:
        model: A network of :func:`osteoscope.models.create_model`; not changed.
        head: How its outputs are read.
        spec: Written into the metadata.
        path: The file to write, whole or not at all.
        example_shape: (c, z, y, x) of the network's images.
        examples: (n, c, z, y, x) real images to compare on as well; the first 8 are used.
        half: Store large weights in 16 bits, for half the size; computing stays in 32. The file
            is compared before and after; what it costs in accuracy is for the caller to measure.

    Raises:
        ModelError: The network cannot be exported, or the file does not compute what torch does.
        InputError: The file cannot be written.
    """
    # A copy: exporting sets modes and moves it to the CPU.
    deployed = _Deployed(copy.deepcopy(model), head).to("cpu", torch.float32).eval()
    images = _random_images(2, example_shape)
    with torch.no_grad():
        names = tuple(deployed.named(images))
    proto = _trace(deployed, images, names)
    _strip(proto)
    entry = proto.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, spec.to_json()
    if proto.ByteSize() > _LARGEST_BYTES:
        raise ModelError(
            f"The network takes {proto.ByteSize() / 1e9:.1f} GB and an ONNX file in one piece "
            "holds 2.1; use a smaller one."
        )
    batches = [_random_images(b, example_shape) for b in (1, 3)]
    if examples is not None:
        batches.append(torch.from_numpy(np.ascontiguousarray(examples[:8], dtype=np.float32)))
    content = proto.SerializeToString()
    difference = _largest_difference(deployed, content, batches, TOLERANCE)
    if half:
        store_in_half(proto)
        content = proto.SerializeToString()
        difference = _largest_difference(deployed, content, batches, HALF_TOLERANCE)
    write_whole(path, content)
    return ExportedModel(path, names, difference, len(content))


def describe(path: Path, spec: Spec) -> None:
    """Put another description into an exported file; the network in it stays as it is.

    So a file can say what was measured on itself, rather than on the network it was made from.

    Args:
        path: Of :func:`export_onnx` or of :func:`osteoscope.learning.quantise.quantise_onnx`.
        spec: The new description.

    Raises:
        InputError: The file cannot be written.
    """
    proto = onnx.load(path)
    proto.ClearField("metadata_props")
    entry = proto.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, spec.to_json()
    write_whole(path, proto.SerializeToString())


class _Deployed(nn.Module):
    """What is deployed: the network, and its head's reading of it."""

    def __init__(self, network: nn.Module, head: Head) -> None:
        super().__init__()
        self.network = network
        self.head = head

    def named(self, images: Tensor) -> dict[str, Tensor]:
        """Outputs by name."""
        network: Any = self.network
        features = network.forward_features(images)
        raw = network.forward_head(features)
        found = {
            LOGITS: self.head.class_logits(raw),
            EMBEDDING: network.forward_head(features, pre_logits=True),
        }
        t_score = self.head.t_score(raw)
        return found if t_score is None else {**found, T_SCORE: t_score}

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.named(images).values())


def _random_images(count: int, shape: tuple[int, ...]) -> Tensor:
    """Values in [0, 1], as windows give them."""
    generator = torch.Generator().manual_seed(count)
    return torch.rand((count, *shape), generator=generator)


def _trace(deployed: _Deployed, images: Tensor, names: tuple[str, ...]) -> onnx.ModelProto:
    try:
        with warnings.catch_warnings():
            # The exporter warns of its own use of what torch is about to change.
            for category in (DeprecationWarning, FutureWarning):
                warnings.simplefilter("ignore", category)
            program = torch.onnx.export(
                deployed,
                (images,),
                dynamo=True,
                input_names=[INPUT],
                output_names=list(names),
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                verbose=False,
            )
    except Exception as error:
        reason = str(error).strip().split("\n", 1)[0]
        raise ModelError(
            f"The network cannot be written as ONNX: {reason:.200}; use another backbone."
        ) from error
    assert program is not None
    return program.model_proto


def _strip(proto: onnx.ModelProto) -> None:
    """Remove what the exporter notes for debugging: lines of source with the paths of this disk."""
    graph = proto.graph
    for part in (*graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    for whole in (proto, graph):
        whole.ClearField("doc_string")
        whole.ClearField("metadata_props")


def _largest_difference(
    deployed: _Deployed, content: bytes, batches: list[Tensor], tolerance: float
) -> float:
    """Compare with onnxruntime; the largest difference of any output."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    largest = 0.0
    for images in batches:
        with torch.no_grad():
            expected: Mapping[str, Tensor] = deployed.named(images)
        found = session.run(list(expected), {INPUT: images.numpy()})
        for (name, ours), theirs in zip(expected.items(), found, strict=True):
            reference = ours.numpy()
            difference = float(np.abs(reference - theirs).max())
            allowed = tolerance * max(1.0, float(np.abs(reference).max()))
            if not difference <= allowed:  # Not "greater": NaN must not pass.
                raise ModelError(
                    f"The exported model's {name} differs from torch's by {difference:.2g} for a "
                    f"batch of {len(images)}, and {allowed:.2g} is allowed; it was not written."
                )
            largest = max(largest, difference)
    return largest


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, then rename it.

    Raises:
        InputError: It cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(
            f"The model {path.name} cannot be written: {error.strerror}; check the folder's "
            "permissions and the room on its disk."
        ) from None
