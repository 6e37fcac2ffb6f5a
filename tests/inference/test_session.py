"""Opening a model: what is harmless runs alike in both runtimes, anything else is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from osteoscope.core.errors import InputError, ModelError
from osteoscope.core.model_spec import METADATA_KEY
from osteoscope.features.windows import apply_windows
from osteoscope.inference import session as session_module
from osteoscope.inference.onnx_file import read_contents
from osteoscope.inference.session import open_model
from tests.inference.tiny_model import HU_AT_ZERO, HU_PER_T, crop_of, spec, tiny_onnx, write_tiny

Change = Callable[[onnx.ModelProto], None]


def _sentence(error: pytest.ExceptionInfo[BaseException]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


def _runtimes() -> list[object]:
    missing = pytest.mark.skipif(not _has("openvino"), reason="the extra openvino is not installed")
    return ["onnxruntime", pytest.param("openvino", marks=missing)]


def _has(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None


@pytest.mark.parametrize("runtime", _runtimes())
@pytest.mark.parametrize("threads", [None, 1])
def test_a_model_gives_what_it_computes(tmp_path: Path, runtime: str, threads: int | None) -> None:
    """The fake's T-score is a line in the mean of the windowed crop: computed beside it here."""
    model = open_model(write_tiny(tmp_path / "m.onnx"), runtime=runtime, threads=threads)
    crops = np.stack([crop_of(hu, seed=n) for n, hu in enumerate((60.0, 150.0, 240.0))])
    found = model.run(apply_windows(crops, model.spec.windows))
    windowed = np.clip((crops + 200.0) / 1000.0, 0, 1)
    mean_hu = windowed.sum(axis=(1, 2, 3)) / (windowed > 1e-6).sum(axis=(1, 2, 3)) * 1000 - 200
    expected = (mean_hu - HU_AT_ZERO) / HU_PER_T
    assert found["t_score"] == pytest.approx(expected, abs=1e-3)
    assert found["class_logits"].shape == (3, 3)
    assert found["class_logits"] == pytest.approx(
        -((expected[:, None] - np.array([0.0, -1.75, -3.5])) ** 2), rel=1e-3, abs=1e-3
    )
    assert found["embedding"].shape == (3, 2 * 3 * 3)
    assert model.digest.startswith("sha256:")
    assert model.spec == spec()


def test_a_model_without_a_t_score_has_none(tmp_path: Path) -> None:
    model = open_model(write_tiny(tmp_path / "m.onnx", t_score=False))
    assert set(model.run(apply_windows(crop_of()[None], model.spec.windows))) == {
        "class_logits",
        "embedding",
    }


def test_batches_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    model = open_model(write_tiny(tmp_path / "m.onnx"))
    for shape in ((1, 1, 32, 48, 47), (1, 2, 32, 48, 48), (32, 48, 48), (0, 1, 32, 48, 48)):
        with pytest.raises(ModelError, match="takes crops of shape") as caught:
            model.run(np.zeros(shape, np.float32))
        _sentence(caught)


def test_outputs_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    model = open_model(write_tiny(tmp_path / "m.onnx"))
    images = np.full((1, 1, 32, 48, 48), np.nan, np.float32)
    with pytest.raises(ModelError, match="not finite") as caught:
        model.run(images)
    _sentence(caught)


