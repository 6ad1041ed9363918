"""``inspect --cost``: what a forward pass computes and keeps, instead of the tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from paramtool.cli import console, panels
from paramtool.cli.columns import with_columns
from paramtool.cli.page_file import deliver
from paramtool.errors import ParamtoolError
from paramtool.records.cost import Optimizer
from paramtool.render.formats import FOLDED, Format, folded

if TYPE_CHECKING:
    from paramtool.models.model import Model
    from paramtool.operations.listing.selection import Selection
    from paramtool.records.cost import Costs

Cost = Annotated[
    bool,
    typer.Option(
        "--cost",
        is_eager=True,  # --columns asks for it
        help="Show the output shape, MACs and memory of each module.",
        rich_help_panel=panels.OUTPUT,
    ),
]
Optimizers = Annotated[
    list[str] | None,
    typer.Option(
        "--optimizer",
        metavar="NAME",
        help=f"With --cost: {', '.join(each.value for each in Optimizer)}.  Default: adamw, sgd, adafactor.",
        rich_help_panel=panels.rare(panels.OUTPUT),
    ),
]
Dtype = Annotated[
    str | None,
    typer.Option(
        "--dtype",
        metavar="DTYPE",
        help="With --cost: cast the model and its inputs first, e.g. to bfloat16.",
        rich_help_panel=panels.rare(panels.OUTPUT),
    ),
]
Input = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        "-i",
        metavar="SIZE,…|FILE",
        help="An input for --cost and lazy modules: 2,4 or 2,16,randint=1000; for --cost also a file.",
        rich_help_panel=panels.rare(panels.MODEL),
    ),
]


COSTLESS = ("--stats", "--values", "--total")
"""Options about tensors, which say nothing about modules."""


def check_cost(cost: bool, needed: Mapping[str, object], refused: Mapping[str, object]) -> None:
    """Refuse options that make no sense with ``--cost``, or that require it.

    Args:
        cost: whether ``--cost`` was typed.
        needed: the values of options that require it, by their names.
        refused: the values of options that have no effect with it.

    Raises:
        ParamtoolError: for the first that was typed.
    """
    for option, value in (refused if cost else needed).items():
        if value:
            said = (
                f"--cost is about modules, so {option} has no effect" if cost else f"{option} requires --cost"
            )
            raise ParamtoolError(said)


def show_cost(
    opened: Model,
    inputs: Sequence[str] | None,
    selection: Selection,
    *,
    module: str | None,
    optimizers: Sequence[str] | None,
    dtype: str | None,
    depth: int | None,
    sort: str | None,
    reverse: bool,
    top: int | None,
    columns: str | None,
    format: Format,
    all: bool,
    report_file: str | None,
) -> None:
    """Measure the model, and write a line for each module.

    Raises:
        ParamtoolError: if it is not a module, there is no input, or the forward fails.
    """
    from paramtool.api.cost import cost
    from paramtool.models.open import spec_catalog
    from paramtool.models.tensor_file import read_inputs
    from paramtool.operations.listing import module_costs

    if sort is not None:
        module_costs.check_sort(sort)
    opened.check_buildable()
    if inputs:
        opened = opened.with_inputs(read_inputs(inputs, spec_catalog().dtypes))
    report = cost(opened, optimizers=optimizers, dtype=dtype)
    for text in report.totals.notes:
        console.note(text)
    report = module_costs.select(report, selection, module)
    if depth is not None:
        report = module_costs.fold_depth(report, depth)
    both = (report, folded(report) if format in FOLDED and not all else report)
    whole, shown = (with_columns(_ordered(each, sort, reverse, top), columns) for each in both)
    deliver(whole, format, report_file, shown)


def _ordered(report: Costs, sort: str | None, reverse: bool, top: int | None) -> Costs:
    from paramtool.operations.listing.module_costs import BY_DEFAULT
    from paramtool.operations.listing.module_costs import sort as sorted_rows

    if top is not None or sort is not None:
        rows = sorted_rows(report.rows, sort or BY_DEFAULT, reverse)
        return replace(report, rows=tuple(rows[:top]))
    return replace(report, rows=report.rows[::-1]) if reverse else report
