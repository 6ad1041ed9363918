"""What is shown of a report: the picture of its kind, its table, and the totals in sentences."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from paramtool.records.report import Report
from paramtool.render.elements import PrintedBlock, printed_blocks
from paramtool.render.html.drawings import legend
from paramtool.render.html.element_grid import KEY, element_grid
from paramtool.render.html.markup import EMPTY, Markup, lines, tag, text, together
from paramtool.render.html.table import tables
from paramtool.render.names import shown
from paramtool.render.summary import summary

MOST_PRINTED = 300_000
"""Characters of elements below the table, as text and as drawings."""

MOST_OPEN = 12
"""Tensors below the table whose elements are seen without unfolding them."""

_PICTURES = {
    "ParameterTotals": "listing",
    "CostTotals": "costs",
    "InitializationTotals": "plan",
    "SharingTotals": "sharing",
    "GradientTotals": "norms",
    "DifferenceTotals": "changes",
    "ExpectationTotals": "outcome",
}
"""The file of what draws a report, by the class of its totals, so that nothing else is loaded."""


def title_of(report: Report[Any, Any]) -> str:
    """Return what a report is called: the command and the model, or both models."""
    totals = report.totals
    about = f"{totals.a} \N{RIGHTWARDS ARROW} {totals.b}" if hasattr(totals, "loads") else report.model or ""
    return f"{report.command} {shown(about)}".rstrip()


def view(report: Report[Any, Any]) -> Markup:
    """Return the whole of what is shown, without the page around it."""
    name = _PICTURES.get(type(report.totals).__name__)
    if name is None:
        body = section("Rows", tables(report, title_of(report)))
    else:
        draw: Callable[[Report[Any, Any]], Markup] = import_module(f"paramtool.render.html.{name}").draw
        body = draw(report)
    return together([header(report), body, _values(report)])


def section(title: str, *inner: Markup) -> Markup:
    """Return a part of the view under its own heading; nothing if nothing is in it."""
    return tag("section", tag("h2", text(title)), *inner) if any(inner) else EMPTY


def header(report: Report[Any, Any]) -> Markup:
    """Return the heading of a report, the answer that it gives, and its totals in sentences."""
    command, _, about = title_of(report).partition(" ")
    heading = tag("h1", tag("span", text(command), kind="command"), text(f" {about}"))
    verdict, others = _verdict(report)
    return tag("header", heading, verdict, *(tag("p", text(line)) for line in others))


def _verdict(report: Report[Any, Any]) -> tuple[Markup, list[str]]:
    """Return the answer, if the report is one to a question of yes or no, and the other sentences."""
    said = summary(report)
    if report.command == "diff":
        from paramtool.render.difference_text import verdict

        answer = verdict(report.totals)
        tone = "good" if report.totals.loads else "bad"
        return tag("p", text(answer), kind=f"verdict {tone}"), [each for each in said if each != answer]
    if report.command == "check":
        totals = report.totals
        tone = "bad" if totals.broken or totals.failed else "good" if totals.kept else "notable"
        return tag("p", text(said[0]), kind=f"verdict {tone}"), said[1:]
    return EMPTY, said


def _values(report: Report[Any, Any]) -> Markup:
    """Return the elements that were asked for: drawn, and as torch prints them."""
    drawn: list[Markup] = []
    blocks, room = list(printed_blocks(report)), MOST_PRINTED
    for block in blocks:
        made = _block(block, is_open=len(blocks) <= MOST_OPEN)
        room -= len(made)
        if drawn and room < 0:
            break
        drawn.append(made)
    more = len(blocks) - len(drawn)
    key = legend(*KEY) if any("<svg" in each for each in drawn) else EMPTY
    note = tag("p", text(f"{more:,} more; --format json has all")) if more else EMPTY
    return section("Values", key, *drawn, note)


def _block(block: PrintedBlock, *, is_open: bool) -> Markup:
    if not block.text:
        return tag("p", text(block.label))
    inner = tag("pre", lines(block.text), tabindex=0)
    return tag("details", tag("summary", text(block.label)), element_grid(block.values), inner, open=is_open)
