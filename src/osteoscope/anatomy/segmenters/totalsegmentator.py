"""TotalSegmentator v2 as a segmenter: its own program, offline, without usage statistics."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from osteoscope.anatomy.segmenters.program import OFFLINE, find_program, parse_device, run_program
from osteoscope.anatomy.segmenters.result_file import read_result
from osteoscope.anatomy.segmenters.totalsegmentator_weights import find_weights
from osteoscope.core.errors import InputError
from osteoscope.core.label_schemes import label_scheme
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.volume import Volume
from osteoscope.io.image_files import write_volume

PROGRAM = "TotalSegmentator"
INSTALL = (
    "install it with pip install TotalSegmentator, here or in an environment of its own, and give "
    "the program's path there (--segmenter-program)"
)
_LARGEST_LABEL = 117
"""Classes of the task ``total``, TotalSegmentator v2."""


@dataclass(frozen=True)
class TotalSegmentatorSegmenter:
    """Runs TotalSegmentator's task ``total`` on a scan.

    The scan is handed over as a NIfTI file in a temporary folder: voxels and geometry, no header
    of the original file. The program sees a settings folder of its own with usage statistics
    switched off, links to the weights (so that it never changes the user's folder) and no
    network. All 117 structures are segmented: aorta, ribs and muscles are needed whole.

    Args:
        executable: The program, where it is not on PATH or beside the running Python.
        weights: Folder of the networks; see
            :func:`~osteoscope.anatomy.segmenters.totalsegmentator_weights.find_weights`.
        fast: Use the one 3 mm network instead of the five of 1.5 mm: some minutes instead of
            tens of minutes on a CPU, and coarser borders.
        device: ``cpu``, ``gpu``, ``gpu:N`` or ``mps``, in TotalSegmentator's own words.
        timeout_s: Longest run, s; None waits for ever.
        log: File that keeps what the program printed; None keeps nothing.

    Example:
        ``TotalSegmentatorSegmenter(weights=Path("weights")).segment(volume)``
    """

    executable: str | None = None
    weights: Path | None = None
    fast: bool = False
    device: str = "cpu"
    timeout_s: float | None = None
    log: Path | None = None

    def __post_init__(self) -> None:
        parse_device(self.device)

    @property
    def name(self) -> str:
        """The method's name for the report."""
        return "totalsegmentator-fast" if self.fast else "totalsegmentator"

    def prepare(self) -> None:
        """Look for the weights and the program, so that what is missing is said at once."""
        find_weights(self.weights, fast=self.fast)
        find_program(PROGRAM, self.executable, INSTALL)

    def segment(self, volume: Volume) -> LabelMap:
        """Segment a scan.

        Args:
            volume: The scan, in HU.

        Returns:
            Labels of the scheme ``totalsegmentator`` on the volume's grid.

        Raises:
            InputError: The volume is not in HU.
            ModelError: The program or its weights are missing, or it failed.
        """
        if volume.unit != "HU":
            raise InputError(f"TotalSegmentator needs a CT in HU, not in {volume.unit}.")
        networks = find_weights(self.weights, fast=self.fast)
        program = find_program(PROGRAM, self.executable, INSTALL)
        with tempfile.TemporaryDirectory(prefix="osteoscope-") as name:
            folder = Path(name)
            scan, result = folder / "scan.nii", folder / "result" / "labels.nii.gz"
            result.parent.mkdir()
            write_volume(scan, volume)
            log = self.log or folder / "log.txt"
            run_program(
                self._command(program, scan, result),
                environment=private_environment(folder / "home", networks),
                log=log,
                name=PROGRAM,
                timeout_s=self.timeout_s,
            )
            labels = read_result(result, volume.grid, PROGRAM, _LARGEST_LABEL)
        return LabelMap(labels, volume.grid, label_scheme("totalsegmentator"))

    def _command(self, program: Path, scan: Path, result: Path) -> list[str]:
        options = ["-ml", "-ta", "total", "-nr", "1", "-ns", "1", "-d", self.device]
        fast = ["-f"] if self.fast else []
        return [str(program), "-i", str(scan), "-o", str(result), *options, *fast]


def private_environment(home: Path, networks: Mapping[str, Path]) -> dict[str, str]:
    """Make a settings folder for one run and return the environment that points to it.

    Args:
        home: Folder to make, TotalSegmentator's ``TOTALSEG_HOME_DIR`` for this run.
        networks: Folder by the name that TotalSegmentator looks for.

    Returns:
        This process's environment with TotalSegmentator's own settings replaced: no usage
        statistics, the given weights, no network.
    """
    results = home / "nnunet" / "results"
    results.mkdir(parents=True)
    for name, folder in networks.items():
        (results / name).symlink_to(folder, target_is_directory=True)
    settings = {
        "totalseg_id": "",
        "send_usage_stats": False,
        "prediction_counter": 0,
        "statistics_disclaimer_shown": True,
    }
    (home / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    inherited = {name: value for name, value in os.environ.items() if name[:6] != "nnUNet"}
    places = {"TOTALSEG_HOME_DIR": str(home), "TOTALSEG_WEIGHTS_PATH": str(results)}
    return inherited | places | dict(OFFLINE)
