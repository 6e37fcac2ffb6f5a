"""Running statistics of batch normalisation for weights that no training batch has met."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.modules.batchnorm import _BatchNorm

from osteoscope.learning.epoch_plan import share_of
from osteoscope.learning.objective import Batches
from osteoscope.learning.prefetch import prefetched
from osteoscope.learning.seeding import seed_step
from osteoscope.learning.training_step import Learner

PASSES = 50
"""Batches; with the usual momentum of 0.1 the old statistics then weigh 0.5 %."""


def refresh_statistics(
    learner: Learner, train: Batches, order: list[NDArray[np.int64]], epoch: int
) -> None:
    """Recompute the statistics at the optimiser's averaged weights.

    The schedule-free optimiser trains at one point and is judged at another, whose activations
    the running statistics have never seen; its authors ask for these passes (Defazio et al.,
    arXiv 2405.15682, and its documentation under "Batch Norm").

    Args:
        learner: Its optimiser in evaluation mode.
        train: Samples to learn from.
        order: Batches of an epoch; the first :data:`PASSES` are used.
        epoch: All randomness follows from it.
    """
    norms = [m for m in learner.network.modules() if isinstance(m, _BatchNorm)]
    if not any(norm.track_running_stats for norm in norms):
        return
    fabric, config = learner.fabric, learner.config
    shares = [share_of(fabric, batch) for batch in order[:PASSES]]
    plan = (share.indices for share in shares)
    learner.network.train()
    with torch.no_grad():
        for step, batch in enumerate(prefetched(train, plan, fabric.device, config.prefetch)):
            generator = seed_step(fabric.device, config.seed, epoch, step, fabric.global_rank)
            with fabric.autocast():
                learner.objective.loss(learner.network, batch, generator)
