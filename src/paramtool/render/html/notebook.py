"""The view in a notebook: styles of its own, no script, no page around it."""

from __future__ import annotations

from functools import cache
from typing import Any

from paramtool.records.report import Report
from paramtool.render.html.markup import Markup, tag
from paramtool.render.html.page import asset
from paramtool.render.html.view import view


def notebook_view(report: Report[Any, Any]) -> str:
    """Return what Jupyter, VS Code and Colab show of a report.

    It reads without a script, which notebooks do not run before they are trusted; every rule of its styles
    is about the element that it is in, or what is below.
    """
    shown = view(report.for_people())
    return tag("div", Markup(f"<style>{_styles()}</style>"), shown, class_="paramtool pt-notebook")


@cache
def _styles() -> str:
    """Return the styles, each with two classes, as Jupyter's own rules for tables have."""
    own = asset("view.css").replace(".paramtool ", ".paramtool.pt-notebook ")
    return own + asset("notebook.css")
