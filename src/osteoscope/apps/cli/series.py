"""``osteoscope series``: what is in a folder, and which series a screen would read."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer


def series(
    scan: Annotated[Path, typer.Argument(metavar="SCAN", help="A folder, archive or file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Only JSON on standard output.")] = False,
) -> None:
    """List the series of a scan: the one that a screen reads, and why; then the others.

    The first word of each line is the key that --series takes.
    """
    from osteoscope.io.scan import list_series

    found = list_series(scan)
    if as_json:
        print(json.dumps([dataclasses.asdict(summary) for summary in found], indent=2))
        return
    for summary in found:
        words = [f"{summary.n_slices} slices", summary.plane]
        if summary.slice_spacing_mm is not None:
            words.append(f"{summary.slice_spacing_mm:g} mm")
        words += [word for word in (summary.kernel, summary.description) if word]
        print(f"{summary.key}  {', '.join(words)}: {summary.reason}")
