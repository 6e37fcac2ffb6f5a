"""What each backbone costs and reaches, beside a vision transformer of as many parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from osteoscope.core.errors import InputError
from osteoscope.reporting.tables import TextTable, write_table
from osteoscope.studies.tscore.cost_accuracy import (
    Accuracy,
    accuracies,
    at_equal_accuracy,
    percent,
)
from osteoscope.studies.tscore.costs import (
    CostCase,
    CostInput,
    NetworkCost,
    measure_costs,
    with_equal_vits,
)
from osteoscope.studies.tscore.grid import Job, grid_rows
from osteoscope.studies.tscore.ingredients import JOINT_VIT, VIT

SMALL = "small3d"
TRANSFORMERS = (VIT, JOINT_VIT)
ACCURACY_TABLES = (2, 4)
"""Their rows differ in the backbone; those of the others repeat one of these, or are of another
segmenter."""


def cost_names(only: Sequence[str] = ()) -> list[str]:
    """Networks of the cost table: the small one, the CNNs of Table II, the transformers.

    Args:
        only: Patterns of names, as for file names; none takes every network.

    Raises:
        InputError: No name fits the patterns.

    >>> cost_names(["resnet1?t*"])
    ['resnet10t.c3_in1k', 'resnet14t.c3_in1k']
    """
    names = [SMALL, *backbones(), *TRANSFORMERS]
    kept = [n for n in names if not only or any(fnmatchcase(n, pattern) for pattern in only)]
    if not kept:
        raise InputError(
            f"No network of the cost table is called {' or '.join(only)}; its networks are "
            f"{', '.join(names)}."
        )
    return kept


def backbones() -> list[str]:
    """The CNNs of Table II, in its order."""
    key = "model.name="
    named = (s.removeprefix(key) for row in grid_rows(2) for s in row.settings if s.startswith(key))
    return [name for name in dict.fromkeys(named) if name not in TRANSFORMERS]


def write_costs(
    out: Path,
    names: Sequence[str],
    given: CostInput,
    *,
    jobs: Sequence[Job],
    notes: Sequence[str] = (),
    on_step: Callable[[str], None] | None = None,
) -> Path:
    """Measure on this machine and write ``costs.md``, ``.csv`` and ``.tex``.

    Args:
        out: Folder.
        names: From :func:`cost_names`; a transformer of equal size follows each CNN of Table II.
        given: The crops.
        jobs: Rows of Tables II and IV, whose finished trainings say how accurate a network is.
        notes: Further sentences below the table.
        on_step: Told in words what is measured next.
    """
    paired = set(backbones())
    cases: list[CostCase] = []
    for name in names:
        cases += with_equal_vits([name], given) if name in paired else [CostCase(name)]
    costs = measure_costs(cases, given, on_step=on_step)
    return write_table(out, "costs", cost_table(costs, accuracies(names, jobs), notes))


def cost_table(
    costs: Sequence[NetworkCost], reached: Mapping[str, Accuracy], notes: Sequence[str] = ()
) -> TextTable:
    """The measured costs as a table, with what each network reached.

    Args:
        costs: Of one measurement, one or more.
        reached: By the labels of ``costs``; a network that is missing has no training.
        notes: Further sentences.
    """
    shape = "×".join(str(n) for n in costs[0].image_shape)
    simulated = any(accuracy.simulated for accuracy in reached.values())
    return TextTable(
        title=f"Cost of one crop of {shape} voxels, {costs[0].threads} CPU thread(s)"
        + (" (ROC AUC: SIMULATED subjects)" if simulated else ""),
        columns=(
            "Network",
            "Parameters, million",
            "Multiplications, thousand million",
            "Latency, ms",
            "Latency channels-last, ms",
            "Peak memory, MiB",
            "ROC AUC, ours (95 %)",
            "n",
            "Run",
        ),
        rows=tuple(_cells(cost, reached.get(cost.label)) for cost in costs),
        notes=(
            "Measured on the machine that wrote this table, every network and layout in turns; "
            "compare within it only. Parameters alone say little about time: a transformer with "
            "patches of 16 voxels works on a few hundred tokens, a convolution on every voxel.",
            "ROC AUC: macro one-vs-rest, of test subjects that nothing was chosen on, from the "
            "finished runs in runs/ of this store, split and settings; of several runs of a "
            "network, the one with Bal-CE and the fewest other ingredients.",
            at_equal_accuracy(costs, reached),
            *notes,
        ),
    )


def _cells(cost: NetworkCost, accuracy: Accuracy | None) -> tuple[str, ...]:
    return (
        cost.label,
        f"{cost.parameters / 1e6:.2f}",
        f"{cost.multiplications / 1e9:.2f}",
        f"{cost.latency_ms:.1f}",
        f"{cost.latency_channels_last_ms:.1f}",
        f"{cost.peak_memory_mib:.0f}",
        percent(accuracy.auc if accuracy else None),
        str(accuracy.auc.n) if accuracy else "–",
        accuracy.run if accuracy else "–",
    )
