"""A strict reader of HTML: every element is closed where it was opened, and what is in it may be there."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

VOID = ("br", "input", "meta", "wbr")
ONLY_IN = {
    "caption": ("table",), "dd": ("dl",), "figcaption": ("figure",), "li": ("ol", "ul"),
    "summary": ("details",), "tbody": ("table",), "td": ("tr",), "th": ("tr",), "thead": ("table",),
    "title": ("circle", "head", "svg"), "tr": ("tbody", "thead"),
}  # fmt: skip
"""Elements, and what each may be a child of."""

ALLOWED = (
    "aria-hidden", "aria-label", "class", "content", "charset", "data-choices", "data-sorts", "http-equiv",
    "lang", "name", "open", "role", "scope", "tabindex",
    "cx", "cy", "d", "dy", "fill-opacity", "height", "preserveaspectratio", "r",
    "text-anchor", "viewbox", "width", "x", "y",
)  # fmt: skip
"""All attributes that a page has: none loads anything, has a style or runs a script."""


class Page(HTMLParser):
    """What a page consists of.

    Raises:
        AssertionError: for an element or attribute that is not as it should be.
    """

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[dict[str, str | None]] = []
        self.texts: list[str] = []
        self.policy = ""
        self.assets: dict[str, str] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        assert len(found) == len(attrs), (tag, attrs)
        assert set(found) <= set(ALLOWED), (tag, attrs)
        if tag in ONLY_IN:
            assert self._open[-1] in ONLY_IN[tag], (tag, self._open)
        if found.get("http-equiv") == "Content-Security-Policy":
            self.policy = found["content"] or ""
        self.tags.append(tag)
        self.attributes.append(found)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert "svg" in self._open, tag
        self.handle_starttag(tag, attrs)
        self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, (tag, self._open)

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in ("script", "style"):
            self.assets[self._open[-1]] = self.assets.get(self._open[-1], "") + data
        else:
            self.texts.append(data)

    @property
    def text(self) -> str:
        """All text that is shown, one piece after the other."""
        return "".join(self.texts)

    def count(self, tag: str) -> int:
        """Return how many elements of a name there are."""
        return self.tags.count(tag)


def check_policy(page: Page) -> None:
    """Check that nothing may be loaded or run but what the page holds, by its hash."""
    directives = {each.split()[0]: each.split()[1:] for each in page.policy.split(";")}
    hashes = {
        name: f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for name, text in page.assets.items()
    }
    assert directives == {
        "default-src": ["'none'"], "style-src": [hashes["style"]], "script-src": [hashes["script"]],
        "base-uri": ["'none'"], "form-action": ["'none'"],
    }  # fmt: skip


def check_apart(text: str) -> None:
    """Check that a page names nothing outside itself."""
    assert not re.search(r"https?:|//[a-z]|url\(|@import|\bsrc=|href=|\bon[a-z]+=|javascript:", text, re.I)
