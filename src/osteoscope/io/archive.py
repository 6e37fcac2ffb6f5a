"""Zip archives from strangers: unpacked into a temporary folder, or refused."""

from __future__ import annotations

import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from osteoscope.core.errors import InputError

_CHUNK = 1024**2


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive may ask for.

    Args:
        members: Largest number of files.
        total_bytes: Largest size of all files together after unpacking.
        ratio: Largest size of a member over its packed size. CT packs 2 to 4 fold,
            a file of zeros 1,000 fold.
        ratio_from_bytes: Members smaller than this may pack as well as they like.
    """

    members: int = 50_000
    total_bytes: int = 8 * 1024**3
    ratio: float = 200.0
    ratio_from_bytes: int = 16 * 1024**2


@contextmanager
def unpacked(path: Path, limits: ArchiveLimits | None = None) -> Iterator[Path]:
    """Unpack a zip archive into a temporary folder that is removed at the end, come what may.

    Bytes are counted as they come out; the sizes that the archive claims are not believed.
    Archives within the archive stay packed.

    Args:
        path: The archive.
        limits: Its bounds.

    Yields:
        The folder.

    Raises:
        InputError: Not a zip, damaged, encrypted, or beyond a limit; a member has an absolute
            path, climbs out of its folder, or is a link.
    """
    with tempfile.TemporaryDirectory(prefix="osteoscope-") as name:
        folder = Path(name)
        _unpack(path, folder, limits or ArchiveLimits())
        yield folder


def is_archive(path: Path) -> bool:
    """Whether the file is a zip archive by name or content."""
    return path.suffix.lower() == ".zip" or zipfile.is_zipfile(path)


def _unpack(path: Path, folder: Path, limits: ArchiveLimits) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            if len(members) > limits.members:
                raise InputError(
                    f"The archive holds {len(members)} files and at most {limits.members} are "
                    "unpacked; unpack it yourself and give the folder."
                )
            for member in members:
                _check(member)
            left = limits.total_bytes
            for n, member in enumerate(members):
                left -= _unpack_member(archive, member, _target(folder, member, n), left, limits)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError):
        raise InputError(
            "The zip archive cannot be unpacked: it is damaged, truncated or packed by a method "
            "that is not supported; pack it again."
        ) from None


def _check(member: zipfile.ZipInfo) -> None:
    name = member.filename.replace("\\", "/")
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or (len(name) > 1 and name[1] == ":"):
        raise InputError(
            "The archive holds a path that leads out of its folder (absolute or with '..'); it is "
            "not unpacked."
        )
    if stat.S_ISLNK(member.external_attr >> 16):
        raise InputError("The archive holds a symbolic link; it is not unpacked.")
    if member.flag_bits & 0x1:
        raise InputError("The archive is encrypted; unpack it yourself and give the folder.")


def _target(folder: Path, member: zipfile.ZipInfo, number: int) -> Path:
    """Where a member goes: its folders are numbered by nothing but its own checked path."""
    parts = PurePosixPath(member.filename.replace("\\", "/")).parts
    target = folder.joinpath(*parts)
    if not target.resolve().is_relative_to(folder.resolve()):
        raise InputError("The archive holds a path that leads out of its folder.")
    if target.exists() or any(len(part.encode()) > 200 for part in parts):
        target = folder / f"member-{number}{''.join(target.suffixes[-2:])[-20:]}"
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _unpack_member(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    target: Path,
    left: int,
    limits: ArchiveLimits,
) -> int:
    """Write one member; returns the bytes that really came out."""
    written = 0
    with archive.open(member) as source, target.open("wb") as sink:
        while chunk := source.read(_CHUNK):
            written += len(chunk)
            if written > left:
                raise InputError(
                    f"The archive unpacks to more than {limits.total_bytes / 1024**3:.3g} GiB; "
                    "unpack it yourself and give the folder."
                )
            packed = max(1, member.compress_size)
            if written > limits.ratio_from_bytes and written / packed > limits.ratio:
                raise InputError(
                    f"The archive holds a file that unpacks to over {limits.ratio:.0f} times its "
                    "size (a zip bomb); it is not unpacked."
                )
            sink.write(chunk)
    target.chmod(0o600)
    return written
