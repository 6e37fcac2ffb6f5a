"""Where TotalSegmentator's networks lie on this machine, and whether they are whole."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from osteoscope.core.errors import ModelError

FULL: Mapping[int, str] = MappingProxyType(
    {
        291: "Dataset291_TotalSegmentator_part1_organs_1559subj",
        292: "Dataset292_TotalSegmentator_part2_vertebrae_1532subj",
        293: "Dataset293_TotalSegmentator_part3_cardiac_1559subj",
        294: "Dataset294_TotalSegmentator_part4_muscles_1559subj",
        295: "Dataset295_TotalSegmentator_part5_ribs_1559subj",
    }
)
"""Folders of the five 1.5 mm networks of the task ``total``.

Source: TotalSegmentator 2.18, ``map_tasks_config.py``, unchanged since 2.0.
"""

FAST: Mapping[int, str] = MappingProxyType({297: "Dataset297_TotalSegmentator_total_3mm_1559subj"})
"""Folder of the one 3 mm network that ``--fast`` runs. Source: as :data:`FULL`."""


def weights_places(weights: Path | None) -> list[Path]:
    """Where weights are looked for, first to last; the user's folder, if given, is the only one.

    Args:
        weights: The folder given with ``--weights``.
    """
    if weights is not None:
        return [weights]
    places = []
    if os.environ.get("TOTALSEG_WEIGHTS_PATH"):
        places.append(Path(os.environ["TOTALSEG_WEIGHTS_PATH"]))
    if os.environ.get("TOTALSEG_HOME_DIR"):
        places.append(Path(os.environ["TOTALSEG_HOME_DIR"]) / "nnunet" / "results")
    return [*places, Path("~/.totalsegmentator/nnunet/results").expanduser()]


def find_weights(weights: Path | None = None, *, fast: bool = False) -> dict[str, Path]:
    """The folders of all networks that one run needs.

    Args:
        weights: The folder given with ``--weights``; None looks in ``TOTALSEG_WEIGHTS_PATH``,
            ``TOTALSEG_HOME_DIR/nnunet/results`` and ``~/.totalsegmentator/nnunet/results``.
        fast: Whether the 3 mm network is meant.

    Returns:
        Folder by the name that TotalSegmentator knows it by.

    Raises:
        ModelError: A network is missing or incomplete; the sentence says how to get it.
    """
    wanted = FAST if fast else FULL
    places = weights_places(weights)
    missing: list[int] = []
    for place in places:
        found = {number: _network(place, number, name) for number, name in wanted.items()}
        whole = {path.name: path for path in found.values() if path is not None}
        if len(whole) == len(wanted):
            return whole
        missing = missing or [number for number, path in found.items() if path is None]
    task = "total_fast" if fast else "total"
    option = " --fast" if fast else ""
    raise ModelError(
        f"TotalSegmentator's weights{option} are not in {' or '.join(map(str, places))} "
        f"(missing or incomplete: {', '.join(f'Dataset{number}' for number in missing)}); on a "
        f"machine with a network run `totalseg_download_weights -t {task}`, copy its folder "
        "~/.totalsegmentator/nnunet/results here and give that folder with --weights DIR."
    )


def _network(place: Path, number: int, name: str) -> Path | None:
    """The folder of one network, by its name or, of another version, by its number."""
    candidates = [place / name]
    if not candidates[0].is_dir() and place.is_dir():
        candidates = sorted(place.glob(f"Dataset{number}_*"))
    return next((path.absolute() for path in candidates if _is_whole(path)), None)


def _is_whole(network: Path) -> bool:
    """Whether a folder holds a trained network and not the rest of a broken copy."""
    checkpoints = network.glob("*/fold_*/checkpoint_final.pth")
    return any(
        path.stat().st_size > 0 and (path.parents[1] / "plans.json").is_file()
        for path in checkpoints
    )
