"""Predictions come in the order of the samples and leave the network as it was."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from osteoscope.core.errors import InputError, ModelError
from osteoscope.learning.predict import predict
from osteoscope.learning.prefetch import prefetched

from .toy_fit import ToyBatches, ToyObjective, toy_batches, toy_config, toy_network


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_every_sample_in_order(batch_size: int) -> None:
    model, data = toy_network(), toy_batches(13)
    found = predict(model, ToyObjective(), data, toy_config(batch_size=batch_size))
    assert model.training  # As it came.
    model.eval()
    with torch.no_grad():
        expected = model(data.images).numpy()
    np.testing.assert_allclose(found["logits"], expected, rtol=1e-5, atol=1e-6)
    assert np.array_equal(found["classes"], data.classes.numpy())


def test_half_precision_comes_as_float32() -> None:
    config = toy_config(precision="bf16-mixed")
    found = predict(toy_network(), ToyObjective(), toy_batches(), config)
    assert found["logits"].dtype == np.float32


def test_no_samples_are_refused() -> None:
    with pytest.raises(InputError, match="no samples to predict"):
        predict(toy_network(), ToyObjective(), toy_batches(0), toy_config())


def test_an_output_must_count_samples() -> None:
    @dataclass(frozen=True)
    class Mean(ToyObjective):
        def outputs(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
            return {"mean": model(batch["images"]).mean()}

    with pytest.raises(ModelError, match=r"'mean' has shape \(\) for 5 samples"):
        predict(toy_network(), Mean(), toy_batches(), toy_config())


@dataclass(frozen=True, eq=False)
class Watched(ToyBatches):
    """Notes what is read, and by which thread."""

    read: list[tuple[int, str]] = field(default_factory=list)
    fails_at: int = -1

    def batch(self, indices: NDArray[np.int64]) -> dict[str, Tensor]:
        if int(indices[0]) == self.fails_at:
            raise OSError("the disk is gone")
        self.read.append((int(indices[0]), threading.current_thread().name))
        return super().batch(indices)


def watched(**more: object) -> Watched:
    data = toy_batches(10)
    return Watched(data.images, data.classes, **more)


def test_batches_are_read_ahead_by_a_thread_and_come_in_order() -> None:
    data = watched()
    plan = [np.array([k]) for k in range(10)]
    stream = prefetched(data, iter(plan), torch.device("cpu"), 3)
    first = next(stream)
    assert torch.equal(first["images"][0], data.images[0])
    rest = [batch["images"][0] for batch in stream]
    assert torch.equal(torch.stack(rest), data.images[1:])
    assert [where for where, _ in data.read] == list(range(10))
    assert all(name.startswith("read") for _, name in data.read)


def test_no_more_is_read_than_was_asked_for() -> None:
    data = watched()
    stream = prefetched(data, iter(np.arange(10)[:, None]), torch.device("cpu"), 2)
    next(stream)
    stream.close()
    assert len(data.read) <= 3
    assert not any(thread.name.startswith("read") for thread in threading.enumerate())


def test_an_error_of_reading_reaches_the_caller() -> None:
    stream = prefetched(
        watched(fails_at=4), [np.array([k]) for k in range(10)], torch.device("cpu"), 2
    )
    with pytest.raises(OSError, match="the disk is gone"):
        list(stream)
