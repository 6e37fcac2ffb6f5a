"""Learning the WHO class, the T-score or both from crops: windows, augmentation, head, loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from osteoscope.learning.augment import Augmentation
from osteoscope.learning.heads import Head, TScoreHead
from osteoscope.learning.losses.training_loss import TrainingLoss
from osteoscope.learning.objective import Batch, Outputs
from osteoscope.learning.windowing import windowed

Scorer = Callable[[Mapping[str, NDArray[Any]]], dict[str, float]]
"""``class_logits`` (n, k), ``class_index`` (n,), ``t_score`` (n,) and, with some heads,
``t_score_predicted`` (n,) -> metrics by name."""


@dataclass(frozen=True, eq=False)
class Classification:
    """The objective of a classifier of crops.

    Args:
        head: How the network's raw outputs are read.
        loss: Of the raw outputs, the class and the T-score.
        windows: HU windows, one an input channel.
        augmentation: Of the windowed crops, in training only; None for none.
        scorer: Metrics of a whole set.
        digest: Text that changes with any of these.
    """

    head: Head
    loss_of: TrainingLoss
    windows: tuple[tuple[float, float], ...]
    augmentation: Augmentation | None
    scorer: Scorer
    digest: str

    def loss(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
        """Mean loss of a batch of augmented crops."""
        images = windowed(batch["crop_hu"], self.windows)
        if self.augmentation is not None:
            images = self.augmentation(images, batch["class_index"], generator)
        return self.loss_of(model(images), batch["class_index"], batch["t_score"])

    def outputs(self, model: nn.Module, batch: Batch) -> Batch:
        """Class logits, predicted T-scores where the head has them, embeddings, and the truth."""
        features = network_features(model, windowed(batch["crop_hu"], self.windows))
        found = {
            "class_logits": self.head.class_logits(features.raw),
            "embedding": features.embedding.float(),
            "class_index": batch["class_index"],
            "t_score": batch["t_score"],
        }
        predicted = self.head.t_score(features.raw)
        return found if predicted is None else {**found, "t_score_predicted": predicted}

    def score(self, outputs: Outputs) -> dict[str, float]:
        """Metrics of a whole set."""
        return self.scorer(outputs)


@dataclass(frozen=True, eq=False)
class NetworkFeatures:
    """What one pass through a network gives.

    Args:
        raw: (b, outputs) what the head reads.
        embedding: (b, f) what the last layer saw.
    """

    raw: Tensor
    embedding: Tensor


def network_features(model: nn.Module, images: Tensor) -> NetworkFeatures:
    """Outputs and embedding of a network of :func:`osteoscope.models.create_model`, in one pass."""
    network: Any = model
    features = network.forward_features(images)
    return NetworkFeatures(
        network.forward_head(features), network.forward_head(features, pre_logits=True)
    )


def logits_of_t_scores(head: TScoreHead, t_scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 3) class logits that a head reads from (n,) predicted T-scores."""
    return head.class_logits(torch.from_numpy(t_scores)[:, None]).numpy()
