"""The document: one file with everything in it, which lets nothing in."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from paramtool.records.report import Report
from paramtool.render.html.markup import Markup, tag, text
from paramtool.render.html.view import title_of, view

_PALETTES = ("light", "dark")
_ASSETS = Path(__file__).with_name("assets")


@cache
def asset(name: str) -> Markup:
    """Return the text of a style sheet or script that comes with paramtool, with the colors it names."""
    content = _ASSETS.joinpath(name).read_text(encoding="ascii")
    for palette in _PALETTES if name.endswith(".css") else ():
        place = f"/* {palette} */"
        if place in content:
            content = content.replace(place, asset(f"{palette}.css").strip())
    return Markup(content)


def page(report: Report[Any, Any]) -> Iterator[str]:
    """Yield the page of a report.

    It is the same for the same report, byte for byte, asks for nothing over a network, and says so to the
    browser: the policy allows one style sheet and one script, by their hashes, and nothing else.
    """
    style, script = Markup(asset("view.css") + asset("page.css")), asset("page.js")
    policy = (
        f"default-src 'none'; style-src 'sha256-{_digest(style)}'; script-src 'sha256-{_digest(script)}';"
        " base-uri 'none'; form-action 'none'"
    )
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
    yield f"{tag('title', text(title_of(report)))}\n<style>{style}</style>\n</head>\n<body>\n"
    yield f"{tag('main', view(report), class_='paramtool pt-page')}\n"
    yield f"<script>{script}</script>\n</body>\n</html>\n"


def _digest(content: str) -> str:
    return b64encode(sha256(content.encode()).digest()).decode()
