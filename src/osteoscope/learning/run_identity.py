"""What a fit is a fit of, so that an interrupted one is never taken up as another."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch import nn

from osteoscope.core.errors import InputError
from osteoscope.learning.fit_config import FitConfig
from osteoscope.learning.objective import Batches, Objective
from osteoscope.learning.optimisers import OptimiserConfig

Identity = Mapping[str, Any]


def run_identity(
    model: nn.Module,
    objective: Objective,
    data: tuple[Batches, Batches | None],
    config: FitConfig,
    optimiser: OptimiserConfig,
) -> Identity:
    """JSON-ready values by name; two fits with equal ones compute the same.

    The values of the weights that the fit starts from are left out: a checkpoint holds its own.
    """
    train, validation = data
    values = {f"fit.{key}": value for key, value in config.identity().items()}
    values |= {f"optimiser.{key}": value for key, value in asdict(optimiser).items()}
    values["objective"] = objective.digest
    values["training data"] = train.digest
    values["validation data"] = None if validation is None else validation.digest
    values["network"] = _structure_digest(model)
    return {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}


def check_same_run(stored: Identity, current: Identity) -> None:
    """Refuse to continue another fit.

    Raises:
        InputError: One of the values differs; the message names the first.
    """
    for key in sorted(set(stored) | set(current)):
        before, now = stored.get(key), current.get(key)
        if before != now:
            raise InputError(
                f"The folder holds a checkpoint of another fit: its {key} is {before!r:.80}, here "
                f"it is {now!r:.80}; choose a new folder, or go back to the old settings."
            )


def _structure_digest(model: nn.Module) -> str:
    """Of names, shapes and types of all values, and of which of them are trained."""
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    lines = [
        f"{name} {tuple(value.shape)} {value.dtype} {name in trained}"
        for name, value in model.state_dict().items()
    ]
    return "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()
