"""Elements of HTML, and text that stays text.

Everything is ASCII: a character beyond it is written as a reference, so that a page means the same whatever
encoding a terminal, a server or a browser takes it for.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import NewType

from paramtool.render.names import shown

Markup = NewType("Markup", str)
"""HTML that is well-formed; everything else is text, and goes through `text`."""

EMPTY = Markup("")
SPACE = Markup(" ")
"""Between texts, which run together where a notebook is not trusted and styles and drawings are left out."""

PREFIX = "pt-"
"""What every class begins with, so that the styles of a notebook meet nothing else."""


def text(value: str) -> Markup:
    r"""Return untrusted text as HTML that shows it: markup as text, control characters as ``\x1b``."""
    return Markup(escape(shown(value)).encode("ascii", "xmlcharrefreplace").decode())


def lines(value: str) -> Markup:
    """Return text of several lines, each as `text` has it."""
    return Markup("\n".join(map(text, value.split("\n"))))


def tag(name: str, *inner: Markup, kind: str = "", **attributes: str | int | float | bool | None) -> Markup:
    """Return an element.

    Args:
        name: of the element.
        inner: what is in it.
        kind: its classes, without `PREFIX`.
        attributes: by name, where ``_`` is ``-``; one that is None or False is left out, True has no value.
    """
    return Markup(f"<{name}{_attributes(kind, attributes)}>{''.join(inner)}</{name}>")


def empty_tag(name: str, kind: str = "", **attributes: str | int | float | bool | None) -> Markup:
    """Return an element of HTML or SVG with nothing in it; see `tag`."""
    return Markup(f"<{name}{_attributes(kind, attributes)}/>")


def together(parts: Iterable[Markup], between: Markup = EMPTY) -> Markup:
    """Return elements one after the other."""
    return Markup(between.join(parts))


def line(*parts: Markup) -> Markup:
    """Return a line of a tree; spaces keep its parts apart where styles are left out."""
    return tag("span", together(parts, SPACE), kind="line")


def _attributes(kind: str, attributes: dict[str, str | int | float | bool | None]) -> str:
    classes = " ".join(f"{PREFIX}{each}" for each in kind.split())
    given = {"class": classes or None, **attributes}
    return "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{text(str(value))}"')
        for key, value in given.items()
        if value is not None and value is not False
    )
