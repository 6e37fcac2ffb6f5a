"""``make demo``: simulate a patient, screen the scan, and say what came out; opens nothing."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from osteoscope.apps.cli.progress import stages
from osteoscope.apps.cli.summary import summary_lines

if TYPE_CHECKING:
    from osteoscope.simulation.patient_files import PatientFiles

SEED = 20
_PLANTED = ("wedge2:T12", "bone_island:L1")
"""A fracture that withholds one vertebra, and a focus that the median of L1 must survive."""


def demo(folder: Path) -> list[str]:
    """Write a simulated patient and its screen below ``folder``.

    Args:
        folder: ``patient`` (the DICOM series and its labels) and ``result`` in it are replaced.

    Returns:
        Lines for the reader: the result, the truth behind it, and where the report lies.
    """
    from osteoscope.simulation.patient_files import DICOM_FOLDER
    from osteoscope.studies.screen.config import ScreenConfig
    from osteoscope.studies.screen.pipeline import screen_scan

    start = time.perf_counter()
    with stages(quiet=False) as show:
        if show is not None:
            show("simulating a patient")
        files, truth_hu = _write_patient(folder / "patient")
        outcome = screen_scan(
            files.folder / DICOM_FOLDER,
            folder / "result",
            ScreenConfig(),
            segmentation=files.segmentation,
            progress=show,
        )
    return [
        "",
        *summary_lines(outcome.result),
        "",
        f"Truth: the trabecular bone of this L1 was made with {truth_hu:.0f} HU.",
        f"Report: {(folder / 'result' / 'report.html').resolve()}",
        f"Done in {time.perf_counter() - start:.0f} s. Not a medical device.",
    ]


def _write_patient(folder: Path) -> tuple[PatientFiles, float]:
    """The patient's files, and the true attenuation of L1, HU."""
    import numpy as np

    from osteoscope.simulation.patient import sample_patient
    from osteoscope.simulation.patient_files import write_patient
    from osteoscope.simulation.render import simulate_patient
    from osteoscope.simulation.scan import ScanSpec

    patient = sample_patient(np.random.default_rng(SEED), defects=_PLANTED)
    simulated = simulate_patient(patient, ScanSpec(), seed=SEED)
    shutil.rmtree(folder, ignore_errors=True)
    files = write_patient(folder, simulated, patient_id="SIMULATED-DEMO", formats=("dicom",))
    return files, simulated.truth.levels["L1"].trabecular_hu


def main() -> None:
    """Run the demo in ``./demo``; an error is one sentence, as on the command line."""
    from osteoscope.core.errors import OsteoscopeError

    try:
        lines = demo(Path("demo"))
    except OsteoscopeError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
    for line in lines:
        print(line)


if __name__ == "__main__":
    main()
