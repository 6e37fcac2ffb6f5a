"""The networks become ONNX graphs whose batch is free, equal to torch."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from osteoscope.models import create_model
from tests.models.constant_along_depth import with_statistics


@pytest.mark.slow
@pytest.mark.parametrize("name", ["small3d", "resnet18.a1_in1k", "convnextv2_atto", "vit3d-tiny"])
def test_the_graph_equals_torch_for_any_batch(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = with_statistics(create_model(name, image_shape=(32, 48, 48)))
    images = torch.randn(2, 1, 32, 48, 48)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, about its own use of torch
        program = torch.onnx.export(
            network,
            (images,),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("b", min=1, max=64)},),
            input_names=["images"],
            verbose=False,
        )
    program.save(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    for batch in (1, 3):
        images = torch.randn(batch, 1, 32, 48, 48)
        (got,) = session.run(None, {"images": images.numpy()})
        with torch.no_grad():
            expected = network(images).numpy()
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
