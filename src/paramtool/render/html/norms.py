"""The picture of `grad`: a bar for each layer, and in it one for each parameter with its uses as parts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from paramtool.records.column import column_of
from paramtool.records.gradient import VERDICTS, GradientRow, Gradients
from paramtool.render.cells import for_people
from paramtool.render.html.budget import short
from paramtool.render.html.curves import curves
from paramtool.render.html.drawings import LogScale, legend, parted_bar
from paramtool.render.html.layers import places
from paramtool.render.html.markup import EMPTY, Markup, line, tag, text, together
from paramtool.render.html.table import name_cell, tables
from paramtool.render.html.view import section

MOST_LAYERS = 300
"""Layers that are drawn."""

MOST_PARAMETERS = 1000
"""Parameters that are drawn, in all layers together."""

MOST_USES = 8
"""Uses of one parameter whose shares are written beside its bar."""

_FILLS = ("accent", "link", "was", "quiet")
"""Tones of the uses of one parameter, in turn; none of them is that of a verdict."""


@dataclass
class _Parameter:
    row: GradientRow
    uses: list[GradientRow] = field(default_factory=list)


def draw(report: Gradients) -> Markup:
    """Return the parts of a report on gradients."""
    parameters = _parameters(report.rows)
    modules = [row for row in report.rows if row.kind == "module"]
    return together(
        [
            section("Verdicts", _verdicts(report)),
            section("Signal and gradient, layer by layer", curves(modules)),
            section("Norm by layer", _layers(parameters)),
            section("Gradients", tables(report, "Gradients")),
        ]
    )


def _verdicts(report: Gradients) -> Markup:
    found = [(each, report.totals.verdicts.get(each, 0)) for each in VERDICTS[::-1]]
    whole = sum(count for _, count in found) or 1
    parts = [(count / whole, _fill(each)) for each, count in found]
    entries = [(_fill(each), f"{count:,} {each}") for each, count in found if count]
    return tag("div", parted_bar(parts), legend(*entries), kind="wide") if entries else EMPTY


def _fill(verdict: str | None) -> str:
    """Return the tone of a verdict, as its cell has it."""
    return column_of(GradientRow, "verdict").tone_of(verdict or "")


def _parameters(rows: Sequence[GradientRow]) -> list[_Parameter]:
    found: list[_Parameter] = []
    for row in rows:
        if row.kind == "parameter":
            found.append(_Parameter(row))
        elif row.kind == "use" and found:
            found[-1].uses.append(row)
    return found


def _layers(parameters: Sequence[_Parameter]) -> Markup:
    """Return a line that unfolds for each layer, its bar as long as the norm of its gradients together."""
    found = places(each.row.name for each in parameters)
    layers: dict[str, list[_Parameter]] = {}
    for each in parameters:
        layers.setdefault(found[each.row.name].layer, []).append(each)
    norms = {name: _together(inside) for name, inside in layers.items()}
    scale = LogScale([*norms.values(), *(each.row.norm for each in parameters)])
    room, drawn = MOST_PARAMETERS, []
    for name, inside in list(layers.items())[:MOST_LAYERS]:
        lines = [tag("li", _line(each, scale)) for each in inside[:room]]
        room -= len(lines)
        if len(lines) < len(inside):
            lines.append(
                tag("li", text(f"{len(inside) - len(lines):,} more; --only REGEX narrows them down"))
            )
        total = _measured(name_cell(name), "", norms[name], scale, [(1.0, _worst(inside))])
        inner = tag("details", tag("summary", total), tag("ul", *lines), open=len(layers) <= 12)
        drawn.append(tag("li", inner))
    if len(layers) > MOST_LAYERS:
        drawn.append(tag("li", text(f"{len(layers) - MOST_LAYERS:,} more layers")))
    key = legend(("good", "ok"), ("bad", "vanishing, exploding, nan or inf"), ("notable", "none or zero"))
    said = "log scale; each use is a part of its parameter's bar, by its share"
    if any((use.share or 0) < 0 for each in parameters for use in each.uses):
        said += ", in red where it is against the sum"
    note = tag("p", text(said), kind="t-quiet")
    return together([key, note, tag("ul", *drawn, kind="tree")]) if drawn else EMPTY


def _together(parameters: Sequence[_Parameter]) -> float | None:
    norms = [each.row.norm for each in parameters if each.row.norm is not None]
    return math.hypot(*norms) if norms else None


def _worst(parameters: Sequence[_Parameter]) -> str:
    tones = {_fill(each.row.verdict) for each in parameters if each.row.verdict}
    return next((tone for tone in ("bad", "notable", "good") if tone in tones), "quiet")


def _line(parameter: _Parameter, scale: LogScale) -> Markup:
    row = parameter.row
    verdict = row.verdict if row.verdict not in (None, "ok") else ""
    uses = [each for each in parameter.uses if each.share is not None]
    parts = [(1.0, _fill(row.verdict))]
    said = verdict or ""
    if len(uses) > 1:
        whole = sum(abs(each.share or 0) for each in uses) or 1
        parts = [(abs(each.share or 0) / whole, _use_fill(each, at)) for at, each in enumerate(uses)]
        shares = [
            f"{short(for_people(each, 'module'))}: {for_people(each, 'share')}" for each in uses[:MOST_USES]
        ]
        said = "; ".join([each for each in (verdict, ", ".join(shares)) if each])
    return _measured(name_cell(row.name), said, row.norm, scale, parts)


def _use_fill(use: GradientRow, at: int) -> str:
    return "bad" if (use.share or 0) < 0 else _FILLS[at % len(_FILLS)]


def _measured(
    name: Markup, said: str, norm: float | None, scale: LogScale, parts: Sequence[tuple[float, str]]
) -> Markup:
    length = scale.part(norm)
    drawn = parted_bar([(part * length, tone) for part, tone in parts])
    more = together([Markup(" "), tag("span", text(said), kind="t-quiet")]) if said else EMPTY
    value = text("" if norm is None else f"{norm:.4g}")
    return line(tag("span", name, more, kind="what"), tag("span", value, kind="n"), drawn)
