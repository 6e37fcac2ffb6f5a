"""Looking a name up among the known ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from osteoscope.core.errors import InputError

T = TypeVar("T")


def look_up(registry: Mapping[str, T], name: str, kind: str) -> T:
    """The entry of that name.

    Args:
        registry: Entry by name.
        name: What a person asked for.
        kind: What the entries are, for the message: ``label scheme``.

    Raises:
        InputError: The name is unknown; the message lists the known ones.

    >>> look_up({"verse": 1}, "verse", "label scheme")
    1
    """
    try:
        return registry[name]
    except KeyError:
        known = ", ".join(registry)
        raise InputError(f"Unknown {kind} {name!r}; known: {known}.") from None
