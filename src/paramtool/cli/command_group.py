"""All commands by name; only the one that is typed is imported, so that every start is quick."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from paramtool.cli import console
from paramtool.cli.command import Command
from paramtool.cli.plain_values import convert_plainly
from paramtool.cli.words import INSPECT, check_order, names_model, unknown_command

SUMMARIES = {
    "inspect": "List the named parameters of MODEL.",
    "shared": "Show which names in MODEL are one tensor, and which overlap.",
    "diff": "Show how B differs from A, and whether A loads into B.",
    "check": "Check MODEL against its expectations.",
    "init": "Initialize the parameters of MODEL with rules.",
    "convert": "Select, rename, cast, merge and shard checkpoints.",
    "grad": "Show the gradient of every parameter, and of each use of it.",
    "initializers": "List every initializer, or explain one.",
    "schema": "Print the JSON Schema of specs.",
}
"""The first line of each command's help."""


class CommandGroup(TyperGroup):
    """A group that lists its commands by their summaries, and loads the one that is to run."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, summary in SUMMARIES.items():
            self.add_command(TyperCommand(name, help=summary))

    def get_params(self, ctx: Any) -> list[Any]:
        return convert_plainly(super().get_params(ctx))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the name, the whole command, and its own arguments; a MODEL alone is inspected.

        Raises:
            ParamtoolError: for a word that is neither, with the line to type.
        """
        word = args[0]
        if word not in SUMMARIES:
            if not names_model(word):
                if ctx.resilient_parsing:  # of what a shell is to complete
                    return None, None, args
                raise unknown_command(args, SUMMARIES)
            if not ctx.resilient_parsing:
                check_order(args, SUMMARIES)
            word, args = INSPECT, [INSPECT, *args]
        elif len(args) == 1 and not ctx.resilient_parsing and Path(word).is_file():
            console.note(f"{word} is the command; the file is ./{word}")
        name, _, rest = super().resolve_command(ctx, args)
        return name, _loaded(word), rest


def load(name: str) -> Any:
    """Import a command's module and return the command."""
    function = getattr(import_module(f"paramtool.cli.commands.{name}"), name)
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name, cls=getattr(function, "command_class", Command))(function)
    return typer.main.get_command(app)


_loaded = cache(load)
"""Load a command once per process: building one takes half the time of a small command."""
