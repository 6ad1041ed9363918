"""A command, and the help that it prints."""

from __future__ import annotations

from copy import copy
from typing import Any

from typer.core import TyperCommand

from paramtool.cli import console
from paramtool.cli.annotated_errors import annotated_errors
from paramtool.cli.panels import OTHER, rare
from paramtool.cli.plain_values import convert_plainly
from paramtool.cli.progress import progress_bar
from paramtool.foreign_code import foreign_frames
from paramtool.progress import shown_by

HELP_ALL = "--help-all"


class Command(TyperCommand):
    """A command whose help has its options in groups, and names rare ones without explaining them."""

    _help_all: Any = None

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the arguments and options, ``--help`` and ``--help-all`` among them."""
        *own, help = list[Any](super().get_params(ctx))
        if self._help_all is None:  # one and the same each time, as Typer compares them
            help.rich_help_panel = rare(OTHER)
            self._help_all = copy(help)
            self._help_all.name, self._help_all.opts = "help_all", [HELP_ALL]
            self._help_all.callback = self._show_all
            self._help_all.help = "Explain every option and exit."
        return convert_plainly([*own, help, self._help_all])

    def invoke(self, ctx: Any) -> Any:
        """Run it; code of the model's may end nothing early, and print only to stderr."""
        with (
            annotated_errors(self.name, ctx.params),
            console.only_results(),
            shown_by(progress_bar),
            foreign_frames(),
        ):
            return super().invoke(ctx)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page that fits a screen."""
        self._write_help(ctx, formatter, every=False)

    def _show_all(self, ctx: Any, _option: Any, wanted: bool) -> None:
        if wanted and not ctx.resilient_parsing:
            formatter = ctx.make_formatter()
            self._write_help(ctx, formatter, every=True)
            console.write([formatter.getvalue()])
            ctx.exit()

    def _write_help(self, ctx: Any, formatter: Any, *, every: bool) -> None:
        from paramtool.cli.help_page import Page, help_lines, in_ascii

        self.format_usage(ctx, formatter)
        screen = console.screen()
        page = Page(formatter.width, every, screen.color)
        text = "".join(f"{line}\n" for line in help_lines(self, ctx, page))
        formatter.write(text if screen.unicode else in_ascii(text))
