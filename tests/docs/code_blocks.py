"""Fenced code blocks of a page, in the order in which a reader would run them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
_FENCE = re.compile(r"^```([a-z]+)[^\n]*\n(.*?)^```$", flags=re.M | re.S)


@dataclass(frozen=True)
class Block:
    """One fenced block: the word after the fence, and what stands inside."""

    language: str
    code: str


def blocks_of(page: Path) -> tuple[Block, ...]:
    """Every fenced block that names a language."""
    text = page.read_text(encoding="utf-8")
    return tuple(Block(language, code) for language, code in _FENCE.findall(text))


def pages() -> list[Path]:
    """The README and every page of the documentation."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def command_lines(code: str) -> list[str]:
    """The lines of a shell block, continued ones joined, comments and blank lines left out."""
    joined = code.replace("\\\n", " ")
    lines = (line.strip() for line in joined.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def is_setup(block: Block) -> bool:
    """Whether the block installs or builds: it is checked, not run, since tests do not install."""
    first = command_lines(block.code)[:1]
    return bool(first) and first[0].split()[0] in {"make", "pip", "git", "uv"}
