"""What each backbone costs, beside a vision transformer of as many parameters."""

from __future__ import annotations

from pathlib import Path

from osteoscope.reporting.tables import TextTable, write_table
from osteoscope.studies.tscore.costs import (
    CostCase,
    CostInput,
    NetworkCost,
    measure_costs,
    with_equal_vits,
)

BACKBONES = (
    "resnet10t.c3_in1k",
    "resnet18.a1_in1k",
    "resnet50.a1_in1k",
    "mobilenetv2_100.ra_in1k",
    "efficientnet_b0.ra_in1k",
    "resnext50_32x4d.a1h_in1k",
)
"""Of Table II; the deeper ResNets cost more of the same."""


def write_costs(out: Path, image_shape: tuple[int, int, int]) -> Path:
    """Measure on this machine and write ``costs.md``, ``.csv`` and ``.tex``.

    Args:
        out: Folder.
        image_shape: (z, y, x) voxels of the crops.
    """
    given = CostInput(image_shape=image_shape)
    cases = [
        CostCase("small3d"),
        *with_equal_vits(BACKBONES, given),
        CostCase("vit3d-base"),
        CostCase("jointvit-base"),
    ]
    return write_table(out, "costs", cost_table(measure_costs(cases, given)))


def cost_table(costs: list[NetworkCost]) -> TextTable:
    """The measured costs as a table."""
    shape = "×".join(str(n) for n in costs[0].image_shape)
    return TextTable(
        title=f"Cost of one crop of {shape} voxels, {costs[0].threads} CPU thread(s)",
        columns=(
            "Network",
            "Parameters, million",
            "Multiplications, thousand million",
            "Latency, ms",
            "Latency channels-last, ms",
            "Peak memory, MiB",
        ),
        rows=tuple(
            (
                cost.label,
                f"{cost.parameters / 1e6:.2f}",
                f"{cost.multiplications / 1e9:.2f}",
                f"{cost.latency_ms:.1f}",
                f"{cost.latency_channels_last_ms:.1f}",
                f"{cost.peak_memory_mib:.0f}",
            )
            for cost in costs
        ),
        notes=(
            "Measured on the machine that wrote this table; compare within it only. Parameters "
            "alone say little about time: a transformer with patches of 16 voxels works on a few "
            "hundred tokens, a convolution on every voxel.",
        ),
    )
