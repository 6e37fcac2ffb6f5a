"""Pages that are made from the code when the documentation is built, so that they cannot drift.

``<!-- result-schema -->`` becomes the tables of ``result.json``, ``<!-- command-line -->`` every
command with its options, ``<!-- corrections -->`` and ``<!-- dxa-references -->`` the published
rules and references by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from osteoscope.reporting.result_schema import result_schema


def on_page_markdown(markdown: str, **_: object) -> str:
    """Replace the markers of a page; MkDocs calls this for each."""
    for name, table in _TABLES.items():
        marker = f"<!-- {name} -->"
        if marker in markdown:
            markdown = markdown.replace(marker, table())
    return markdown


def result_tables() -> str:
    """One table for the top level of ``result.json`` and one for each kind of object in it."""
    schema = result_schema()
    parts = ["## Top level\n", *_object_table(schema)]
    inline = {f"{k} (top level)": v for k, v in schema["properties"].items() if "properties" in v}
    for name, node in {**inline, **schema["$defs"]}.items():
        rows = list(_object_table(node))
        if rows:
            parts += [f"\n## {name}\n", node.get("description", ""), "", *rows]
    return "\n".join(parts)


def _object_table(node: Mapping[str, Any]) -> Iterator[str]:
    rows = list(_rows(node))
    if rows:
        yield "| key | type | always | meaning |"
        yield "|---|---|---|---|"
        yield from rows


def _rows(node: Mapping[str, Any]) -> Iterator[str]:
    """A row for each key, those of ``then`` and ``else`` included once; of a list, its items'."""
    seen: set[str] = set()
    if "properties" in node.get("items", {}):
        node = node["items"]
    for part in (node, node.get("else", {}), node.get("then", {})):
        required = part.get("required", [])
        for key, value in part.get("properties", {}).items():
            if key in seen or not isinstance(value, Mapping):
                continue
            seen.add(key)
            always = "yes" if key in required else ""
            meaning = value.get("description", "").replace("|", "\\|")
            yield f"| `{key}` | {_type(value)} | {always} | {meaning} |"


def _type(value: Mapping[str, Any]) -> str:
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        target = result_schema()["$defs"][name]
        return f"[{name}](#{name})" if any(_rows(target)) else _type(target)
    if "enum" in value:
        return ", ".join(f"`{item}`" for item in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    if "anyOf" in value:
        return " or ".join(_type(item) for item in value["anyOf"])
    kind = value.get("type", "any")
    words = kind if isinstance(kind, str) else " or ".join(kind)
    inner = value.get("items") or value.get("additionalProperties")
    return f"{words} of {_type(inner)}" if isinstance(inner, Mapping) and inner else words


def command_tables() -> str:
    """Every command with its arguments and options, as the command line itself knows them."""
    import typer

    from osteoscope.apps.cli.main import app

    parts: list[str] = []
    for name, command in _commands(typer.main.get_command(app), "osteoscope"):
        parts += [f"\n## {name}\n", command.help or "", ""]
        parts += ["| option | meaning | default |", "|---|---|---|"]
        parts += [_option_row(p) for p in command.params if not getattr(p, "hidden", False)]
    return "\n".join(parts)


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", {})
    if not children:
        yield name, command
    for child_name, child in children.items():
        yield from _commands(child, f"{name} {child_name}")


def _option_row(parameter: Any) -> str:
    names = [*parameter.opts, *parameter.secondary_opts]
    if parameter.param_type_name == "argument":
        names = [parameter.metavar or parameter.name]
    shown = parameter.show_default
    default = shown if isinstance(shown, str) else parameter.default
    words = "" if default is None or default is False or callable(default) else f"`{default}`"
    # A bar cannot stand in code in a table's cell, not even after a backslash.
    label = ", ".join(f"`{part}`" for name in names for part in name.split("|"))
    return f"| {label} | {parameter.help or ''} | {words} |"


def correction_table() -> str:
    """Every published correction for contrast."""
    from osteoscope.densitometry.corrections import CORRECTIONS

    rows = ["| `--contrast-rule` | unenhanced value | phase | source |", "|---|---|---|---|"]
    rows += [
        f"| `{rule.name}` | {rule.slope:g} × value {rule.intercept:+g} {rule.unit} "
        f"| {rule.phase} | {rule.source} |"
        for rule in CORRECTIONS.values()
    ]
    return "\n".join(rows)


def reference_table() -> str:
    """Every young-adult reference of the virtual DXA T-score."""
    from osteoscope.core.dxa_reference import REFERENCES

    rows = ["| `--dxa-reference` | mean ± SD, g/cm² | source |", "|---|---|---|"]
    rows += [
        f"| `{known.name}` | {known.mean_g_cm2:.3f} ± {known.sd_g_cm2:.3f} | {known.source} |"
        for known in REFERENCES.values()
    ]
    return "\n".join(rows)


_TABLES: dict[str, Callable[[], str]] = {
    "result-schema": result_tables,
    "command-line": command_tables,
    "corrections": correction_table,
    "dxa-references": reference_table,
}
