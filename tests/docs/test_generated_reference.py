"""The pages that are made from the code hold all of it."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import pytest

from osteoscope.core.dxa_reference import REFERENCES
from osteoscope.densitometry.corrections import CORRECTIONS
from osteoscope.reporting.result_schema import result_schema
from tests.docs.code_blocks import DOCS


@pytest.fixture(scope="module")
def pages() -> Iterator[ModuleType]:
    path = DOCS / "hooks" / "generated_reference.py"
    spec = importlib.util.spec_from_file_location("generated_reference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def _keys(node: Any) -> Iterator[str]:
    """Every key that the schema gives a name to."""
    if isinstance(node, Mapping):
        properties = node.get("properties")
        if isinstance(properties, Mapping):
            yield from (key for key, value in properties.items() if isinstance(value, Mapping))
        for value in node.values():
            yield from _keys(value)
    elif isinstance(node, list):
        for value in node:
            yield from _keys(value)


def test_every_key_of_the_schema_is_in_the_tables(pages: ModuleType) -> None:
    tables = pages.result_tables()
    keys = set(_keys({k: v for k, v in result_schema().items() if k != "if"}))
    assert len(keys) > 60
    assert sorted(key for key in keys if f"| `{key}` |" not in tables) == []


def test_every_link_of_the_tables_has_a_heading(pages: ModuleType) -> None:
    tables = pages.result_tables()
    headings = set(re.findall(r"^## (\S+)$", tables, flags=re.M))
    assert set(re.findall(r"\]\(#(\w+)\)", tables)) <= headings


def test_every_option_of_a_screen_is_in_the_tables(pages: ModuleType) -> None:
    tables = pages.command_tables()
    for command in ("screen", "series", "simulate tscore", "doctor"):
        assert f"## osteoscope {command}\n" in tables
    assert "| `--erosion-mm` | Distance from the cortex, mm, 0 to 10. | `5` |" in tables


def test_every_marker_is_replaced(pages: ModuleType) -> None:
    found = 0
    for path in DOCS.rglob("*.md"):
        text = path.read_text(encoding="utf-8")
        found += text.count("<!-- ")
        assert "<!-- " not in pages.on_page_markdown(text)
    assert found == 4


def test_every_rule_and_reference_is_listed(pages: ModuleType) -> None:
    assert all(f"`{name}`" in pages.correction_table() for name in CORRECTIONS)
    assert all(f"`{name}`" in pages.reference_table() for name in REFERENCES)
