"""The picture of README: parts of pages as they are, in one SVG file: ``make pictures``.

A page is HTML, and SVG takes HTML into a ``foreignObject``, which browsers draw in an ``<img>`` too.  So the
picture is text that the pages' own code writes, and needs no browser to be made or compared.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import torch

import paramtool
from paramtool.records.difference import Differences
from paramtool.render.formats import folded
from paramtool.render.html.curves import curves
from paramtool.render.html.heat_map import heat_map
from paramtool.render.html.listing import modules
from paramtool.render.html.markup import Markup, tag, together
from paramtool.render.html.page import asset
from paramtool.render.html.view import header, section

ROOT = Path(__file__).parent.parent
NAME = "pages"
WIDTH, HEIGHT = 1080, 750

DEEP = """\
model:
  Repeat:
    times: 20
    module: {Sequential: [{Linear: [32, 32]}, Sigmoid]}
input: {shape: [8, 32], fill: randn}
loss: square
"""
"""Twenty layers through which hardly any gradient comes back."""

KINDS = ("attn.q", "attn.k", "attn.v", "mlp.up")
LAYERS = 6

STYLE = """
.pt-page { width: 1080px; height: 750px; min-height: 0; max-width: none; overflow: hidden;
  border-radius: 6px; }
.pt-columns { display: grid; grid-template-columns: 53fr 47fr; gap: 0 32px; padding: 0 12px; }
.pt-columns > div { min-width: 0; }
.paramtool .pt-columns .pt-bar { width: 96px; }
.paramtool .pt-plot text { font-size: 17px; }
.paramtool .pt-columns figcaption { display: none; }
.paramtool .pt-columns section + header { margin-top: 24px; }
"""


def picture(folder: Path) -> str:
    """Return the picture: modules of GPT-2, signal and gradient of a deep network, what a fine-tune changed.

    Args:
        folder: where the spec of the deep network is written.
    """
    right = together([*_gradient(folder), *_difference()])
    columns = tag("div", tag("div", *_modules()), tag("div", right), kind="columns")
    style = Markup(asset("view.css") + asset("page.css") + STYLE)
    page = tag("div", tag("style", style), columns, class_="paramtool pt-page", xmlns=_XHTML)
    inner = tag("foreignObject", Markup(_as_xml(page)), width=WIDTH, height=HEIGHT)
    return tag("svg", inner, xmlns=_SVG, viewBox=f"0 0 {WIDTH} {HEIGHT}", width=WIDTH) + "\n"


_SVG, _XHTML = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml"


def _modules() -> list[Markup]:
    report = paramtool.inspect(str(ROOT / "configs" / "gpt2.yaml"))
    rows = tuple(row for row in report.rows if row.is_parameter)
    report = replace(report, rows=rows, model="gpt2.yaml")
    return [header(report), modules(report, folded(report))]


def _gradient(folder: Path) -> list[Markup]:
    path = folder / "deep.yaml"
    path.write_text(DEEP, "utf-8")
    report = replace(paramtool.gradients(str(path), layers=True), model="deep.yaml")
    drawn = curves([row for row in report.rows if row.kind == "module"])
    return [header(report), section("Signal and gradient, layer by layer", drawn)]


def _difference() -> list[Markup]:
    report = _fine_tune()
    return [header(report), section("Where", heat_map(report.rows, "relative_rms"))]


def _fine_tune() -> Differences:
    """Compare two sets of tensors, of which the second is further away in later layers."""
    before, after = {}, {}
    for layer in range(LAYERS):
        for at, kind in enumerate(KINDS):
            name = f"layers.{layer}.{kind}"
            before[name] = torch.arange(64, dtype=torch.float64).cos().reshape(8, 8)
            after[name] = before[name] * (1 + 0.3 * 2.0 ** (layer - LAYERS) * 3.0 ** -abs(at - 2))
    report = paramtool.diff(before, after, values=True)
    totals = replace(report.totals, a="base.pt", b="tuned.pt")
    return replace(report, totals=totals)


def _as_xml(page: str) -> str:
    """Return HTML as XML: every element closed, every attribute with a value, SVG in its namespace."""
    page = page.replace("<wbr>", "<wbr/>").replace("<svg ", f'<svg xmlns="{_SVG}" ')
    return re.sub(r" (open|hidden)(?=[ >])", r' \1=""', page)
