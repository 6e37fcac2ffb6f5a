"""The order in which an epoch visits the training rows: a pure function of seed and epoch."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError
from osteoscope.core.registry import look_up

SamplingKind = Literal["shuffle", "class-balanced"]


def order(
    labels: NDArray[np.integer], epoch: int, seed: int, kind: SamplingKind = "shuffle"
) -> NDArray[np.int64]:
    """(n,) row indices of one epoch, as many as there are rows.

    ``shuffle``: each row once. ``class-balanced``: each class that occurs fills an equal share of
    the epoch (shares differ by at most one row), its rows repeated as evenly as can be: within an
    epoch the visits of two rows of a class differ by at most one, and which rows are visited more
    (or, of a large class, at all) changes from epoch to epoch.

    Args:
        labels: (n,) class indices; -1 is unknown and allowed in ``shuffle`` only.
        epoch: Number of the epoch, from 0.
        seed: Of the run. Equal arguments give equal orders, on every machine and rank.
        kind: How.

    Raises:
        InputError: No row, a negative epoch or seed, an unknown kind, or an unknown class where
            the classes are to be balanced.
    """
    look_up(dict.fromkeys(get_args(SamplingKind)), kind, "sampling")
    count = len(labels)
    if count == 0:
        raise InputError("An epoch needs a training row; the training part of the split is empty.")
    if epoch < 0 or seed < 0:
        raise InputError(f"Epoch and seed are 0 or more, not {epoch} and {seed}.")
    draw = np.random.default_rng([seed, epoch])
    if kind == "shuffle":
        return draw.permutation(count)
    if int(labels.min()) < 0:
        raise InputError(
            "Class-balanced sampling needs the class of every training row, but some are unknown; "
            "leave these rows out or use sampling 'shuffle'."
        )
    present = np.unique(labels)
    # The rows that do not divide evenly go to classes drawn anew each epoch.
    shares = np.full(len(present), count // len(present))
    shares[draw.permutation(len(present))[: count % len(present)]] += 1
    chosen = [
        _spread(np.flatnonzero(labels == label), int(share), draw)
        for label, share in zip(present, shares, strict=True)
    ]
    return draw.permutation(np.concatenate(chosen))


def _spread(members: NDArray[np.int64], share: int, draw: np.random.Generator) -> NDArray[np.int64]:
    """``share`` of the members, all as often as each other or once less."""
    whole, rest = divmod(share, len(members))
    return np.concatenate([np.tile(members, whole), draw.permutation(members)[:rest]])
