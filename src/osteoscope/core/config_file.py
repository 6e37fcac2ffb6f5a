"""One frozen dataclass is the TOML file, the command line and the record of a run."""

from __future__ import annotations

import dataclasses
import json
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from osteoscope.core.errors import InputError

ConfigT = TypeVar("ConfigT")


def config_from_toml(config_type: type[ConfigT], path: Path) -> ConfigT:
    """Read a configuration; a key that the dataclass does not have is an error.

    Args:
        config_type: A frozen dataclass that checks its fields in ``__post_init__``; a field may
            be such a dataclass itself and is then a table of the file.
        path: A TOML file.

    Raises:
        InputError: The file cannot be read, is not TOML, or holds an unknown key or a value of
            another type.
    """
    return config_from_mapping(config_type, toml_values(path))


def toml_values(path: Path) -> dict[str, Any]:
    """The plain values of a TOML file.

    Raises:
        InputError: The file cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"The configuration {path.name} cannot be read: {error.strerror}."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"The configuration {path.name} is not valid TOML: {error}.") from None


def config_from_mapping(
    config_type: type[ConfigT], values: Mapping[str, Any], *, where: str = ""
) -> ConfigT:
    """Build a configuration from plain values, lists becoming tuples and mappings its parts.

    Args:
        config_type: The frozen dataclass.
        values: Plain values as TOML or JSON gives them.
        where: Name of the part, for messages: ``fit.``.

    Raises:
        InputError: A key is unknown (the message lists the known ones) or a value has another
            type than its field.
    """
    hints = typing.get_type_hints(config_type)
    fields = {f.name for f in dataclasses.fields(config_type)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - fields)
    if unknown:
        raise InputError(
            f"Unknown configuration key {where + unknown[0]!r}; known: {', '.join(sorted(fields))}."
        )
    plain = {key: _fitted(value, hints[key], where + key) for key, value in values.items()}
    try:
        return config_type(**plain)
    except TypeError as error:
        raise InputError(f"The configuration does not fit: {error}.") from None


def overridden(values: Mapping[str, Any], settings: Iterable[str]) -> dict[str, Any]:
    """Plain values with ``section.key=value`` settings from a command line laid over them.

    Args:
        values: Plain values, as a TOML file gives them.
        settings: Each ``key=value`` or ``section.key=value``; the value is TOML, and what is not
            valid TOML is taken as text, so that ``model.name=resnet18`` needs no quotes.

    Raises:
        InputError: A setting has no ``=``, or a part of its key is not a section.
    """
    result = json.loads(json.dumps(values))
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise InputError(f"A setting is section.key=value, not {setting!r}.")
        *sections, name = key.strip().split(".")
        place = result
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise InputError(f"{section!r} in the setting {setting!r} is not a section.")
        place[name] = _parsed(text.strip())
    return dict(result)


def _parsed(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def config_as_dict(config: object) -> dict[str, Any]:
    """The configuration as JSON-ready values; parts become mappings."""
    return {f.name: _plain(getattr(config, f.name)) for f in dataclasses.fields(config)}  # type: ignore[arg-type]


def config_as_toml(config: object) -> str:
    """The configuration as TOML that :func:`config_from_toml` reads back; None is left out."""
    return "\n".join(_tables(config_as_dict(config), "")) + "\n"


def _tables(values: Mapping[str, Any], name: str) -> list[str]:
    parts = {key: value for key, value in values.items() if isinstance(value, dict)}
    lines = [f"[{name}]"] if name else []
    lines += [
        f"{key} = {json.dumps(value, ensure_ascii=False)}"
        for key, value in values.items()
        if key not in parts and value is not None
    ]
    for key, part in parts.items():
        lines += ["", *_tables(part, f"{name}.{key}" if name else key)]
    return lines


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return config_as_dict(value)
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    return value


def _fitted(value: Any, hint: Any, key: str) -> Any:
    """``value`` in the type of its field."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, hint):
            return value
        if not isinstance(value, Mapping):
            raise InputError(f"{key!r} is a section of the configuration, not {value!r:.40}.")
        return config_from_mapping(hint, value, where=f"{key}.")
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _one_of(value, arguments, key)
    if origin is tuple:
        return _tuple_of(value, arguments, key)
    if origin is typing.Literal:
        if value not in arguments:
            raise InputError(f"{key} must be one of {_listed(arguments)}, not {value!r:.40}.")
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint in _WORDS and (type(value) is not hint):
        raise InputError(f"{key} must be {_WORDS[hint]}, not {value!r:.40}.")
    return value


_WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}


def _one_of(value: Any, choices: tuple[Any, ...], key: str) -> Any:
    if value is None and type(None) in choices:
        return None
    kinds = [choice for choice in choices if choice is not type(None)]
    for kind in kinds[:-1]:
        try:
            return _fitted(value, kind, key)
        except InputError:
            continue
    return _fitted(value, kinds[-1], key)


def _tuple_of(value: Any, kinds: tuple[Any, ...], key: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise InputError(f"{key} must be a list, not {value!r:.40}.")
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(_fitted(entry, kinds[0], key) for entry in value)
    if len(kinds) != len(value):
        raise InputError(f"{key} must hold {len(kinds)} values, not {len(value)}.")
    return tuple(_fitted(entry, kind, key) for entry, kind in zip(value, kinds, strict=True))


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(str(value) for value in values)
