"""Which structure of a label scheme each class of an nnU-Net model is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError
from osteoscope.core.label_schemes import SCHEMES, VERTEBRAE, LabelScheme, label_scheme

_VERTEBRA = re.compile(r"(?:vertebrae?|vert)?[ _-]*([CTLS])[ _-]?0?(\d{1,2})", re.IGNORECASE)
_NOT_A_CLASS = {"background", "ignore"}


@dataclass(frozen=True)
class ClassMap:
    """From the numbers of a model's classes to those of a label scheme.

    Args:
        scheme: The scheme of the result.
        number_of: Number in the scheme by the model's number; every other class becomes 0.
        ignored: Names of the classes that the scheme cannot name.
    """

    scheme: LabelScheme
    number_of: Mapping[int, int]
    ignored: tuple[str, ...] = ()

    def apply(self, classes: NDArray[Any]) -> NDArray[np.uint8]:
        """(z, y, x) numbers of the scheme for (z, y, x) numbers of the model."""
        table = np.zeros(max(int(classes.max()), *self.number_of) + 1, dtype=np.uint8)
        for model_number, number in self.number_of.items():
            table[model_number] = number
        numbers: NDArray[np.uint8] = table[classes]
        return numbers


def class_map_from_names(labels: Mapping[str, Any], scheme: str | None = None) -> ClassMap:
    """The map that the names of a model's classes give by themselves.

    Names such as ``vertebrae_L1``, ``L1``, ``vertebra T12`` or ``aorta`` are understood, in upper
    or lower case.

    Args:
        labels: Number by name, as in ``dataset.json``.
        scheme: Name of the scheme to use; None takes the one that can name most vertebrae, then
            most other structures.

    Raises:
        InputError: No class names a vertebra, classes are regions (lists of numbers), or two name
            the same structure.
    """
    classes = {name: number for name, number in labels.items() if name not in _NOT_A_CLASS}
    if any(not isinstance(number, int) for number in classes.values()):
        raise InputError(
            "The model predicts overlapping regions, whose numbers its dataset.json does not "
            "settle; give a label map (JSON) from class number to structure."
        )
    candidates = [label_scheme(scheme)] if scheme else [s for s in SCHEMES.values() if s.vertebrae]
    maps = [_named(classes, candidate) for candidate in candidates]
    best = max(maps, key=lambda m: (_vertebrae(m), len(m.number_of)))
    if _vertebrae(best) == 0:
        raise InputError(
            f"None of the model's classes ({_some(list(classes))}) names a vertebra such as L1 or "
            "vertebrae_L1; give a label map (JSON) from class number to structure."
        )
    return best


def class_map_from_file(
    path: Path, labels: Mapping[str, Any], scheme: str | None = None
) -> ClassMap:
    """The map that the user wrote.

    The file is JSON: ``{"scheme": "verse", "labels": {"1": "L1", "vertebra two": "L2", "3": 22}}``.
    A key is a class number or a class name of the model; a value is a level, a structure or a
    number of the scheme.

    Args:
        path: The file.
        labels: Number by name, as in ``dataset.json``.
        scheme: Name of the scheme; where given, the file need not say it.

    Raises:
        InputError: The file is not of that form, or names what does not exist.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        entries = dict(content["labels"])
        chosen = label_scheme(scheme or content["scheme"])
    except (OSError, ValueError, TypeError, KeyError):
        raise InputError(
            f"The label map {path.name} must be JSON of the form "
            '{"scheme": "verse", "labels": {"1": "L1", "2": "L2"}}.'
        ) from None
    numbers = {_model_number(key, labels): _scheme_number(v, chosen) for key, v in entries.items()}
    return class_map_from_numbers(numbers, chosen)


def class_map_from_numbers(number_of: Mapping[int, int], scheme: LabelScheme) -> ClassMap:
    """The map that the caller gives, checked against the scheme.

    Raises:
        InputError: It is empty, a number is not one of the scheme's, or two classes share one.
    """
    known = {*scheme.vertebrae.values(), *scheme.structures.values()}
    wrong = sorted(set(number_of.values()) - known)
    if wrong or not number_of:
        raise InputError(
            f"The label map must lead to numbers of the scheme {scheme.name!r}; met: "
            f"{wrong or 'no entry'}."
        )
    if len(set(number_of.values())) < len(number_of) or min(number_of) < 1:
        raise InputError(
            "The label map must give each class of the model (1 and up) a structure of its own."
        )
    return ClassMap(scheme, dict(number_of))


def _named(classes: Mapping[str, int], scheme: LabelScheme) -> ClassMap:
    number_of: dict[int, int] = {}
    ignored: list[str] = []
    for name, model_number in classes.items():
        number = _number_by_name(name, scheme)
        if number is None:
            ignored.append(name)
        elif number in number_of.values():
            raise InputError(
                f"Two classes of the model name the same structure ({name!r} is one); give a "
                "label map (JSON) from class number to structure."
            )
        else:
            number_of[model_number] = number
    return ClassMap(scheme, number_of, tuple(ignored))


def _number_by_name(name: str, scheme: LabelScheme) -> int | None:
    """The scheme's number of a structure, by its usual spellings."""
    vertebra = _VERTEBRA.fullmatch(name.strip())
    if vertebra:
        level = f"{vertebra[1].upper()}{int(vertebra[2])}"
        return scheme.vertebrae.get(level) if level in VERTEBRAE else None
    return scheme.structures.get(re.sub(r"[ -]+", "_", name.strip().lower()))


def _model_number(key: str, labels: Mapping[str, Any]) -> int:
    if key.isdecimal():
        return int(key)
    number = labels.get(key)
    if not isinstance(number, int):
        raise InputError(
            f"The label map names the class {key!r}, which the model does not have; it has: "
            f"{_some(list(labels))}."
        )
    return number


def _scheme_number(value: object, scheme: LabelScheme) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    number = _number_by_name(str(value), scheme)
    if number is None:
        raise InputError(f"The label scheme {scheme.name!r} has no structure {value!r}.")
    return number


def _vertebrae(class_map: ClassMap) -> int:
    levels = class_map.scheme.level_of
    return sum(number in levels for number in class_map.number_of.values())


def _some(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:8])
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8} more"
