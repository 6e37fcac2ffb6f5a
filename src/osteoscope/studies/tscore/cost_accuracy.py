"""How accurate the networks of the cost table are, from the finished trainings of the grid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from osteoscope.evaluation.estimates import Estimate
from osteoscope.studies.tscore.costs import NetworkCost
from osteoscope.studies.tscore.grid import Job, is_trained, row_result

METRIC = "macro_auc"


@dataclass(frozen=True)
class Accuracy:
    """What a network reached.

    Args:
        run: Folder of the training: network, loss and a digest. A row's label would not do:
            settings that are laid over every row may change its network.
        auc: Macro AUC of the test subjects.
        simulated: Whether these are.
    """

    run: str
    auc: Estimate
    simulated: bool = False

    @property
    def bounded(self) -> bool:
        """Whether it has an interval."""
        return math.isfinite(self.auc.low) and math.isfinite(self.auc.high)


def accuracies(names: Sequence[str], jobs: Sequence[Job]) -> dict[str, Accuracy]:
    """The macro AUC of each network that has a finished training.

    All are of one split and under one set of settings, so that they can be compared. Of several
    trainings of a network, the one with Bal-CE and the fewest other ingredients stands for it,
    which is Table IV's row; without one, the one with the fewest ingredients.

    Args:
        names: Of networks, as ``create_model`` takes them.
        jobs: Rows of Tables II and IV.

    Returns:
        By name; a network without a readable finished training is missing.
    """
    found = {}
    for name in names:
        done = [job for job in jobs if job.config.model.name == name and is_trained(job)]
        for job in sorted(done, key=_preference):  # stable: the tables' order among equals
            result = row_result(job)
            if result.error is None:
                found[name] = Accuracy(job.folder.name, result.estimates[METRIC], result.simulated)
                break
    return found


def _preference(job: Job) -> tuple[bool, int]:
    ingredients = job.row.label.split("+")[1:]
    return "balce" not in ingredients, len(ingredients)


def at_equal_accuracy(costs: Sequence[NetworkCost], reached: Mapping[str, Accuracy]) -> str:
    """What the cheapest network costs that cannot be told from the best.

    Cheapest is the one with the least time in its better layout; what cannot be told apart are
    intervals that overlap, which is no proof of equality.

    Args:
        costs: The networks.
        reached: By their labels; those without an interval are not compared.

    Returns:
        A sentence, also where there is nothing to compare.
    """
    known = [c for c in costs if c.label in reached and reached[c.label].bounded]
    if len(known) < 2:
        return (
            f"At equal accuracy: {len(known)} of these networks has a finished training with an "
            "interval among the runs of these settings, and two are needed; train rows of Table II "
            "or IV into the same folder first."
        )
    best = max(known, key=lambda c: reached[c.label].auc.value)
    top = reached[best.label].auc
    alike = [c for c in known if reached[c.label].auc.high >= top.low]
    cheapest = min(alike, key=lambda c: c.best_latency_ms)
    if cheapest is best:
        return (
            f"At equal accuracy: the network with the highest AUC, {best.label} ({percent(top)}), "
            f"is also the fastest of the {len(alike)} of {len(known)} trained ones whose interval "
            "overlaps its own."
        )
    shares = [
        f"{100 * cheapest.best_latency_ms / best.best_latency_ms:.0f} % of its time",
        f"{100 * cheapest.parameters / best.parameters:.0f} % of its parameters",
        f"{100 * cheapest.multiplications / best.multiplications:.0f} % of its multiplications",
    ]
    memory = cheapest.peak_memory_mib / best.peak_memory_mib
    if math.isfinite(memory):
        shares.append(f"{100 * memory:.0f} % of its memory")
    return (
        f"At equal accuracy: the highest AUC is that of {best.label} ({percent(top)}); the fastest "
        f"of the {len(alike)} of {len(known)} trained networks whose interval overlaps that one is "
        f"{cheapest.label} ({percent(reached[cheapest.label].auc)}), which costs "
        f"{', '.join(shares[:-1])} and {shares[-1]}. Intervals that overlap prove no equality: "
        "with few test subjects nearly all do."
    )


def percent(estimate: Estimate | None) -> str:
    """A share in per cent with its interval, ``79.34 (71.2–86.0)``; a dash for none."""
    if estimate is None or not math.isfinite(estimate.value):
        return "–"
    value, low, high = (100 * v for v in (estimate.value, estimate.low, estimate.high))
    return f"{value:.2f} ({low:.1f}–{high:.1f})" if math.isfinite(low) else f"{value:.2f}"
