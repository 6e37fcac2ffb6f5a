"""One frozen dataclass is the TOML file, the command line and the record of a run."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from osteoscope.core.errors import InputError

ConfigT = TypeVar("ConfigT")


def config_from_toml(config_type: type[ConfigT], path: Path) -> ConfigT:
    """Read a configuration; a key that the dataclass does not have is an error.

    Args:
        config_type: A frozen dataclass that checks its fields in ``__post_init__``.
        path: A TOML file of top-level keys.

    Raises:
        InputError: The file cannot be read, is not TOML, or holds an unknown key.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"The configuration {path.name} cannot be read: {error.strerror}."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"The configuration {path.name} is not valid TOML: {error}.") from None
    return config_from_mapping(config_type, values)


def config_from_mapping(config_type: type[ConfigT], values: dict[str, Any]) -> ConfigT:
    """Build a configuration from plain values, lists becoming tuples.

    Raises:
        InputError: A key is unknown; the message lists the known ones.
    """
    fields = {f.name for f in dataclasses.fields(config_type)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - fields)
    if unknown:
        raise InputError(
            f"Unknown configuration key {unknown[0]!r}; known: {', '.join(sorted(fields))}."
        )
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    try:
        return config_type(**plain)
    except TypeError as error:
        raise InputError(f"The configuration does not fit: {error}.") from None


def config_as_dict(config: object) -> dict[str, Any]:
    """The configuration as JSON-ready values."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        value = getattr(config, field.name)
        values[field.name] = list(value) if isinstance(value, tuple) else value
    return values
