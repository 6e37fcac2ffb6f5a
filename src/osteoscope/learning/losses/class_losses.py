"""Losses of class logits, one value a row: the readings of Bal-CE and what they compete with.

Each takes logits of softmax (log-probabilities of any head serve) and knows nothing of batches;
:mod:`osteoscope.learning.losses.class_loss` chooses one by name and takes the mean.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Plain cross-entropy: -log softmax(logits)[target].

    Args:
        logits: (b, k).
        target: (b,) class indices.

    Returns:
        (b,) losses.
    """
    return functional.cross_entropy(logits, target, reduction="none")


def logit_adjusted(logits: Tensor, target: Tensor, log_prior: Tensor, tau: float) -> Tensor:
    """Cross-entropy of ``logits + tau * log(prior)``: Bal-CE as the official train.py trains it.

    The network's own logits, used without the addition, are then those of a population in which
    the classes' shares are even (tau = 1): the minimiser is Bayes-consistent for the balanced
    error (Menon et al., ICLR 2021, Eq. 10 and Theorem 1, arXiv 2007.07314; Ren et al., Balanced
    Meta-Softmax, NeurIPS 2020). tau is the paper's tau1 of Table V; 0 is plain cross-entropy.
    The official code adds 1e-12 within the logarithm, which matters to no class that has a row.

    Args:
        logits: (b, k).
        target: (b,) class indices.
        log_prior: (k,) logarithm of the training shares.
        tau: Strength, 0 or more.

    Returns:
        (b,) losses.
    """
    return cross_entropy(logits + tau * log_prior, target)


def weighted_cross_entropy(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy times the weight of the row's class.

    With effective-number weights: Cui et al., CVPR 2019, Eq. 4 (class-balanced softmax
    cross-entropy).

    Args:
        logits: (b, k).
        target: (b,) class indices.
        weights: (k,) weight of each class.

    Returns:
        (b,) losses.
    """
    return weights[target] * cross_entropy(logits, target)


def weighted_binary_cross_entropy(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Bal-CE as the paper's Eq. 1 writes it: -w (y log p + (1 - y) log(1 - p)).

    Eq. 1 is for one probability a row. Read here for k classes: p are the softmax probabilities,
    y the one-hot truth, the term is averaged over the classes one against the rest (for two
    classes both terms are equal, so that this *is* Eq. 1), and w is the weight of the row's own
    class. Were w instead the weight of each class's term, it would scale both sides of that
    one-against-rest problem and with sigmoid probabilities balance nothing. Its minimiser is the
    posterior of the reweighted population: with w of inverse frequency the balanced one.

    Args:
        logits: (b, k).
        target: (b,) class indices.
        weights: (k,) weight of each class.

    Returns:
        (b,) losses.
    """
    logs = functional.log_softmax(logits, dim=1)
    truth = functional.one_hot(target, logits.shape[1]).to(torch.bool)
    terms = torch.where(truth, logs, _log_complements(logits))
    return -weights[target] * terms.mean(dim=1)


def focal(logits: Tensor, target: Tensor, gamma: float) -> Tensor:
    """Focal loss of softmax: -(1 - p)^gamma log p, p the probability of the true class.

    Lin et al., ICCV 2017, Eq. 4 (no class weight alpha), arXiv 1708.02002, with softmax in place
    of sigmoid. gamma = 0 is plain cross-entropy. It counters easy rows, not class shares: it is
    here for comparison.

    Args:
        logits: (b, k).
        target: (b,) class indices.
        gamma: 0 or more.

    Returns:
        (b,) losses.
    """
    index = target.unsqueeze(1)
    log_miss = _log_complements(logits).gather(1, index).squeeze(1)
    return torch.exp(gamma * log_miss) * cross_entropy(logits, target)


def _log_complements(logits: Tensor) -> Tensor:
    """(b, k) log(1 - softmax), from the sum of the others, so that a sure class loses no digits."""
    k = logits.shape[1]
    own = torch.eye(k, dtype=torch.bool, device=logits.device)
    others = logits.unsqueeze(1).expand(-1, k, -1).masked_fill(own, -torch.inf)
    return torch.logsumexp(others, dim=2) - torch.logsumexp(logits, dim=1, keepdim=True)
