"""Whether files changed since they were read, without reading them again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path


def state_key(words: Iterable[str], paths: Iterable[Path | None]) -> str:
    """A key that changes with any of the words, or with a path's place, size or time of change.

    Args:
        words: What else the work depends on: options, versions.
        paths: Files or folders, None where there is none; they exist.

    Returns:
        SHA-256 as 64 hexadecimal digits.
    """
    parts = [*words, *(f"{p.absolute()}|{_state(p)}" if p else "" for p in paths)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _state(path: Path) -> str:
    if path.is_file():
        stat = path.stat()
        return f"{stat.st_size}|{stat.st_mtime_ns}"
    total, newest, count = 0, 0, 0
    for folder, _, names in os.walk(path):
        for name in names:
            stat = (Path(folder) / name).stat()
            total, newest, count = total + stat.st_size, max(newest, stat.st_mtime_ns), count + 1
    return f"{count}|{total}|{newest}"
