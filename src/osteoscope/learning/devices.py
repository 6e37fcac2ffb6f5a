"""Starting Lightning Fabric: one CPU, one GPU, or a process for each of several."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_utilities.core import rank_zero
from numpy.typing import NDArray

from osteoscope.core.errors import InputError
from osteoscope.learning.fit_config import FitConfig


def start_devices(config: FitConfig) -> Fabric:
    """Fabric as the configuration wants it, its processes running.

    With several devices Fabric starts this very program again for each of the others (or takes
    the processes that torchrun or SLURM started), and all of them run the same code from its
    beginning. So a caller that writes files does that where :func:`is_first_process` holds.

    Raises:
        InputError: The computer has no such devices, or they cannot do the precision.
    """
    accelerator = config.accelerator
    if accelerator == "auto":
        accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    _check(config, accelerator)
    with _quiet():
        fabric = Fabric(
            accelerator=accelerator,
            devices=config.devices,
            num_nodes=config.nodes,
            strategy="ddp" if config.processes > 1 else "auto",
            precision=config.precision,  # type: ignore[arg-type]
            # One process needs no launcher, also where a cluster's has started this program.
            plugins=[LightningEnvironment()] if config.processes == 1 else None,
        )
        fabric.launch()
    return fabric


_RANKS = ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "RANK", "SLURM_PROCID")
"""What Fabric, torchrun, Kubeflow and SLURM tell a process; 0 or absent in the first one."""


def is_first_process(config: FitConfig) -> bool:
    """Whether this is the process that writes files and talks; true where there is only one.

    It can be asked from the start of the program on, also before a fit begins.
    """
    if config.processes == 1:
        return True
    return all(os.environ.get(name, "0") == "0" for name in _RANKS)


def own_share(fabric: Fabric, indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """This process's part of the indices; together the parts are all of them, in order."""
    return np.array_split(indices, fabric.world_size)[fabric.global_rank]


def gather(fabric: Fabric, value: Any) -> list[Any]:
    """The values of all processes in the order of their ranks."""
    if fabric.world_size == 1:
        return [value]
    found: list[Any] = [None] * fabric.world_size
    torch.distributed.all_gather_object(found, value)
    return found


def same_buffers_everywhere(fabric: Fabric, model: torch.nn.Module) -> None:
    """Give every process the running statistics of the first, so that all validate one network."""
    if fabric.world_size > 1:
        for buffer in model.buffers():
            torch.distributed.broadcast(buffer, 0)


def _check(config: FitConfig, accelerator: str) -> None:
    if accelerator == "cuda":
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if found < config.devices:
            raise InputError(
                f"The fit wants {config.devices} CUDA device(s) and this computer shows {found}; "
                "use accelerator 'auto' or 'cpu', or fewer devices."
            )
    elif config.precision == "16-mixed":
        raise InputError(
            "Precision '16-mixed' needs a CUDA device; use '32-true' (or 'bf16-mixed' where the "
            "processor has it) on the CPU."
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Fabric's remarks about devices and launchers; only apps talk to a person."""
    loggers = (logging.getLogger("lightning_fabric"), rank_zero.log)
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # It advises srun wherever SLURM is installed, also for one computer's processes.
            warnings.filterwarnings("ignore", message="The `srun` command is available")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
