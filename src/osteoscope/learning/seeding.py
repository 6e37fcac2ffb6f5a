"""Randomness as a function of where a fit stands, so that nothing of it needs to be stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def mix(*numbers: int) -> int:
    """One 63-bit seed from several numbers that are not negative.

    NumPy's SeedSequence, whose output is fixed across versions: nearby inputs give unrelated
    seeds, and no two orders of the same numbers give the same one.

    >>> mix(0, 1) == mix(1, 0)
    False
    """
    state = np.random.SeedSequence(numbers).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def seed_step(device: torch.device, *position: int) -> torch.Generator:
    """Seed dropout (the global generators) and return a generator for augmentation.

    Args:
        device: Where the step runs.
        position: Seed, epoch, step, rank.
    """
    # Not torch.manual_seed: it prepares every kind of device, and notes the whole call stack where
    # CUDA is not in use, which takes longer than a small network's step.
    seed = mix(*position, 0)
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    return torch.Generator(device=device).manual_seed(mix(*position, 1))


@contextmanager
def caller_randomness_kept(device: torch.device) -> Iterator[None]:
    """Give the caller's global generators back as they were."""
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        yield
