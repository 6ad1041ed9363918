"""``paramtool shared``: which names are one tensor, and which only overlap."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from paramtool.cli import console, options
from paramtool.cli.chosen import open_chosen
from paramtool.cli.laying_out import laid_out
from paramtool.cli.selecting import selected_by
from paramtool.errors import ParamtoolError, Unmet
from paramtool.language.document import Spec
from paramtool.records.sharing import Sharing
from paramtool.render.formats import FOR_PEOPLE, Format, folded, render


class FailOn(str, Enum):
    """What makes the answer no."""

    any = "any"
    aliased = "aliased"


def shared(
    model: options.Model = None,
    pattern: options.Pattern = None,
    exclude: options.Exclude = None,
    type: options.Type = None,
    by_value: Annotated[
        bool,
        typer.Option("--by-value", help="Also group tensors that share nothing and have the same bytes."),
    ] = False,
    fail_on: Annotated[
        FailOn | None,
        typer.Option("--fail-on", help="Exit status 1 where a group is listed, or an aliased one."),
    ] = None,
    seed: options.Seed = None,
    all: options.All = False,
    weights: options.Weights = None,
    set: options.Set = None,
    arg: options.Arg = None,
    format: Annotated[Format, options.format_of("shared")] = Format.table,
    json: options.Json = False,
) -> None:
    """Show which names of MODEL are one tensor, and which overlap.

    Names of one tensor are tied; different tensors over the same memory are aliased.  --pattern,
    --exclude and --type keep the groups that have a name they keep.  What the spec expects to be
    shared or distinct is checked: exit status 1 where it is not so.
    """
    from paramtool.operations.expectations.sharing import unmet
    from paramtool.operations.sharing.groups import representatives, share

    format = Format.json if json else format
    selection = selected_by(pattern, exclude, type)
    opened = open_chosen(model, set, seed, arg)
    layout, equal = laid_out(opened, by_value=by_value, weights=weights)
    report = share(layout, equal=equal, selection=selection)
    is_folded = format in FOR_PEOPLE and not all
    console.write(render(folded(report) if is_folded else report, format, console.screen()))
    expectations = opened.expectations if isinstance(opened, Spec) else ()
    sharing = representatives(share(layout)) if expectations else {}
    broken = [*unmet(expectations, layout.listed.rows, sharing), *_failed(report, fail_on)]
    if broken:
        raise Unmet(broken)


def _failed(report: Sharing, fail_on: FailOn | None) -> list[ParamtoolError]:
    count = report.totals.aliased if fail_on is FailOn.aliased else report.totals.groups
    if fail_on is None or not count:
        return []
    groups = f"{count:,} group{' is' if count == 1 else 's are'}"
    found = "aliased" if fail_on is FailOn.aliased else "listed"
    return [ParamtoolError(f"{groups} {found}, and --fail-on {fail_on.value} was given")]
