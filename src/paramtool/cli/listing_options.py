"""``--top`` and ``--total``: a part of a listing, and one number instead of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from paramtool.cli import completion, console, panels
from paramtool.cli.command import Command
from paramtool.cli.words import names_model
from paramtool.errors import ParamtoolError
from paramtool.quantities import counted
from paramtool.render.formats import Format

if TYPE_CHECKING:
    from paramtool.records.parameter import Listing

TOTAL = "--total"

SHAPES = ("--columns", "--top", "--sort", "--depth")
"""Options that shape a table."""


class ListingCommand(Command):
    """A command whose ``--total`` may be typed without its value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give ``--total`` its value, unless the next word is one."""
        if TOTAL not in args:
            return super().parse_args(ctx, args)
        from paramtool.operations.listing.total import BY_DEFAULT, FIELDS

        end = args.index("--") if "--" in args else len(args)
        words = list(args)
        for at, word in enumerate(args[:end]):
            following = args[at + 1] if at + 1 < len(args) else None
            if word != TOTAL or following in FIELDS or ctx.resilient_parsing:
                continue
            is_field = following is not None and not (following.startswith("-") or names_model(following))
            if not is_field:  # else it is a field with a typing error, which is reported
                words[at] = f"{TOTAL}={BY_DEFAULT}"
        return super().parse_args(ctx, words)


def _check_total(total: str | None) -> str | None:
    if total is not None:
        from paramtool.operations.listing.total import check_field

        check_field(total)
    return total


Top = Annotated[
    int | None,
    typer.Option(
        "--top",
        min=1,
        metavar="N",
        help="Show the N largest, by --sort or numel.",
        rich_help_panel=panels.OUTPUT,
    ),
]
Total = Annotated[
    str | None,
    typer.Option(
        TOTAL,
        metavar="[FIELD]",
        callback=_check_total,
        autocompletion=completion.totals,
        help="Print one number: numel, nbytes, trainable, tensors, …",
        rich_help_panel=panels.rare(panels.OUTPUT),
    ),
]


def check_total(total: str | None, format: Format, others: dict[str, object]) -> None:
    """Refuse what shapes a table beside ``--total``, which prints none.

    Args:
        total: the field, if one was asked for.
        format: of the output.
        others: the values of other options, by their names.

    Raises:
        ParamtoolError: for the first that was typed.
    """
    if total is None:
        return
    if format not in (Format.table, Format.json):
        others = {f"--format {format.value}": True, **others}
    for option, value in others.items():
        if value:
            raise ParamtoolError(f"--total prints one number, so {option} has no effect")


def one_number(report: Listing, field: str) -> str:
    """Return the line of ``--total``, and note what is not in it."""
    from paramtool.operations.listing.total import total

    if report.totals.uninitialized:
        console.note(f"{counted(report.totals.uninitialized, 'tensor')} uninitialized, not in the total")
    return f"{total(report.rows, field)}\n"
