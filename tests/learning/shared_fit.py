"""A program that fits on two processes; Fabric starts it once more for the second one.

``python -m tests.learning.shared_fit FOLDER OPTIMISER``
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from osteoscope.learning.devices import is_first_process
from osteoscope.learning.fit import fit
from osteoscope.learning.predict import predict

from .toy_fit import OPTIMISERS, ToyObjective, toy_batches, toy_config, toy_network


def shared_fit(folder: Path, name: str, devices: int) -> dict[str, list[float]]:
    """Losses, metrics and logits of a fit whose 21 samples do not divide evenly: in batches of 5
    and 4, and with SGD in batches of 2 and a last one of 1, which leaves a process without any.

    No batch normalisation and no randomness: both belong to a process, not to a batch.
    """
    model, objective = toy_network(norm=False, dropout=0.0), ToyObjective(noise=0.0)
    config = toy_config(
        devices=devices,
        batch_size=2 if name == "sgd" else 5,
        accumulate=2,
        clip_norm=0.5,
        checkpoint_every_steps=2,
        epochs=3,
    )
    fitted = fit(
        model, objective, toy_batches(21), toy_batches(7), config,
        optimiser=OPTIMISERS[name], folder=folder,
    )  # fmt: skip
    logits = predict(model, objective, toy_batches(9), config)["logits"]
    return {
        "loss": [record.loss for record in fitted.history],
        "validation": [record.metrics["loss"] for record in fitted.history],
        "logits": logits.ravel().tolist(),
    }


if __name__ == "__main__":
    place = Path(sys.argv[1])
    found = {name: shared_fit(place / name, name, 2) for name in sys.argv[2:]}
    if is_first_process(toy_config(devices=2)):
        (place / "found.json").write_text(json.dumps(found))
