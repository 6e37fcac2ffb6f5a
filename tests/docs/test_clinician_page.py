"""The page for clinicians explains exactly the flags and criteria that the code can give."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from osteoscope.densitometry.criteria import CRITERIA
from osteoscope.densitometry.trabecular import REGION_METHODS
from tests.docs.code_blocks import DOCS, ROOT

_PAGE = (DOCS / "explanation" / "clinicians.md").read_text(encoding="utf-8")
_SOURCE = ROOT / "src" / "osteoscope"


def _flags_in_source() -> set[str]:
    return {code for path in _SOURCE.rglob("*.py") for code in _flags_in_file(path)}


def _flags_in_file(path: Path) -> Iterator[str]:
    """Codes of every ``Flag(...)``; the code is the first argument or ``code=``.

    A function whose parameter becomes the code counts as ``Flag`` itself where it is called.
    Where the code is a name, every text that the file gives to that name counts.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    makers = {"Flag": 0}
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            names = [argument.arg for argument in function.args.args]
            for call in _calls(function, {"Flag": 0}):
                code = _code(call, 0)
                if isinstance(code, ast.Name) and code.id in names:
                    makers[function.name] = names.index(code.id)
    for call in _calls(tree, makers):
        expression = _code(call, makers[call.func.id])  # type: ignore[attr-defined]
        codes = list(_texts(expression, tree))
        inside_a_maker = isinstance(expression, ast.Name) and len(makers) > 1
        assert codes or inside_a_maker, f"{path.name}:{call.lineno}: the code cannot be read"
        yield from codes


def _calls(tree: ast.AST, makers: dict[str, int]) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) in makers:
            yield node


def _code(call: ast.Call, place: int) -> ast.expr:
    keywords = [k.value for k in call.keywords if k.arg == "code"]
    return keywords[0] if keywords else call.args[place]


def _texts(expression: ast.expr, tree: ast.Module) -> Iterator[str]:
    if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
        yield expression.value
    elif isinstance(expression, ast.IfExp):
        yield from _texts(expression.body, tree)
        yield from _texts(expression.orelse, tree)
    elif isinstance(expression, ast.Name):
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if getattr(target, "id", None) == expression.id:
                        yield from _texts(node.value, tree)


def _flags_on_page() -> set[str]:
    section = _PAGE.split("## The flags", 1)[1].split("\n## ", 1)[0]
    return set(re.findall(r"^\| `([a-z0-9_]+)`", section, flags=re.M))


def test_every_flag_is_explained_and_no_other() -> None:
    in_source, on_page = _flags_in_source(), _flags_on_page()
    assert len(in_source) >= 15
    assert sorted(in_source - on_page) == []
    assert sorted(on_page - in_source) == []


def test_every_criterion_and_category_is_explained() -> None:
    for criterion in CRITERIA.values():
        assert f"`{criterion.name}`" in _PAGE
        for band in criterion.bands:
            assert band.name in _PAGE


def test_every_region_is_named_among_the_methods() -> None:
    methods = (DOCS / "explanation" / "methods.md").read_text(encoding="utf-8")
    for name in REGION_METHODS:
        assert f"`{name}`" in methods


def test_the_page_says_what_the_result_is_not() -> None:
    words = " ".join(_PAGE.replace("**", "").split())
    assert "not a medical device" in words
    assert "not a DXA T-score" in words
