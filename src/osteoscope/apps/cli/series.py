"""``osteoscope series``: what is in a folder, and which series a screen would read."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer


def series(
    scan: Annotated[Path, typer.Argument(metavar="SCAN", help="A folder, archive or file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the series of a scan: the one that a screen reads, and why; then the others.

    The first word of each line is the key that --series takes.
    """
    from osteoscope.io.scan import read_scan

    reading = read_scan(scan)
    if as_json:
        found = {
            "chosen": dataclasses.asdict(reading.chosen),
            "others": [dataclasses.asdict(other) for other in reading.others],
        }
        print(json.dumps(found, indent=2))
        return
    for summary in (reading.chosen, *reading.others):
        print(f"{summary.key}  {summary.n_slices} slices, {summary.plane}: {summary.reason}")
