"""Weights in 16 bits on the disk and 32 in use: half the file for three decimal digits."""

from __future__ import annotations

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

_SMALLEST = 256
"""Values; below it a tensor's name and its conversion cost more than is saved."""


def round_weights(model: nn.Module) -> None:
    """Round kernels and matrices to what 16 bits hold, in place; biases and statistics stay.

    A weight whose magnitude 16 bits cannot hold (65504) keeps its tensor as it is.
    """
    for parameter in model.parameters():
        rounded = parameter.data.half().float()
        if parameter.dim() > 1 and bool(rounded.isfinite().all()):
            parameter.data.copy_(rounded)


def store_in_half(proto: onnx.ModelProto) -> None:
    """Store every large float32 tensor that 16 bits hold exactly so, with a conversion after it.

    Nothing is lost: a tensor that was not rounded before (:func:`round_weights`) stays in 32 bits.
    Runtimes do the conversion once, when they load the file.
    """
    graph = proto.graph
    casts: list[onnx.NodeProto] = []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < _SMALLEST:
            continue
        values = torch.from_numpy(numpy_helper.to_array(tensor).copy())
        small = values.half()
        if not torch.equal(small.float(), values):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(small.numpy(), f"{name}_half"))
        casts.append(
            onnx.helper.make_node("Cast", [tensor.name], [name], to=onnx.TensorProto.FLOAT)
        )
    nodes = [*casts, *graph.node]
    graph.ClearField("node")
    graph.node.extend(nodes)
