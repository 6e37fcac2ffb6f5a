"""``osteoscope simulate``: virtual cohorts whose truth is known."""

from __future__ import annotations

from enum import StrEnum
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


class ScanFormat(StrEnum):
    """How the scans are written."""

    both = "both"
    dicom = "dicom"
    nifti = "nifti"


@simulate_app.command()
def tscore(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the cohort.")],
    subjects: Annotated[int, typer.Option(min=1, help="Number of patients.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 0,
    scan_format: Annotated[
        ScanFormat, typer.Option("--format", help="How the scans are written.")
    ] = ScanFormat.both,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """CT of the lumbar spine with labels, true densities and the DXA T-score of the same body.

    cohort.csv names the scans and can be screened as it is; truth.csv has a row a vertebra.
    """
    from osteoscope.simulation.cohort import write_cohort
    from osteoscope.simulation.patient_files import FORMATS

    formats = FORMATS if scan_format is ScanFormat.both else (scan_format.value,)
    with progress.items("Simulating", subjects, quiet) as advance:

        def on_subject(number: int, total: int) -> None:
            if advance is not None:
                advance(f"subject {number} of {total}")

        table = write_cohort(
            out, subjects=subjects, seed=seed, formats=formats, progress=on_subject
        )
    print(f"Simulated. Table: {table}")
