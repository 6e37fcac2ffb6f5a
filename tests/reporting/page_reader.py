"""Read a page back as a browser would: its elements, its texts and what it would load."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "img", "br", "link", "input", "hr"}


@dataclass
class Page(HTMLParser):
    """A parsed page; an element closed out of turn is an error."""

    tags: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str, str]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        """Everything that is read, spaces made plain."""
        return re.sub(r"\s+", " ", " ".join(self.texts)).strip()

    def values(self, tag: str, name: str) -> list[str]:
        """Every value of an attribute."""
        return [v for t, n, v in self.attributes if (t, n) == (tag, name)]


def read_page(html: str) -> Page:
    """Parse a page and check that every element is closed."""
    page = Page()
    page.feed(html)
    page.close()
    assert page.open == []
    return page


def assert_self_contained(html: str) -> None:
    """Nothing is loaded, nothing runs."""
    page = read_page(html)
    assert not {"script", "link", "iframe", "object", "embed", "form", "base"} & set(page.tags)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert all(src.startswith("data:image/png;base64,") for src in page.values("img", "src"))
    for address in page.values("a", "href"):
        assert address.startswith(("#", "./"))
    style = html.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    assert "default-src 'none'" in html


def section_order(html: str) -> list[str]:
    """Headings of second rank, in order."""
    return [re.sub(r"<[^>]+>", "", h).strip() for h in re.findall(r"<h2[^>]*>(.*?)</h2>", html)]
