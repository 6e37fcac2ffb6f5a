"""An evaluation's headline: sentences for a terminal, numbers for machines."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from osteoscope.evaluation.complete import CompleteEvaluation


def metric_numbers(complete: CompleteEvaluation) -> dict[str, object]:
    """Every metric with its interval and n."""
    return {name: estimate.to_json() for name, estimate in complete.evaluation.items()}


def metric_sentences(complete: CompleteEvaluation) -> list[str]:
    """The metrics of the paper, and the AUC against each rival."""
    evaluation = complete.evaluation
    simulated = "Simulated: no patients exist. " if evaluation.simulated else ""
    lines = [
        f"{simulated}{evaluation.n_subjects} subjects, {evaluation.part} part, "
        f"classes {', '.join(evaluation.classes)}."
    ]
    for name in ("accuracy", "macro_sensitivity", "macro_specificity", "weighted_f1", "macro_auc"):
        found = evaluation[name]
        words = f"{found.value:.3f}"
        if math.isfinite(found.low):
            words += f" ({found.low:.3f} to {found.high:.3f})"
        lines.append(f"{name.replace('_', ' ')}: {words}{f'; {found.note}' if found.note else ''}")
    for name, comparison in complete.comparisons.items():
        d = comparison.differences["macro_auc"]
        lines.append(
            f"macro auc less that of {name}: {d.value:+.3f} ({d.low:+.3f} to {d.high:+.3f}), "
            f"p {d.p:.2g}, {comparison.n} rows of both"
        )
    return lines
