"""Seconds a training step of our fit, beside a plain torch loop with the same network.

Run: ``python benchmarks/fit_step.py``. Batches of 8 crops of 32 x 48 x 48 voxels come from a
memory map of int16 HU, are windowed on the device and classified by the same network with the same
AdamW; both loops with the weights in torch's order and channels-last. Variants take turns within
one process, and a step is timed from one call of the loss to the next, so that reading, the
optimiser and whatever a loop does in between count on both sides. The ratio of the medians is
printed, and that of the fastest steps. ``--clock cpu`` counts processor time instead, which tells
more where other programs share the processor.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

SHAPE = (32, 48, 48)
BATCH = 8
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclass(frozen=True, eq=False)
class Crops:
    """Random crops in a memory map."""

    images: np.ndarray
    classes: np.ndarray
    digest: str = "random"

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: np.ndarray) -> dict[str, Tensor]:
        images = torch.from_numpy(self.images[indices])
        return {"crop_hu": images, "classes": torch.from_numpy(self.classes[indices])}

    def order(self, epoch: int, seed: int) -> np.ndarray:
        return np.random.default_rng((seed, epoch)).permutation(len(self))


@dataclass(frozen=True, eq=False)
class Timed:
    """Cross-entropy on one window; notes when each loss begins."""

    clock: str
    starts: list[float] = field(default_factory=list)
    digest: str = "cross-entropy"

    def loss(self, model: nn.Module, batch: dict[str, Tensor], _: object) -> Tensor:
        if batch["crop_hu"].is_cuda:
            torch.cuda.synchronize()
        self.starts.append(CLOCKS[self.clock]())
        images = ((batch["crop_hu"].float() + 200.0) / 1000.0).clamp_(0.0, 1.0)
        return cross_entropy(model(images[:, None]), batch["classes"])

    def outputs(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        raise NotImplementedError("no validation here")

    def score(self, outputs: dict[str, np.ndarray]) -> dict[str, float]:
        raise NotImplementedError("no validation here")

    def steps(self) -> list[float]:
        """Seconds of each step but the first, which pays for what happens once."""
        return [b - a for a, b in zip(self.starts[1:], self.starts[2:], strict=False)]


def make_network(name: str) -> nn.Module:
    """A network of three classes, the same weights each time."""
    from osteoscope.models import create_model

    torch.manual_seed(0)
    return create_model(name, outputs=3)


def run_plain(name: str, crops: Crops, device: str, timed: Timed, *, channels_last: bool) -> None:
    """The loop that a person would write."""
    model = make_network(name).to(device).train()
    if channels_last:
        model = model.to(memory_format=torch.channels_last_3d)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4)
    for indices in np.array_split(crops.order(0, 0), len(crops) // BATCH):
        batch = {key: value.to(device) for key, value in crops.batch(indices).items()}
        optimiser.zero_grad()
        timed.loss(model, batch, None).backward()
        optimiser.step()


def run_ours(name: str, crops: Crops, device: str, timed: Timed, *, channels_last: bool) -> None:
    """One epoch of our fit."""
    from osteoscope.learning.fit import fit
    from osteoscope.learning.fit_config import FitConfig
    from osteoscope.learning.optimisers import OptimiserConfig

    config = FitConfig(epochs=1, batch_size=BATCH, accelerator=device, channels_last=channels_last)
    with tempfile.TemporaryDirectory() as folder:
        fit(
            make_network(name), timed, crops, None, config,
            optimiser=OptimiserConfig(learning_rate=1e-4), folder=Path(folder),
            on_progress=lambda _: None,
        )  # fmt: skip


VARIANTS: dict[str, tuple[Callable[..., None], bool]] = {
    "plain torch": (run_plain, False),
    "plain torch, channels-last": (run_plain, True),
    "our fit": (run_ours, False),
    "our fit, channels-last": (run_ours, True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=["small3d", "resnet18.a1_in1k"])
    parser.add_argument("--steps", type=int, default=8, help="steps of each turn")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=FutureWarning)
    where = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    threads = f"{torch.get_num_threads()} threads, {options.clock} time"
    print(f"{where}, {threads}, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        rng, samples = np.random.default_rng(0), BATCH * options.steps
        path = Path(folder, "crops.npy")
        np.save(path, rng.integers(-1000, 1500, (samples, *SHAPE), dtype=np.int16))
        crops = Crops(np.load(path, mmap_mode="r"), rng.integers(0, 3, samples))
        for name in options.networks:
            compare(name, crops, options.device, options.turns, options.clock)


def compare(name: str, crops: Crops, device: str, turns: int, clock: str) -> None:
    """Time all variants of one network and print them."""
    seconds: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    for _ in range(turns):
        for variant, (run, channels_last) in VARIANTS.items():
            timed = Timed(clock)
            run(name, crops, device, timed, channels_last=channels_last)
            seconds[variant] += timed.steps()
    print(f"{name}, batch {BATCH} x {SHAPE}")
    for variant, steps in seconds.items():
        print(
            f"  {variant:27s} median {statistics.median(steps) * 1e3:8.1f} ms, fastest "
            f"{min(steps) * 1e3:8.1f} ms a step ({len(steps)} steps)"
        )
    for order in ("", ", channels-last"):
        ours, plain = seconds[f"our fit{order}"], seconds[f"plain torch{order}"]
        print(
            f"  our fit{order} takes {statistics.median(ours) / statistics.median(plain):.3f} "
            f"(fastest {min(ours) / min(plain):.3f}) times what plain torch{order} takes"
        )


if __name__ == "__main__":
    main()
