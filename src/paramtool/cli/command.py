"""A command, and the help that it prints."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

from paramtool.cli import console
from paramtool.cli.annotated_errors import annotated_errors
from paramtool.cli.plain_values import convert_plainly
from paramtool.foreign_code import foreign_frames
from paramtool.language.limits import MAX_INTEGER

_ANY_INTEGER = f"  [0<=x<={MAX_INTEGER}]"


class Command(TyperCommand):
    """A command whose help calls an argument by its name alone: no type, no braces, no range of 19 digits."""

    def get_params(self, ctx: Any) -> list[Any]:
        return convert_plainly(super().get_params(ctx))

    def invoke(self, ctx: Any) -> Any:
        """Run it; code of the model's may end nothing early, and print only to stderr."""
        with annotated_errors(self.name, ctx.params), console.only_results(), foreign_frames():
            return super().invoke(ctx)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options."""
        for title, kind in (("Arguments", "argument"), ("Options", "option")):
            rows = [_row(each, ctx) for each in self.get_params(ctx) if each.param_type_name == kind]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _row(parameter: Any, context: Any) -> tuple[str, str]:
    name, help = parameter.get_help_record(context)
    if parameter.param_type_name == "argument":
        return parameter.metavar, parameter.help
    return name, help.replace(_ANY_INTEGER, "")
