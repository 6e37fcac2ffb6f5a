"""A tiny network with the three methods of osteoscope's networks, for the tests of export."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class ToyClassifier(nn.Module):
    """Images (b, 1, 8, 8, 8) to raw outputs, by way of an embedding of 6 values."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv3d(1, 12, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm3d(12),
            nn.ReLU(),
            nn.Conv3d(12, 6, 3, padding=1),
            nn.BatchNorm3d(6),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(6, outputs)

    def forward_features(self, images: Tensor) -> Tensor:
        return self.body(images)

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        embedding = features.mean(dim=(2, 3, 4))
        return embedding if pre_logits else self.classifier(embedding)

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(images))


def toy_classifier(outputs: int) -> ToyClassifier:
    """With running statistics that differ from those of a fresh network, in training mode."""
    torch.manual_seed(4)
    model = ToyClassifier(outputs)
    for _ in range(5):
        model(torch.rand(4, 1, 8, 8, 8) * 2)
    return model


@dataclass(frozen=True)
class ToySpec:
    """Stands for a ModelSpec."""

    text: str = '{"name": "toy"}'

    def to_json(self) -> str:
        return self.text


def toy_images(count: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((count, 1, 8, 8, 8), dtype=np.float32)
