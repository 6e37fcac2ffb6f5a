"""What made a result: versions, and digests of what went in."""

from __future__ import annotations

import hashlib
import platform
from importlib import metadata
from pathlib import Path

import osteoscope

_CHUNK = 1 << 20


def file_digest(path: Path) -> str:
    """``sha256:`` and the hexadecimal digest of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def created_with() -> dict[str, str]:
    """Name and version of this program, of Python and of the libraries that touch numbers."""
    versions = {"name": "osteoscope", "version": osteoscope.__version__}
    versions["python"] = platform.python_version()
    versions["platform"] = f"{platform.system()} {platform.machine()}"
    for library in ("numpy", "scipy", "SimpleITK", "pydicom"):
        versions[library.lower()] = metadata.version(library)
    return versions
