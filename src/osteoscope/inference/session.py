"""Open a deployed model safely and run it, without torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError, ModelError
from osteoscope.core.model_spec import METADATA_KEY, ModelSpec
from osteoscope.core.registry import look_up
from osteoscope.evaluation.calibrators import READINGS
from osteoscope.evaluation.conformal import METHODS
from osteoscope.inference.onnx_file import STANDARD_DOMAINS, read_contents
from osteoscope.inference.runtimes import RUNTIMES, Port, Runner, not_installed

LARGEST_BYTES = 2 * 1024**3
"""Protocol Buffers hold no larger message; a larger file is no ONNX model in one piece."""

INPUT, LOGITS, EMBEDDING, T_SCORE = "images", "class_logits", "embedding", "t_score"
DEFAULT_RUNTIME = "onnxruntime"


@dataclass(frozen=True, eq=False)
class DeployedModel:
    """A model that is ready to run.

    Args:
        spec: What it says about itself.
        digest: ``sha256:`` and the digest of its file.
        runtime: The library that runs it.
        outputs: Names of what it gives: ``class_logits``, ``embedding``, by choice ``t_score``.
        runner: The library's side.
    """

    spec: ModelSpec
    digest: str
    runtime: str
    outputs: tuple[str, ...]
    runner: Runner

    def run(self, images: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Raw outputs of a batch.

        Args:
            images: (b, c, z, y, x) crops after their windows, b >= 1.

        Returns:
            ``class_logits`` (b, k), ``embedding`` (b, f), and ``t_score`` (b,) where the model
            gives one.

        Raises:
            ModelError: The batch does not fit the model, or an output is not finite or of another
                shape.
        """
        wanted = (len(self.spec.windows), *self.spec.crop.shape)
        if images.ndim != 5 or images.shape[1:] != wanted or not len(images):
            raise ModelError(
                f"The model {self.spec.name} takes crops of shape (b, c, z, y, x) = (b, "
                f"{', '.join(map(str, wanted))}), not {images.shape}."
            )
        found = self.runner.run(np.ascontiguousarray(images, dtype=np.float32))
        named = dict(zip(self.outputs, found, strict=True))
        for name, values in named.items():
            if name == T_SCORE:
                named[name] = values = values.reshape(len(values), -1)[:, 0]
            if len(values) != len(images) or values.ndim != (1 if name == T_SCORE else 2):
                raise ModelError(
                    f"The model {self.spec.name} gave {name} of shape {values.shape} for "
                    f"{len(images)} crops; export it again."
                )
            if not np.all(np.isfinite(values)):
                raise ModelError(
                    f"The model {self.spec.name} gave a {name} that is not finite; its weights or "
                    "the crop cannot be used."
                )
        if named[LOGITS].shape[1] != len(self.spec.classes):
            raise ModelError(
                f"The model {self.spec.name} gave {named[LOGITS].shape[1]} logits for its "
                f"{len(self.spec.classes)} classes; export it again."
            )
        return named


def open_model(
    path: Path, *, runtime: str = DEFAULT_RUNTIME, threads: int | None = None
) -> DeployedModel:
    """Open an ONNX file that ``osteoscope tscore export`` wrote.

    Nothing but the file is read: external data, operators that need code from elsewhere and
    training graphs are refused before a runtime sees the file.

    Args:
        path: The file, at most 2 GB.
        runtime: ``onnxruntime``, or ``openvino`` where its extra is installed.
        threads: Threads of one inference; None leaves it to the runtime.

    Raises:
        InputError: An unknown runtime.
        ModelError: The file is missing, too large, damaged, incomplete, without its description
            or with another input or output than that says.
    """
    make = look_up(RUNTIMES, runtime, "runtime")
    if threads is not None and threads < 1:
        raise ModelError(f"A model runs on 1 thread or more, not {threads}.")
    content = read_model_bytes(path)
    spec = read_spec(content, path.name)
    runner = make(content, threads)
    _check_ports(runner.inputs, runner.outputs, spec, path.name)
    return DeployedModel(
        spec=spec,
        digest=f"sha256:{hashlib.sha256(content).hexdigest()}",
        runtime=runtime,
        outputs=tuple(port.name for port in runner.outputs),
        runner=runner,
    )


