"""What an ONNX file would pull in, read from its bytes before any runtime sees it.

A runtime that loads a model from bytes still looks for external data in the working directory, so
whether a file names any is found out here. Field numbers are those of ``onnx.proto`` (ONNX IR);
the wire format is Protocol Buffers'. Only lengths are followed: weights are never copied.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from osteoscope.core.errors import ModelError

STANDARD_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
"""Operators that the runtimes bring themselves; any other domain needs code from elsewhere."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DEEPEST = 32
"""Graphs inside graphs; a network has two or three, and a file may not exhaust the stack."""
_EXTERNAL = 1  # TensorProto.DataLocation

# Which fields of a message hold messages of which kind, and what is to be read of it.
_INSIDE: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 8: "opset", 14: "entry", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}


@dataclass(frozen=True)
class OnnxContents:
    """What a model file holds besides its arithmetic.

    Args:
        metadata: Its ``metadata_props``.
        domains: The operator domains that its nodes use, sorted.
        external_data: Whether a tensor's values lie in another file.
        training: Whether it carries training graphs.
    """

    metadata: Mapping[str, str]
    domains: tuple[str, ...]
    external_data: bool
    training: bool


@dataclass
class _Found:
    metadata: dict[str, str] = field(default_factory=dict)
    domains: set[str] = field(default_factory=set)
    external_data: bool = False
    training: bool = False


def read_contents(model: bytes) -> OnnxContents:
    """Walk the messages of an ONNX file.

    Args:
        model: The whole file.

    Raises:
        ModelError: The bytes are no whole ONNX file.
    """
    found = _Found()
    try:
        _walk(memoryview(model), "model", found, 0)
    except (IndexError, ValueError, UnicodeDecodeError):
        raise ModelError(
            "The model file is damaged or no ONNX file; export or copy it again."
        ) from None
    return OnnxContents(
        found.metadata, tuple(sorted(found.domains)), found.external_data, found.training
    )


def _walk(message: memoryview, kind: str, found: _Found, depth: int) -> None:
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    inside = _INSIDE.get(kind, {})
    for number, value in _fields(message):
        inner = inside.get(number)
        if inner is None:
            if kind == "node" and number == 7:
                found.domains.add(_text(value))
            elif kind == "tensor" and (number == 13 or (number == 14 and value == _EXTERNAL)):
                found.external_data = True
            continue
        if isinstance(value, int):
            raise ValueError("a number where a message belongs")
        if inner == "entry":
            _entry(value, found.metadata)
        elif inner == "training":
            found.training = True
        elif inner != "opset":
            _walk(value, inner, found, depth + 1)


def _entry(message: memoryview, metadata: dict[str, str]) -> None:
    parts = {number: _text(value) for number, value in _fields(message)}
    metadata[parts.get(1, "")] = parts.get(2, "")


def _text(value: int | memoryview) -> str:
    if isinstance(value, int):
        raise ValueError("a number where a text belongs")
    return bytes(value).decode("utf-8")


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field: an integer, or a view of its bytes."""
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise ValueError("field zero")
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == _BYTES:
            length, at = _varint(message, at)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError("an unknown wire type")
        if length > end - at:
            raise ValueError("cut short")
        yield number, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than ten bytes")
