"""An exported file computes what torch does, in any batch, and says what it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from osteoscope.core.errors import InputError, ModelError
from osteoscope.learning.export import TOLERANCE, export_onnx
from osteoscope.learning.heads import HEADS, Head
from osteoscope.learning.memory_order import keep_channels_last

from .toy_classifier import ToyClassifier, ToySpec, toy_classifier, toy_images

SHAPE = (1, 8, 8, 8)


def run(path: Path, images: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"images": images}), strict=True))


def in_torch(model: nn.Module, head: Head, images: np.ndarray) -> dict[str, Tensor]:
    model.eval()
    with torch.no_grad():
        features = model.forward_features(torch.from_numpy(images))
        raw = model.forward_head(features)
        found = {
            "class_logits": head.class_logits(raw),
            "embedding": model.forward_head(features, pre_logits=True),
            "t_score": head.t_score(raw),
        }
    return {name: value for name, value in found.items() if value is not None}


SLOW_HEADS = [pytest.param(name, marks=pytest.mark.slow) for name in HEADS if name != "joint"]


@pytest.mark.parametrize("name", ["joint", *SLOW_HEADS])
def test_the_file_computes_what_torch_does(tmp_path: Path, name: str) -> None:
    head, path = HEADS[name], tmp_path / "model.onnx"
    model = toy_classifier(head.outputs)
    keep_channels_last(model)
    exported = export_onnx(model, head, ToySpec(), path, SHAPE, examples=toy_images(9) * 3)
    assert exported.largest_difference <= TOLERANCE
    assert model.training  # The given network is not changed.
    for count in (1, 2, 7):
        images = toy_images(count, seed=count)
        found, expected = run(path, images), in_torch(model, head, images)
        assert tuple(found) == exported.outputs == tuple(expected)
        for key, value in expected.items():
            assert found[key].shape == tuple(value.shape)
            np.testing.assert_allclose(found[key], value.numpy(), atol=1e-4)
    assert found["class_logits"].shape == (7, 3)
    assert found["embedding"].shape == (7, 6)


def test_the_file_is_in_one_piece_and_names_no_path(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    exported = export_onnx(toy_classifier(3), HEADS["three-class"], ToySpec(), path, SHAPE)
    content = path.read_bytes()
    assert exported.size_bytes == len(content)
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]
    for word in (b".py", str(Path.home()).encode(), str(Path.cwd()).encode()):
        assert word not in content
    proto = onnx.load(path)
    onnx.checker.check_model(proto, full_check=True)
    assert {entry.key: entry.value for entry in proto.metadata_props} == {
        "osteoscope": '{"name": "toy"}'
    }
    assert {opset.domain for opset in proto.opset_import} == {""}
    (given,) = proto.graph.input
    assert given.name == "images"
    assert given.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    sizes = given.type.tensor_type.shape.dim
    assert bool(sizes[0].dim_param)
    assert [d.dim_value for d in sizes[1:]] == list(SHAPE)


def test_half_of_the_file_for_three_digits(tmp_path: Path) -> None:
    model, head = toy_classifier(4), HEADS["joint"]
    whole = export_onnx(model, head, ToySpec(), tmp_path / "whole.onnx", SHAPE)
    half = export_onnx(model, head, ToySpec(), tmp_path / "half.onnx", SHAPE, half=True)
    # Kernels take 9 of the whole file's 14 kB.
    assert half.size_bytes < 0.75 * whole.size_bytes
    assert 1e-7 < half.largest_difference < 5e-3
    images = toy_images(5)
    for key, value in run(tmp_path / "whole.onnx", images).items():
        np.testing.assert_allclose(run(tmp_path / "half.onnx", images)[key], value, atol=5e-3)


class Drifting(ToyClassifier):
    """Computes something else once the exporter has traced it; a fault that the check must find."""

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        found = super().forward_head(features, pre_logits)
        return found if torch.compiler.is_exporting() else found + 1e-3


class Untraceable(ToyClassifier):
    """Depends on the values that it meets, which a graph cannot."""

    def forward_features(self, images: Tensor) -> Tensor:
        return super().forward_features(images if float(images.detach().mean()) > 0 else -images)


@pytest.mark.parametrize(
    ("kind", "words"),
    [(Drifting, "class_logits differs from torch's by 0.001"), (Untraceable, "cannot be written")],
)
def test_a_network_that_does_not_export_leaves_no_file(
    tmp_path: Path, kind: type[ToyClassifier], words: str
) -> None:
    with pytest.raises(ModelError, match=words):
        export_onnx(kind(3), HEADS["three-class"], ToySpec(), tmp_path / "m.onnx", SHAPE)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"m\.onnx cannot be written: No such file"):
        export_onnx(
            toy_classifier(3), HEADS["three-class"], ToySpec(), tmp_path / "no" / "m.onnx", SHAPE
        )
