"""A result's folder: written under a temporary name, then renamed in one step."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from osteoscope.core.errors import InputError
from osteoscope.io.folder_swap import put_in_place

RESULT_NAME = "result.json"


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A temporary folder that becomes ``out`` when the block ends without an error.

    An older result in ``out`` stays whole until then; a folder that holds anything else is left
    alone.

    Args:
        out: The folder to make. Its parents are made.

    Raises:
        InputError: ``out`` is a file, or a folder that holds something but no result, or its
            parent cannot be written.
    """
    check_output(out)
    partial = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise InputError(
            f"The output folder {out.name!r} cannot be made: {error.strerror}."
        ) from None
    try:
        yield partial
        put_in_place(partial, out)
    except OSError as error:
        raise InputError(
            f"The output folder {out.name!r} cannot be written: {error.strerror}; check its "
            "permissions and the room on its disk."
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_output(out: Path) -> None:
    """Refuse an output that would overwrite something that is not a result.

    Raises:
        InputError: See :func:`whole_folder`.
    """
    if out.is_dir():
        if any(out.iterdir()) and not (out / RESULT_NAME).is_file():
            raise InputError(
                f"The output folder {out.name!r} holds files but no result; choose a new folder."
            )
    elif out.exists():
        raise InputError(f"The output {out.name!r} is a file; choose a folder.")
    check_can_be_made(out)


def check_can_be_made(out: Path) -> None:
    """Say before the work, rather than after it, that a folder cannot be made.

    Raises:
        InputError: The nearest folder that exists above is none, or may not be written.
    """
    above = next(path for path in out.absolute().parents if path.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise InputError(
            f"The output folder {out.name!r} cannot be made: what lies above it is a file or may "
            "not be written; choose another."
        )
