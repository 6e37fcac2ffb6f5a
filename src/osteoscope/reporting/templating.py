"""Pages from templates: everything from a file is untrusted text, and pages are written whole."""

from __future__ import annotations

import base64
import os
import re
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from osteoscope.core.errors import InputError
from osteoscope.reporting import wording

_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\N{LEFT-TO-RIGHT EMBEDDING}-\N{RIGHT-TO-LEFT OVERRIDE}"
    "\N{LEFT-TO-RIGHT ISOLATE}-\N{POP DIRECTIONAL ISOLATE}]"
)
"""Control characters and direction overrides, with which a header could rearrange the page."""


def render_page(template: str, content: Mapping[str, Any]) -> str:
    """A template of this package filled with content; every text in it is escaped."""
    return _environment().get_template(template).render(content)


def write_whole(path: Path, text: str) -> None:
    """Write a text file so that its name holds the old or the new file, never a part of one.

    Raises:
        InputError: The folder is missing or cannot be written to.
    """
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise InputError(
            f"The page {path.name} cannot be written ({error.strerror}); choose a folder that "
            "exists and may be written to."
        ) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def data_address(png: bytes) -> str:
    """A PNG file as a ``data:`` address, so that the page needs no second file."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _visible(value: object) -> object:
    """Text without invisible controls and without lone surrogates, which UTF-8 cannot hold."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return _INVISIBLE.sub("", value).encode("utf-8", "replace").decode("utf-8")
    return value


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("osteoscope.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    environment.filters.update(
        number=wording.number,
        span=wording.span,
        bare=wording.bare,
        bare_span=wording.bare_span,
        percent=wording.percent,
        coverage=wording.coverage,
        measurement_name=wording.measurement_name,
        spelt=wording.spelt,
        evidence=wording.evidence_text,
        sentences=wording.sentences,
        prose=wording.prose,
        calibration=wording.calibration_text,
        criterion_name=wording.criterion_name,
        error_sources=wording.error_sources,
        judged_kind=wording.judged_kind,
    )
    return environment
