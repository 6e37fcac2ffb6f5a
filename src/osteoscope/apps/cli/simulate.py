"""``osteoscope simulate``: virtual cohorts whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteoscope.apps.cli import progress

simulate_app = typer.Typer(
    name="simulate", help="Make virtual patients whose truth is known.", no_args_is_help=True
)


@simulate_app.callback()
def simulate() -> None:
    """Make virtual patients whose truth is known. Everything written says that it is simulated."""


@simulate_app.command()
def tscore(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the cohort.")],
    subjects: Annotated[int, typer.Option(min=1, help="Number of patients.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """CT of the lumbar spine with labels, true densities and the DXA T-score of the same body."""
    from osteoscope.simulation.cohort import write_cohort

    with progress.items("Simulating", subjects, quiet) as advance:
        write_cohort(out, subjects=subjects, seed=seed, progress=advance)
