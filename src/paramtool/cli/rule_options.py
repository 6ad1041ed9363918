"""The options of rules: shown in the help of a command, and taken out of its arguments in the order typed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

from paramtool.cli import completion, panels
from paramtool.cli.command import Command
from paramtool.cli.panels import Panel
from paramtool.cli.typed_rules import RULES, split
from paramtool.errors import ParamtoolError
from paramtool.initializers.registry.table import TABLE, Option

_RARE = ("--eye", "--dirac", "--sparse", "--add", "--mul", "--clamp", "--put")
"""Initializers that ``--help`` only names."""


def with_rule_options(function: Callable[..., None], *, are_rare: bool = False) -> Callable[..., None]:
    """Show the options of rules in the help and completion of a command; `RuleCommand` reads them.

    Args:
        function: the command.
        are_rare: whether ``--help`` only names them.
    """

    @wraps(function)
    def command(**given: Any) -> None:
        function(**{name: value for name, value in given.items() if name in own})

    # Before Python 3.11 get_type_hints() wraps what has the default None in Optional, which hides the option.
    own = inspect.signature(function, eval_str=True).parameters
    select = panels.rare(panels.INITIALIZERS) if are_rare else panels.SELECT
    shown = {
        "pattern": _shown(
            "-p", "--pattern", metavar="REGEX", help="Select names that match REGEX.", panel=select
        ),
        "name": _shown(
            "--name",
            metavar="NAME",
            help="Select the parameter with exactly this name.",
            panel=panels.rare(select),
        ),
        "module": _shown("-m", "--module", metavar="PATH", help="Select what is in a module.", panel=select),
        "exclude": _shown(
            "--exclude", metavar="REGEX", help="Leave out names that match REGEX.", panel=select
        ),
        "type": _shown(
            "-t",
            "--type",
            metavar="CLASS",
            help="Select what modules of CLASS or a subclass own.",
            panel=select,
            offered=completion.class_names,
        ),
        "ndim": _shown("--ndim", metavar="N", help="Select tensors with N dimensions.", panel=select),
        **{each.name: _initializer_shown(each.flag, each.option, are_rare) for each in TABLE if each.option},
        "with_": _shown(
            "--with",
            metavar="NAME:KEY=VALUE,…",
            help="Any initializer, plugins too, with any arguments.",
            panel=panels.rare(panels.INITIALIZERS) if are_rare else panels.INITIALIZERS,
            offered=completion.initializer_names,
        ),
    }
    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=None)
        for name, kind in shown.items()
    ]
    signature = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own.values()]
    command.__signature__ = inspect.Signature([*parameters, *signature])  # type: ignore[attr-defined]
    command.__annotations__ = {**{name: each.annotation for name, each in own.items()}, **shown}
    command.command_class = RuleCommand  # type: ignore[attr-defined]
    return command


def _shown(
    *names: str,
    metavar: str,
    help: str,
    panel: Panel,
    offered: Callable[[str], list[str]] | None = None,
) -> Any:
    option = typer.Option(*names, metavar=metavar, help=help, autocompletion=offered, rich_help_panel=panel)
    return Annotated[str | None, option]


def _initializer_shown(flag: str, option: Option, is_rare: bool) -> Any:
    is_rare = is_rare or flag in _RARE
    panel = panels.rare(panels.INITIALIZERS) if is_rare else panels.INITIALIZERS
    if option.metavar:
        return _shown(flag, metavar=option.metavar, help=option.help, panel=panel)
    return Annotated[bool, typer.Option(flag, help=option.help, rich_help_panel=panel)]


class RuleCommand(Command):
    """A command that takes the options of rules out of its arguments, in the order typed."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if ctx.resilient_parsing:  # of what a shell is to complete, which lacks its end
            return super().parse_args(ctx, args)
        typed, rest = split(args)
        ctx.meta[RULES] = typed
        left = super().parse_args(ctx, rest)
        for option, key in (("-p", "pattern"), ("-t", "type"), ("-m", "module")):
            if ctx.params[key] is not None:  # where no rule would see it
                raise ParamtoolError(f"{option} is in the same word as another option; write it separately")
        return left