def test_external_data_is_refused_even_where_it_lies_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runtime given bytes looks for external data in the working directory."""
    path = tmp_path / "m.onnx"
    onnx.save_model(
        tiny_onnx(spec().to_json()),
        path,
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    assert (tmp_path / "weights.bin").is_file()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="weights in another file") as caught:
        open_model(path)
    _sentence(caught)


def test_external_data_inside_a_branch_is_found() -> None:
    """In a subgraph of an attribute of a node, and in a sparse tensor."""
    tensor = numpy_helper.from_array(np.ones(3, np.float32), "w")
    tensor.data_location = TensorProto.EXTERNAL
    inner = helper.make_graph([], "inner", [], [], [tensor])
    node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    model = helper.make_model(helper.make_graph([node], "g", [], []))
    assert read_contents(model.SerializeToString()).external_data
    values = numpy_helper.from_array(np.ones(1, np.float32), "v")
    entry = values.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    index = numpy_helper.from_array(np.zeros(1, np.int64), "i")
    sparse = onnx.SparseTensorProto(values=values, indices=index, dims=[3])
    graph = helper.make_graph([], "g", [], [])
    graph.sparse_initializer.append(sparse)
    assert read_contents(helper.make_model(graph).SerializeToString()).external_data
    assert not read_contents(tiny_onnx().SerializeToString()).external_data


def _custom_operator(model: onnx.ModelProto) -> None:
    model.graph.node[-1].domain = "made.elsewhere"
    model.opset_import.append(helper.make_opsetid("made.elsewhere", 1))


def _custom_operator_in_a_function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Odd", ["x"], ["y"], domain="made.elsewhere")
    model.functions.append(
        helper.make_function("local", "F", ["x"], ["y"], [node], [helper.make_opsetid("", 18)])
    )


def _without_description(model: onnx.ModelProto) -> None:
    del model.metadata_props[:]


def _of_another_shape(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[4].dim_value = 49


def _of_one_batch(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def _of_another_name(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = "scan"
    for node in model.graph.node:
        node.input[:] = ["scan" if name == "images" else name for name in node.input]


def _without_embedding(model: onnx.ModelProto) -> None:
    del model.graph.output[1]


def _with_another_output(model: onnx.ModelProto) -> None:
    model.graph.output.append(helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["b"]))


def _of_an_unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "Conjure"


def _with_training(model: onnx.ModelProto) -> None:
    model.training_info.add()


def _of_doubles(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (_custom_operator, "'made.elsewhere'"),
        (_custom_operator_in_a_function, "'made.elsewhere'"),
        (_without_description, "no description"),
        (_of_another_shape, "float32 input 'images'"),
        (_of_one_batch, "float32 input 'images'"),
        (_of_another_name, "float32 input 'images'"),
        (_without_embedding, "embedding"),
        (_with_another_output, "class_logits"),
        (_of_an_unknown_operator, "cannot be loaded by onnxruntime"),
        (_with_training, "training"),
        (_of_doubles, "cannot be loaded|float32"),
    ],
)
def test_a_model_that_is_not_what_it_should_be_is_refused(
    tmp_path: Path, change: Change, rule: str, capfd: pytest.CaptureFixture[str]
) -> None:
    model = tiny_onnx(spec().to_json())
    change(model)
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=rule) as caught:
        open_model(path)
    _sentence(caught)
    assert str(tmp_path) not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_fewer_logits_than_classes_are_refused(tmp_path: Path) -> None:
    description = spec(classes=("low", "normal"), prior=(0.5, 0.5), refers_to=None)
    with pytest.raises(ModelError, match=r"class_logits \(b, 2\)"):
        open_model(write_tiny(tmp_path / "m.onnx", description))


def test_a_description_of_another_format_is_refused(tmp_path: Path) -> None:
    values = json.loads(spec().to_json()) | {"format": 99}
    path = tmp_path / "m.onnx"
    path.write_bytes(tiny_onnx(json.dumps(values)).SerializeToString())
    with pytest.raises(ModelError, match="format 99"):
        open_model(path)


def test_files_that_cannot_be_read_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match=r"nowhere\.onnx cannot be read"):
        open_model(tmp_path / "nowhere.onnx")
    with pytest.raises(ModelError, match="is not a file"):
        open_model(tmp_path)
    path = write_tiny(tmp_path / "m.onnx")
    with pytest.raises(InputError, match="known: onnxruntime, openvino"):
        open_model(path, runtime="abacus")
    with pytest.raises(ModelError, match="1 thread"):
        open_model(path, threads=0)
    monkeypatch.setattr(session_module, "LARGEST_BYTES", 100)
    with pytest.raises(ModelError, match="GB"):
        open_model(path)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_file_never_gets_through_unnoticed(data: st.DataObject) -> None:
    """Cut short anywhere, the walk or the description says so; nothing else is ever raised."""
    content = tiny_onnx(spec().to_json()).SerializeToString()
    length = data.draw(st.integers(0, len(content) - 1))
    try:
        found = read_contents(content[:length])
    except ModelError:
        return
    assert METADATA_KEY not in found.metadata or json.loads(found.metadata[METADATA_KEY])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        found = read_contents(content)
    except ModelError:
        return
    assert isinstance(found.external_data, bool)


def test_what_is_read_agrees_with_the_onnx_package() -> None:
    """The independent oracle: protobuf's own parser."""
    model = tiny_onnx(spec().to_json())
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    found = read_contents(model.SerializeToString())
    assert dict(found.metadata) == {p.key: p.value for p in model.metadata_props}
    assert set(found.domains) <= {"", "ai.onnx"}
    assert not found.training
