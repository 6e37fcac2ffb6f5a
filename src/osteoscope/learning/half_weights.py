"""Weights in 16 bits on the disk and 32 in use: half the file for three decimal digits."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

_SMALLEST = 256
"""Values; below it a tensor's name and its conversion cost more than is saved."""


def store_in_half(proto: onnx.ModelProto) -> None:
    """Round large float32 tensors to 16 bits, in place, with a conversion to 32 after each.

    Each value then has a relative error of at most 2^-11 (below 6e-5 in magnitude an absolute one
    of 3e-8). A tensor with a value beyond 65504 stays as it is. Runtimes do the conversion once,
    when they load the file, so that nothing is slower afterwards.
    """
    graph = proto.graph
    casts: list[onnx.NodeProto] = []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < _SMALLEST:
            continue
        values = numpy_helper.to_array(tensor)
        if np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(
            onnx.helper.make_node("Cast", [tensor.name], [name], to=onnx.TensorProto.FLOAT)
        )
    nodes = [*casts, *graph.node]
    graph.ClearField("node")
    graph.node.extend(nodes)
