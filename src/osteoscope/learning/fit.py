"""Fitting a network: on a CPU, a GPU or many, interrupted or not, by one function."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import nn

from osteoscope.core.errors import InputError
from osteoscope.learning.devices import start_devices
from osteoscope.learning.fit_config import FitConfig
from osteoscope.learning.fit_run import FitRun
from osteoscope.learning.memory_order import keep_channels_last
from osteoscope.learning.objective import Batches, Objective
from osteoscope.learning.optimisers import OptimiserConfig, make_optimiser
from osteoscope.learning.progress import FitResult, OnProgress
from osteoscope.learning.run_identity import run_identity
from osteoscope.learning.seeding import caller_randomness_kept
from osteoscope.learning.training_step import Learner


def fit(
    model: nn.Module,
    objective: Objective,
    train: Batches,
    validation: Batches | None,
    config: FitConfig,
    *,
    optimiser: OptimiserConfig,
    folder: Path,
    on_progress: OnProgress | None = None,
) -> FitResult:
    """Fit a network and leave the weights of the epoch that validation chose in it.

    A checkpoint in ``folder`` is continued: a fit killed at any step and started again ends, on a
    CPU, with the same weights bit for bit as one that was never interrupted. What the weights
    were when ``fit`` was called again does not matter then. A finished fit is not repeated.

    Batch normalisation counts the samples of each process and piece by itself, so that a network
    with it depends on ``devices`` and ``accumulate``; others agree to rounding.

    Args:
        model: Changed in place. Frozen parameters stay as they are.
        objective: What is learned.
        train: Samples to learn from.
        validation: Samples that choose the epoch, or None: then the last one is taken.
        config: How long, on what, by which measure.
        optimiser: How weights follow gradients.
        folder: For the checkpoint, the chosen weights and the curves; made if need be. Every
            process must see it.
        on_progress: Called in the first process, at most twice a second and after each epoch.

    Returns:
        What was found, the same on every process.

    Raises:
        InputError: There are no samples, the devices cannot be used, the metric to select by is
            unknown, or the folder holds another fit.
        ModelError: The loss or the metric is no number, or the checkpoint is damaged.
    """
    if len(train) == 0 or (validation is not None and len(validation) == 0):
        raise InputError("A fit needs at least one sample to train on and one to validate on.")
    if validation is None and config.patience:
        raise InputError("patience needs a validation set; give one, or set patience to 0.")
    identity = run_identity(model, objective, (train, validation), config, optimiser)
    fabric = start_devices(config)
    home = next(model.parameters()).device
    with caller_randomness_kept(fabric.device), _fixed_shapes(fabric.device):
        learner = _learner(fabric, model, objective, config, optimiser)
        run = FitRun(learner, (train, validation), folder, identity, on_progress)
        result = run.to_end()
    learner.optimiser.zero_grad()
    model.eval().to(home)
    return result


def _learner(
    fabric: Fabric,
    model: nn.Module,
    objective: Objective,
    config: FitConfig,
    rule: OptimiserConfig,
) -> Learner:
    if rule.needs_closure and config.precision == "16-mixed":
        raise InputError(
            "Sharpness-aware minimisation computes two gradients a step, which the loss scaling "
            "of '16-mixed' does not allow; use precision 'bf16-mixed' or '32-true'."
        )
    if config.channels_last:
        keep_channels_last(model)
    optimiser = make_optimiser(rule, model.parameters())
    module, stepper = fabric.setup(model, optimiser)
    return Learner(fabric, model, module, optimiser, stepper, objective, config, rule)


@contextmanager
def _fixed_shapes(device: torch.device) -> Iterator[None]:
    """Let cuDNN try its algorithms once: every batch has the same shape."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = before or device.type == "cuda"
    try:
        with warnings.catch_warnings():
            # Of a channels-last kernel with one input channel, whose memory is the same either way.
            warnings.filterwarnings("ignore", message="Grad strides do not match bucket view")
            yield
    finally:
        torch.backends.cudnn.benchmark = before
