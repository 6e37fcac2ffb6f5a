"""A tiny network, objective and data set that use everything a fit offers: noise, dropout, norm."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from osteoscope.learning.fit_config import FitConfig
from osteoscope.learning.optimisers import OptimiserConfig


def toy_network(seed: int = 0, *, norm: bool = True, dropout: float = 0.1) -> nn.Module:
    """Images (b, 1, 4, 4, 4) to two logits."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv3d(1, 4, 3, padding=1, bias=not norm),
        nn.BatchNorm3d(4) if norm else nn.Identity(),
        nn.ReLU(),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(4, 2),
    )


@dataclass(frozen=True, eq=False)
class ToyBatches:
    """Noise whose spread tells the class."""

    images: Tensor
    classes: Tensor
    digest: str = "toy"

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: NDArray[np.int64]) -> dict[str, Tensor]:
        return {"images": self.images[indices], "classes": self.classes[indices]}

    def order(self, epoch: int, seed: int) -> NDArray[np.int64]:
        return np.random.default_rng((seed, epoch)).permutation(len(self))


def toy_batches(samples: int = 22, seed: int = 5) -> ToyBatches:
    generator = torch.Generator().manual_seed(seed)
    classes = torch.arange(samples) % 2
    images = torch.randn((samples, 1, 4, 4, 4), generator=generator)
    return ToyBatches(images * (1 + classes.reshape(-1, 1, 1, 1, 1)), classes)


@dataclass(frozen=True)
class ToyObjective:
    """Cross-entropy on images with noise added; scores accuracy and loss."""

    noise: float = 0.05
    digest: str = "cross-entropy"

    def loss(
        self, model: nn.Module, batch: dict[str, Tensor], generator: torch.Generator
    ) -> Tensor:
        images = batch["images"]
        noise = torch.randn(images.shape, generator=generator)
        return nn.functional.cross_entropy(model(images + self.noise * noise), batch["classes"])

    def outputs(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"logits": model(batch["images"]), "classes": batch["classes"]}

    def score(self, outputs: dict[str, NDArray]) -> dict[str, float]:
        logits, classes = outputs["logits"].astype(np.float64), outputs["classes"]
        shifted = logits - logits.max(1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        return {
            "loss": float(-log_p[np.arange(len(classes)), classes].mean()),
            "accuracy": float((logits.argmax(1) == classes).mean()),
        }


def toy_config(**changes: object) -> FitConfig:
    base = {"epochs": 4, "batch_size": 5, "accelerator": "cpu", "select": "loss"}
    return FitConfig(**{**base, "select_mode": "min", "channels_last": True, **changes})


OPTIMISERS = {
    name: OptimiserConfig(name=name, learning_rate=0.02)
    for name in ("adamw", "sgd", "schedulefree-adamw", "sam")
}


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    """Bit for bit, running statistics included."""
    ours, theirs = a.state_dict(), b.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
