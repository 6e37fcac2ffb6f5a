"""A tiny ONNX model that stands in for a trained one: it reads the mean attenuation of a crop.

It is a fake for tests only. Its T-score is a straight line in that mean, its logits fall with the
distance of the T-score from each class, and its embedding is the crop averaged over coarse boxes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from osteoscope.core.crop_spec import CropSpec
from osteoscope.core.model_spec import METADATA_KEY, Adjustment, Conformal, ModelSpec

CROP = CropSpec(shape=(32, 48, 48), spacing_mm=(1.5, 1.5, 1.5))
WINDOW = (-200.0, 800.0)
POOL = 16
HU_AT_ZERO, HU_PER_T = 250.0, 40.0
"""The fake's line: a mean of 250 HU is a T-score of 0, and 40 HU are one of it."""


def spec(**changes: object) -> ModelSpec:
    """The fake's description."""
    values: dict[str, object] = {
        "name": "a fake for tests",
        "crop": CROP,
        "windows": (WINDOW,),
        "classes": ("normal", "osteopenia", "osteoporosis"),
        "prior": (0.5, 0.3, 0.2),
        "simulated": True,
        "training": "A fake for tests: the mean attenuation of the crop, trained on nothing.",
        "licence": "Apache-2.0",
        "adjust": Adjustment("subtract", 0.0),
        "conformal": Conformal(0.9, "lac", (0.8,)),
        "metrics": {"macro_auc": (0.9, 0.8, 0.95, 60)},
        "refers_to": (0.5, 0.3, 0.2),
    }
    return ModelSpec(**{**values, **changes})  # type: ignore[arg-type]


def tiny_onnx(description: str | None = None, *, t_score: bool = True) -> onnx.ModelProto:
    """The model; ``description`` None leaves the metadata out."""
    low, high = WINDOW
    constants = {
        "axes": np.array([1, 2, 3, 4], np.int64),
        "tiny": np.array(1e-6, np.float32),
        "slope": np.array((high - low) / HU_PER_T, np.float32),
        "offset": np.array((low - HU_AT_ZERO) / HU_PER_T, np.float32),
        "middles": np.array([[0.0, -1.75, -3.5]], np.float32),
        "column": np.array([-1, 1], np.int64),
    }
    nodes = [
        helper.make_node("ReduceSum", ["images", "axes"], ["sum"], keepdims=0),
        helper.make_node("Greater", ["images", "tiny"], ["shown"]),
        helper.make_node("Cast", ["shown"], ["ones"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["ones", "axes"], ["voxels"], keepdims=0),
        helper.make_node("Add", ["voxels", "tiny"], ["divisor"]),
        helper.make_node("Div", ["sum", "divisor"], ["mean"]),
        helper.make_node("Mul", ["mean", "slope"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["t_score"]),
        helper.make_node("Reshape", ["t_score", "column"], ["t_column"]),
        helper.make_node("Sub", ["t_column", "middles"], ["away"]),
        helper.make_node("Mul", ["away", "away"], ["squared"]),
        helper.make_node("Neg", ["squared"], ["class_logits"]),
        helper.make_node(
            "AveragePool", ["images"], ["pooled"], kernel_shape=[POOL] * 3, strides=[POOL] * 3
        ),
        helper.make_node("Flatten", ["pooled"], ["embedding"], axis=1),
    ]
    shape = CROP.shape
    features = int(np.prod([n // POOL for n in shape]))
    outputs = [
        helper.make_tensor_value_info("class_logits", TensorProto.FLOAT, ["b", 3]),
        helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["b", features]),
    ]
    if t_score:
        outputs.append(helper.make_tensor_value_info("t_score", TensorProto.FLOAT, ["b"]))
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["b", 1, *shape])
    graph = helper.make_graph(
        nodes,
        "tiny",
        [images],
        outputs,
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    if description is not None:
        entry = model.metadata_props.add()
        entry.key, entry.value = METADATA_KEY, description
    return model


def write_tiny(path: Path, description: ModelSpec | None = None, *, t_score: bool = True) -> Path:
    """Write the fake with its description."""
    made = tiny_onnx((description or spec()).to_json(), t_score=t_score)
    path.write_bytes(made.SerializeToString())
    return path


def crop_of(hu: float = 150.0, *, noise_hu: float = 15.0, seed: int = 0) -> np.ndarray:
    """A masked crop: a block of spongy bone with a cortex, 33 mm high, in air."""
    generator = np.random.default_rng(seed)
    size = generator.integers(-1, 2, size=3)
    crop = np.full(CROP.shape, -1024, dtype=np.int16)
    low = np.array([5, 8, 8])
    high = np.array([27, 40, 40]) + size
    block = generator.normal(hu, noise_hu, size=tuple(high - low))
    cortex = np.ones(block.shape, dtype=bool)
    cortex[2:-2, 2:-2, 2:-2] = False
    block[cortex] += 250.0
    crop[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = np.rint(block)
    return crop
