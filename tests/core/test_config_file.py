"""Configurations: nested, typed, written and read back, overridden from a command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from osteoscope.core.config_file import (
    config_as_dict,
    config_as_toml,
    config_from_mapping,
    config_from_toml,
    overridden,
)
from osteoscope.core.errors import InputError


@dataclass(frozen=True)
class Inner:
    rate: float = 0.1
    kind: Literal["a", "b"] = "a"
    windows: tuple[tuple[float, float], ...] = ((0.0, 1.0),)
    shape: tuple[int, int, int] = (1, 2, 3)


@dataclass(frozen=True)
class Outer:
    name: str = "x"
    limit: int | None = None
    weight: float | str = 0.5
    on: bool = False
    inner: Inner = field(default_factory=Inner)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    config = Outer(
        'quoted "name" µ', 3, "auto", True, Inner(2.0, "b", ((-1.0, 2.5), (0.0, 9.0)), (4, 5, 6))
    )
    path = tmp_path / "config.toml"
    path.write_text(config_as_toml(config), encoding="utf-8")
    assert config_from_toml(Outer, path) == config
    assert config_from_mapping(Outer, config_as_dict(config)) == config


def test_settings_are_laid_over_the_values() -> None:
    values = overridden(
        {"inner": {"rate": 1.0}},
        ["inner.kind=b", "name=resnet18.a1_in1k", "limit=4", "inner.windows=[[0, 2]]", "on=true"],
    )
    config = config_from_mapping(Outer, values)
    assert config == Outer("resnet18.a1_in1k", 4, on=True, inner=Inner(1.0, "b", ((0.0, 2.0),)))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"nam": 1}, "'nam'; known: inner, limit"),
        ({"inner": {"rat": 1}}, "'inner.rat'"),
        ({"inner": 3}, "section"),
        ({"name": 3}, "name must be text"),
        ({"limit": 1.5}, "limit must be a whole number"),
        ({"on": "yes"}, "true or false"),
        ({"on": 1}, "true or false"),
        ({"inner": {"rate": True}}, "inner.rate must be a number"),
        ({"inner": {"kind": "c"}}, "one of a, b"),
        ({"inner": {"shape": [1, 2]}}, "3 values"),
        ({"inner": {"windows": [1, 2]}}, "must be a list"),
    ],
)
def test_a_value_that_does_not_fit_is_named(values: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        config_from_mapping(Outer, values)


@pytest.mark.parametrize("setting", ["name", "=3", "name.deep=3"])
def test_a_setting_that_is_none_is_refused(setting: str) -> None:
    with pytest.raises(InputError):
        config_from_mapping(Outer, overridden({"name": "x"}, [setting]))