def check_runtime(name: str) -> None:
    """Refuse a runtime that is unknown or not installed.

    Raises:
        InputError: Unknown; the message lists the known ones.
        ModelError: Known and not installed.
    """
    look_up(RUNTIMES, name, "runtime")
    if find_spec(name) is None:
        raise not_installed(name)


def read_spec(content: bytes, file_name: str) -> ModelSpec:
    """The description in an ONNX file, once the file is known to be harmless.

    Raises:
        ModelError: See :func:`open_model`.
    """
    contents = read_contents(content)
    if contents.external_data:
        raise ModelError(
            f"The model {file_name} keeps weights in another file; export it with its weights "
            "inside."
        )
    foreign = [domain for domain in contents.domains if domain not in STANDARD_DOMAINS]
    if foreign:
        raise ModelError(
            f"The model {file_name} uses operators of {foreign[0]!r:.60}, which need code from "
            "elsewhere; export it with standard ONNX operators only."
        )
    if contents.training:
        raise ModelError(f"The model {file_name} holds training graphs; export it for inference.")
    text = contents.metadata.get(METADATA_KEY)
    if text is None:
        raise ModelError(
            f"The model {file_name} holds no description under {METADATA_KEY!r}; use a model that "
            "'osteoscope tscore export' wrote."
        )
    spec = ModelSpec.from_json(text)
    try:
        look_up(READINGS, spec.adjust.reading, "reading of the logit adjustment")
        if spec.conformal is not None:
            look_up(METHODS, spec.conformal.method, "conformal method")
    except InputError as error:
        raise ModelError(f"The model {file_name} cannot be used: {error}") from None
    return spec


def read_model_bytes(path: Path) -> bytes:
    """A model's file, if it is one and not too large.

    Raises:
        ModelError: See :func:`open_model`.
    """
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise ModelError(f"The model {path.name} is not a file.")
        if size > LARGEST_BYTES:
            raise ModelError(
                f"The model {path.name} has {size / 1024**3:.1f} GB, and ONNX files end at "
                f"{LARGEST_BYTES / 1024**3:g} GB."
            )
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"The model {path.name} cannot be read: {error.strerror}.") from None


def _check_ports(
    inputs: tuple[Port, ...], outputs: tuple[Port, ...], spec: ModelSpec, file_name: str
) -> None:
    """Names, types and shapes as :mod:`osteoscope.learning.export` writes them."""
    shape = (None, len(spec.windows), *spec.crop.shape)
    if tuple(port.name for port in inputs) != (INPUT,) or not inputs[0].fits(shape):
        raise ModelError(
            f"The model {file_name} must take one float32 input {INPUT!r} of shape (b, "
            f"{', '.join(map(str, shape[1:]))}), not {_listed(inputs)}."
        )
    wanted: Mapping[str, tuple[int | None, ...]] = {
        LOGITS: (None, len(spec.classes)),
        EMBEDDING: (None, None),
    }
    found = {port.name: port for port in outputs}
    if T_SCORE in found:
        wanted = {**wanted, T_SCORE: (None, 1) if found[T_SCORE].axes == 2 else (None,)}
    if set(found) - set(wanted) or any(
        name not in found or not found[name].fits(s) for name, s in wanted.items()
    ):
        raise ModelError(
            f"The model {file_name} must give {LOGITS} (b, {len(spec.classes)}), {EMBEDDING} "
            f"(b, f) and by choice {T_SCORE} (b,), not {_listed(outputs)}."
        )


def _listed(ports: tuple[Port, ...]) -> str:
    return ", ".join(f"{port.name:.40} {port.kind} {port.words}" for port in ports[:5]) or "none"
