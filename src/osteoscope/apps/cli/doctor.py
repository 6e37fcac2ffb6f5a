"""``osteoscope doctor``: what is installed, what is missing and how to get it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer


def doctor(
    weights: Annotated[
        Path | None, typer.Option(help="Folder with TotalSegmentator's weights.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Only JSON on standard output.")] = False,
) -> None:
    """Say what is installed, what is missing and how to get it; nothing is changed."""
    from osteoscope.apps.doctor import diagnose

    checks = diagnose(weights)
    if as_json:
        print(json.dumps([dataclasses.asdict(check) for check in checks], indent=2))
        return
    for check in checks:
        print(f"{check.status:<8}{check.name}: {check.detail}")
        if check.remedy:
            print(f"{'':<8}{check.remedy}")
