"""The libraries that run an ONNX model, behind one small face."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import ModelError


@dataclass(frozen=True)
class Port:
    """An input or output of a model.

    Args:
        name: Its name.
        kind: Its element type, ``float32`` for all that osteoscope uses.
        shape: Its length along each axis, None where it is free; None where not even the number
            of axes is stated.
    """

    name: str
    kind: str
    shape: tuple[int | None, ...] | None

    def fits(self, wanted: tuple[int | None, ...]) -> bool:
        """Whether it holds float32 values of that shape; a free length fits every one.

        A first axis of fixed length is refused: the batch must be free.
        """
        if self.kind != "float32" or self.shape is None or len(self.shape) != len(wanted):
            return False
        if self.shape[0] is not None:
            return False
        return all(
            here is None or there is None or here == there
            for here, there in zip(self.shape, wanted, strict=True)
        )

    @property
    def axes(self) -> int | None:
        """Number of axes, where it is stated."""
        return None if self.shape is None else len(self.shape)

    @property
    def words(self) -> str:
        """The shape for a message."""
        if self.shape is None:
            return "of unknown shape"
        return f"({', '.join('?' if n is None else str(n) for n in self.shape)})"


@dataclass(frozen=True, eq=False)
class Runner:
    """A loaded model: its ports, and how it is run.

    Args:
        inputs: What it takes.
        outputs: What it gives.
        run: From the one input's array to the outputs' arrays, in the order of ``outputs``.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    run: Callable[[NDArray[np.float32]], list[NDArray[np.float32]]]


def _onnxruntime(content: bytes, threads: int | None) -> Runner:
    # 60 MB and 0.2 s, which a screen without a model is spared.
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised, and said once
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(
            content, sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its exceptions have no common base below Exception
        raise _cannot_load("onnxruntime", error) from None

    def ports(nodes: Any) -> tuple[Port, ...]:
        return tuple(Port(n.name, _ORT_KINDS.get(n.type, n.type), _lengths(n.shape)) for n in nodes)

    inputs, outputs = ports(session.get_inputs()), ports(session.get_outputs())
    names = [port.name for port in outputs]

    def run(images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        try:
            return [np.asarray(v) for v in session.run(names, {inputs[0].name: images})]
        except Exception as error:
            raise _cannot_run("onnxruntime", error) from None

    return Runner(inputs, outputs, run)


def _openvino(content: bytes, threads: int | None) -> Runner:
    try:
        import openvino
    except ImportError:
        raise not_installed("openvino") from None
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    try:
        core = openvino.Core()
        model = core.read_model(model=content)
        compiled = core.compile_model(model, "CPU", settings)
    except Exception as error:
        raise _cannot_load("openvino", error) from None

    def ports(nodes: Any) -> tuple[Port, ...]:
        return tuple(
            Port(
                n.get_any_name(),
                _OPENVINO_KINDS.get(n.get_element_type().get_type_name(), "another type"),
                tuple(None if d.is_dynamic else d.get_length() for d in n.get_partial_shape()),
            )
            for n in nodes
        )

    inputs, outputs = ports(compiled.inputs), ports(compiled.outputs)

    def run(images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        try:
            found = compiled({0: images})
            return [np.array(found[n], dtype=np.float32) for n in range(len(outputs))]
        except Exception as error:
            raise _cannot_run("openvino", error) from None

    return Runner(inputs, outputs, run)


RUNTIMES: Mapping[str, Callable[[bytes, int | None], Runner]] = MappingProxyType(
    {"onnxruntime": _onnxruntime, "openvino": _openvino}
)
"""From the bytes of a model, and a number of threads or None, to what runs it."""

_ORT_KINDS = {"tensor(float)": "float32"}
_OPENVINO_KINDS = {"f32": "float32"}


def _lengths(shape: Any) -> tuple[int | None, ...] | None:
    """onnxruntime gives the name of a free axis, or None, in place of its length."""
    if shape is None:
        return None
    return tuple(n if isinstance(n, int) and n > 0 else None for n in shape)


def not_installed(runtime: str) -> ModelError:
    """What is to be done where a runtime is missing."""
    return ModelError(
        f"The runtime {runtime} is not installed; install osteoscope[{runtime}], or use "
        "onnxruntime."
    )


def _cannot_load(runtime: str, error: Exception) -> ModelError:
    return ModelError(
        f"The model cannot be loaded by {runtime} ({_first_line(error)}); export it again."
    )


def _cannot_run(runtime: str, error: Exception) -> ModelError:
    return ModelError(
        f"The model stopped while {runtime} ran it ({_first_line(error)}); export it again."
    )


def _first_line(error: Exception) -> str:
    """The library's own words, short enough for a sentence."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:160].rstrip(".;: ")
