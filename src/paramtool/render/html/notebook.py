"""The view in a notebook: styles of its own, no script, no page around it."""

from __future__ import annotations

from typing import Any

from paramtool.records.report import Report
from paramtool.render.html.markup import Markup, tag
from paramtool.render.html.page import asset
from paramtool.render.html.view import view


def notebook_view(report: Report[Any, Any]) -> str:
    """Return what Jupyter, VS Code and Colab show of a report.

    It reads without a script, which notebooks of others do not run; every rule of its styles is about the
    element that it is in, or what is below.
    """
    style = Markup(asset("view.css") + asset("notebook.css"))
    return tag("div", Markup(f"<style>{style}</style>"), view(report), class_="paramtool pt-notebook")
