"""What a training ran on, for its record."""

from __future__ import annotations

import torch


def hardware() -> dict[str, str]:
    """Version of torch, and the name of the first CUDA device where there is one."""
    found = {"torch": torch.__version__, "device": "cpu"}
    if torch.cuda.is_available():
        found["device"] = torch.cuda.get_device_name(0)
    return found
