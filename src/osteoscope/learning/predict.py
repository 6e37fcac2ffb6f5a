"""A network's answers for a set of samples, in their order."""

from __future__ import annotations

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from osteoscope.core.errors import InputError, ModelError
from osteoscope.learning.devices import gather, own_share, start_devices
from osteoscope.learning.fit_config import FitConfig
from osteoscope.learning.objective import Batch, Batches, Objective, Outputs
from osteoscope.learning.prefetch import prefetched


def predict(model: nn.Module, objective: Objective, batches: Batches, config: FitConfig) -> Outputs:
    """Outputs of every sample.

    Args:
        model: Left on the device and in the mode that it came in.
        objective: Its ``outputs`` are collected.
        batches: Samples.
        config: Device, precision and batch size.

    Returns:
        Arrays by name, (n, ...), in the order of the samples; the same on every process.

    Raises:
        InputError: There are no samples, or the device cannot be used.
        ModelError: The objective's outputs do not count samples.
    """
    fabric = start_devices(config)
    home = next((p.device for p in model.parameters()), fabric.device)
    try:
        return collect(fabric, model.to(fabric.device), objective, batches, config)
    finally:
        model.to(home)


def collect(
    fabric: Fabric, model: nn.Module, objective: Objective, batches: Batches, config: FitConfig
) -> Outputs:
    """Outputs of every sample from a network that is on the device; see :func:`predict`."""
    if len(batches) == 0:
        raise InputError("There are no samples to predict; give at least one.")
    own = own_share(fabric, np.arange(len(batches), dtype=np.int64))
    each = max(1, config.batch_size // fabric.world_size)
    plan = [own[first : first + each] for first in range(0, len(own), each)]
    training = model.training
    model.eval()
    parts: list[Outputs] = []
    try:
        with torch.no_grad():
            for indices, batch in zip(
                plan, prefetched(batches, plan, fabric.device, config.prefetch), strict=True
            ):
                with fabric.autocast():
                    outputs = objective.outputs(model, batch)
                parts.append(_arrays(outputs, len(indices)))
    finally:
        model.train(training)
    everyone = [part for parts_of_one in gather(fabric, parts) for part in parts_of_one]
    return {name: np.concatenate([part[name] for part in everyone]) for name in everyone[0]}


def _arrays(outputs: Batch, samples: int) -> Outputs:
    """On the computer's memory; NumPy has no bfloat16, and half precision serves nobody here."""
    arrays: Outputs = {}
    for name, tensor in outputs.items():
        if tensor.ndim == 0 or len(tensor) != samples:
            raise ModelError(
                f"The objective's output {name!r} has shape {tuple(tensor.shape)} for {samples} "
                "samples; its first axis must count them."
            )
        small = tensor.dtype in (torch.float16, torch.bfloat16)
        arrays[name] = (tensor.float() if small else tensor).cpu().numpy()
    return arrays
