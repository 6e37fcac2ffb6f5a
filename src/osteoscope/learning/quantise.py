"""An exported network in 8-bit integers: a quarter of the file, and on some processors faster."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from osteoscope.core.errors import InputError, ModelError
from osteoscope.core.model_spec import METADATA_KEY
from osteoscope.learning.export import INPUT, ExportedModel, write_whole

_BATCH = 8


def quantise_onnx(source: Path, target: Path, calibration: NDArray[np.float32]) -> ExportedModel:
    """Quantise a model of :func:`osteoscope.learning.export.export_onnx`.

    Static quantisation (onnxruntime, QDQ): weights in int8 with a scale for each output channel,
    activations in uint8 with a range found on ``calibration``. The last linear layers (``Gemm``)
    stay in 32 bits: they cost nothing, and the answer's own resolution would be lost in them.

    Args:
        source: The exported file.
        target: The file to write, whole or not at all.
        calibration: (n, c, z, y, x) images that the model will meet, after their windows; of
            training subjects. Some dozens do.

    Returns:
        The written model. Its ``largest_difference`` from the source on ``calibration`` has no
        limit here: what it costs in accuracy is for the caller to measure.

    Raises:
        InputError: No images, or the file cannot be written.
        ModelError: The source cannot be read or quantised, or the result is not finite.
    """
    if len(calibration) == 0:
        raise InputError("Quantisation needs images to calibrate on; give some dozens.")
    images = np.ascontiguousarray(calibration, dtype=np.float32)
    with tempfile.TemporaryDirectory() as temporary:
        prepared, made = Path(temporary, "prepared.onnx"), Path(temporary, "made.onnx")
        try:
            with _quiet():
                quant_pre_process(source, prepared, skip_symbolic_shape=True)
                quantize_static(
                    prepared,
                    made,
                    _Images(images),
                    quant_format=QuantFormat.QDQ,
                    per_channel=True,
                    activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8,
                    op_types_to_quantize=_kinds(prepared),
                )
            proto = onnx.load(made)
        except Exception as error:
            reason = str(error).strip().split("\n", 1)[0]
            raise ModelError(
                f"The model {source.name} cannot be quantised: {reason:.200}; use it as it is."
            ) from error
    _strip(proto)
    content = proto.SerializeToString()
    names, difference = _compare(source, content, images)
    write_whole(target, content)
    return ExportedModel(target, names, difference, len(content))


class _Images(CalibrationDataReader):  # type: ignore[misc]
    """Batches of images as onnxruntime asks for them."""

    def __init__(self, images: NDArray[np.float32]) -> None:
        self._batches = _batches(images)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}


def _batches(images: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    for first in range(0, len(images), _BATCH):
        yield images[first : first + _BATCH]


def _kinds(path: Path) -> list[str]:
    """Operators to quantise: all that onnxruntime can but the last linear layers."""
    return sorted({node.op_type for node in onnx.load(path).graph.node} - {"Gemm"})


@contextmanager
def _quiet() -> Iterator[None]:
    """Hush the quantiser's remarks, which it makes on the root logger; only apps talk."""
    root, silent = logging.getLogger(), logging.NullHandler()

    def refuse(_: logging.LogRecord) -> bool:
        return False

    # The handler keeps logging.warning() from setting up one that prints, for good.
    root.addHandler(silent)
    root.addFilter(refuse)
    try:
        yield
    finally:
        root.removeFilter(refuse)
        root.removeHandler(silent)


def _strip(proto: onnx.ModelProto) -> None:
    """Remove the quantiser's notes, and the operator domains that it declares and does not use."""
    used = {node.domain for node in proto.graph.node}
    opsets = [opset for opset in proto.opset_import if opset.domain in used]
    proto.ClearField("opset_import")
    proto.opset_import.extend(opsets)
    kept = [entry for entry in proto.metadata_props if entry.key == METADATA_KEY]
    proto.ClearField("metadata_props")
    proto.metadata_props.extend(kept)


def _compare(
    source: Path, content: bytes, images: NDArray[np.float32]
) -> tuple[tuple[str, ...], float]:
    """Names of the outputs, and the largest difference from the source."""
    providers = ["CPUExecutionProvider"]
    before = onnxruntime.InferenceSession(source, providers=providers)
    after = onnxruntime.InferenceSession(content, providers=providers)
    names = [output.name for output in after.get_outputs()]
    largest = 0.0
    for batch in _batches(images):
        runs = (session.run(names, {INPUT: batch}) for session in (before, after))
        for expected, found in zip(*runs, strict=True):
            if not np.all(np.isfinite(found)):
                raise ModelError(
                    f"The quantised {source.name} gives values that are not finite; use it as it "
                    "is."
                )
            largest = max(largest, float(np.abs(expected - found).max()))
    return tuple(names), largest
