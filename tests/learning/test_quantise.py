"""A quantised file answers nearly the same from a quarter of the weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from osteoscope.core.errors import InputError, ModelError
from osteoscope.learning.export import export_onnx
from osteoscope.learning.heads import HEADS
from osteoscope.learning.quantise import quantise_onnx

from .test_export import SHAPE, run
from .toy_classifier import ToySpec, toy_classifier, toy_images


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "model.onnx"
    export_onnx(toy_classifier(4), HEADS["joint"], ToySpec(), path, SHAPE)
    return path


def test_it_answers_nearly_the_same(
    tmp_path: Path, source: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "int8.onnx"
    exported = quantise_onnx(source, target, toy_images(20))
    assert exported.outputs == ("class_logits", "embedding", "t_score")
    assert [p.name for p in tmp_path.iterdir()] == ["int8.onnx"]
    assert capfd.readouterr() == ("", "")
    images = toy_images(6, seed=9)
    found, expected = run(target, images), run(source, images)
    for name, values in expected.items():
        # 8 bits resolve 1/255 of a range, a few times over.
        np.testing.assert_allclose(found[name], values, atol=0.03 * np.abs(values).max())
    assert exported.largest_difference > 1e-6


def test_convolutions_are_integers_and_the_description_stays(tmp_path: Path, source: Path) -> None:
    quantise_onnx(source, tmp_path / "int8.onnx", toy_images(8))
    proto = onnx.load(tmp_path / "int8.onnx")
    weights = {t.name: t for t in proto.graph.initializer}
    made_by = {name: node for node in proto.graph.node for name in node.output}
    convolutions = [node for node in proto.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 2
    for node in convolutions:
        stored = weights[made_by[node.input[1]].input[0]]
        assert stored.data_type == onnx.TensorProto.INT8
        scales = weights[made_by[node.input[1]].input[1]]
        assert list(scales.dims) == [stored.dims[0]]
    assert {entry.key: entry.value for entry in proto.metadata_props} == {
        "osteoscope": '{"name": "toy"}'
    }
    assert {opset.domain for opset in proto.opset_import} <= {"", "com.microsoft"}


def test_what_cannot_be_quantised_is_refused(tmp_path: Path, source: Path) -> None:
    with pytest.raises(InputError, match="needs images to calibrate on"):
        quantise_onnx(source, tmp_path / "m.onnx", toy_images(0))
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(source.read_bytes()[:500])
    with pytest.raises(ModelError, match=r"damaged\.onnx cannot be quantised"):
        quantise_onnx(damaged, tmp_path / "m.onnx", toy_images(8))
    assert not (tmp_path / "m.onnx").exists()
