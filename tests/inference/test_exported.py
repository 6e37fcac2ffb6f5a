"""A network exported by ``learning`` is one that ``inference`` opens: the two sides of one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osteoscope.core.crop_spec import CropSpec
from osteoscope.core.model_spec import ModelSpec
from osteoscope.features.windows import apply_windows
from osteoscope.inference.classify import classify_crop
from osteoscope.inference.session import open_model
from tests.inference.tiny_model import spec

torch = pytest.importorskip("torch", reason="the extra train is not installed")

CROP = CropSpec(shape=(16, 32, 32), spacing_mm=(3.0, 2.0, 2.0))


class _Small(torch.nn.Module):
    """A network of one convolution that keeps timm's protocol."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv3d(1, 6, 3, stride=2)
        self.norm = torch.nn.BatchNorm3d(6)
        self.classifier = torch.nn.Linear(6, outputs)

    def forward_features(self, images: Any) -> Any:
        return torch.relu(self.norm(self.convolution(images)))

    def forward_head(self, features: Any, pre_logits: bool = False) -> Any:
        pooled = features.mean(dim=(2, 3, 4))
        return pooled if pre_logits else self.classifier(pooled)

    def forward(self, images: Any) -> Any:
        return self.forward_head(self.forward_features(images))


@pytest.mark.slow
@pytest.mark.parametrize("head_name", ["three-class", "t-score", "cumulative"])
def test_what_is_exported_opens_and_answers_as_torch_does(head_name: str, tmp_path: Path) -> None:
    from osteoscope.learning.export import export_onnx
    from osteoscope.learning.heads import create_head

    torch.manual_seed(0)
    head = create_head(head_name)
    network = _Small(head.outputs)
    description: ModelSpec = spec(crop=CROP, conformal=None)
    path = tmp_path / "model.onnx"
    export_onnx(network, head, description, path, (1, *CROP.shape))
    model = open_model(path, threads=1)
    assert model.spec == description
    crop = np.random.default_rng(0).integers(-100, 600, CROP.shape).astype(np.int16)
    answer = classify_crop(model, crop)
    network.eval()
    with torch.no_grad():
        raw = network(torch.from_numpy(apply_windows(crop[np.newaxis], description.windows)))
        expected = torch.softmax(head.class_logits(raw).double(), dim=1)[0].numpy()
        t_score = head.t_score(raw)
    assert answer.probabilities == pytest.approx(expected, abs=1e-4)
    assert answer.embedding.shape == (6,)
    if t_score is None:
        assert answer.t_score is None
    else:
        assert answer.t_score == pytest.approx(float(t_score[0]), abs=1e-4)
