"""Screen the scans named on the command line, one after the other."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from osteoscope.apps.cli import exit_codes, progress
from osteoscope.apps.cli.screen_options import Shown
from osteoscope.apps.cli.summary import summary_lines
from osteoscope.core.errors import InputError, OsteoscopeError

if TYPE_CHECKING:
    from osteoscope.studies.screen.config import ScreenConfig
    from osteoscope.studies.screen.pipeline import ScreenOutcome


@dataclass(frozen=True)
class Scans:
    """The scans to screen, and the labels of a single one.

    Raises:
        InputError: Labels are given for more than one scan, or a scan does not exist.
    """

    paths: tuple[Path, ...]
    segmentation: Path | None = None
    subregions: Path | None = None

    def __post_init__(self) -> None:
        if len(self.paths) > 1 and (self.segmentation or self.subregions):
            raise InputError(
                f"--segmentation and --subregions belong to one scan, and {len(self.paths)} are "
                "given; write a table with the columns subject_id, image and segmentation."
            )
        for number, path in enumerate(self.paths, start=1):
            if not path.exists():
                raise InputError(
                    f"Scan {number} of {len(self.paths)} does not exist; check the path."
                )


def run(scans: Scans, out: Path, config: ScreenConfig, shown: Shown) -> None:
    """Screen one scan into ``out``, or several each into a folder of its own below it.

    Raises:
        OsteoscopeError: The one scan cannot be screened.
        typer.Exit: Some of several scans could not be screened.
    """
    if len(scans.paths) == 1:
        outcome = _screen(scans, scans.paths[0], out, config, shown)
        if shown.as_json:
            print(json.dumps(outcome.result, indent=2))
        else:
            _print_outcome(outcome, shown)
        return
    rows: list[dict[str, Any]] = []
    for name, path in zip(_folder_names(scans.paths), scans.paths, strict=True):
        try:
            outcome = _screen(scans, path, out / name, config, shown)
        except OsteoscopeError as error:
            sentence = " ".join(str(error).split())
            print(f"{name}: failed. {sentence}", file=sys.stderr)
            rows.append({"folder": name, "status": "failed", "error": sentence})
            continue
        rows.append({"folder": name, "status": outcome.status, "error": None})
        if not shown.as_json:
            print(name)
            _print_outcome(outcome, shown)
    if shown.as_json:
        print(json.dumps(rows, indent=2))
    if any(row["status"] == "failed" for row in rows):
        raise typer.Exit(exit_codes.SOME_FAILED)


def _screen(
    scans: Scans, path: Path, out: Path, config: ScreenConfig, shown: Shown
) -> ScreenOutcome:
    from osteoscope.studies.screen.pipeline import screen_scan

    with progress.stages(shown.quiet) as show:
        return screen_scan(
            path,
            out,
            config,
            segmentation=scans.segmentation,
            subregions=scans.subregions,
            report=shown.report,
            progress=show,
        )


def _print_outcome(outcome: ScreenOutcome, shown: Shown) -> None:
    for line in summary_lines(outcome.result):
        print(line)
    print(f"Written: {outcome.folder / ('report.html' if shown.report else 'result.json')}")


def _folder_names(paths: tuple[Path, ...]) -> list[str]:
    """A folder name for each scan; scans of one name are numbered."""
    from osteoscope.io.discover import stem_of

    names: list[str] = []
    for path in paths:
        stem = stem_of(path.resolve()) or "scan"
        taken = sum(name == stem or name.rpartition("-")[0] == stem for name in names)
        names.append(f"{stem}-{taken + 1}" if taken else stem)
    return names
