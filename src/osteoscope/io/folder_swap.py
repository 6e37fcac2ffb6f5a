"""A finished folder takes its place in one step; what was there stays whole until then."""

from __future__ import annotations

import shutil
from pathlib import Path


def put_in_place(finished: Path, place: Path) -> None:
    """Rename ``finished`` to ``place``; an older folder there is removed afterwards.

    Args:
        finished: Beside ``place``, on the same disk.
        place: Where it belongs. Where the renaming fails, the older folder is put back.

    Raises:
        OSError: It cannot be renamed.
    """
    if not place.exists():
        finished.replace(place)
        return
    old = place.with_name(f".{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    place.replace(old)
    try:
        finished.replace(place)
    except OSError:
        old.replace(place)
        raise
    shutil.rmtree(old, ignore_errors=True)
