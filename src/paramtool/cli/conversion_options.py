"""The rules of `convert` on the command line: options whose order counts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Annotated, Any

import typer

from paramtool.cli import completion, panels
from paramtool.cli.command import Command
from paramtool.cli.panels import Panel
from paramtool.errors import ParamtoolError, shorten

RULES = "paramtool.conversion_rules"
"""Where the context keeps what was typed."""

_SHORT = {"-p": "--pattern", "-m": "--module"}


def _one(
    *names: str,
    metavar: str,
    help: str,
    panel: Panel = panels.RESHAPE,
    offered: Callable[..., list[str]] | None = None,
) -> Any:
    option = typer.Option(*names, metavar=metavar, help=help, rich_help_panel=panel, autocompletion=offered)
    return Annotated[list[str] | None, option]


_selector = partial(_one, panel=panels.SELECT)
_rare_selector = partial(_one, panel=panels.rare(panels.SELECT))

_SHOWN: dict[str, Any] = {
    "pattern": _selector("-p", "--pattern", metavar="REGEX", help="Keep names that match REGEX."),
    "exclude": _selector("--exclude", metavar="REGEX", help="Leave out names that match REGEX."),
    "name": _rare_selector("--name", metavar="NAME", help="Keep the tensor of exactly this name."),
    "module": _one(
        "-m",
        "--module",
        metavar="PATH",
        help="Keep what is in a module.",
        panel=panels.rare(panels.SELECT),
        offered=completion.submodules,
    ),
    "rename": _one(
        "--rename",
        metavar="REGEX NEW",
        help="Replace what REGEX matches in names by NEW.",
    ),
    "rename_from": _one(
        "--rename-from",
        metavar="A B",
        help="Rename as diff finds it: from the names of A to those of B.",
        panel=panels.rare(panels.RESHAPE),
    ),
    "strip_prefix": _one("--strip-prefix", metavar="PREFIX", help="Take PREFIX off the names, e.g. module."),
    "dtype": _one(
        "--dtype",
        metavar="[REGEX=]DTYPE",
        help="Cast floating-point tensors, or what REGEX matches.",
        offered=completion.dtypes,
    ),
    "tie": _one(
        "--tie", metavar="A B", help="Store two equal tensors as one.", panel=panels.rare(panels.RESHAPE)
    ),
    "untie": Annotated[
        bool,
        typer.Option(
            "--untie",
            help="Store every name of a tied tensor by itself.",
            rich_help_panel=panels.rare(panels.RESHAPE),
        ),
    ],
}
"""Every option of a rule, as help and completion show it."""

_COUNTS = {"rename": 2, "rename_from": 2, "tie": 2, "untie": 0}


def with_rules(function: Callable[..., None]) -> Callable[..., None]:
    """Show the options of rules in the help and completion of a command; `ConversionCommand` reads them."""

    @wraps(function)
    def command(**given: Any) -> None:
        function(**{name: value for name, value in given.items() if name in own})

    # Before Python 3.11 get_type_hints() wraps what has the default None in Optional, which hides the option.
    own = inspect.signature(function, eval_str=True).parameters
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter(name, keyword, annotation=kind, default=None) for name, kind in _SHOWN.items()
    ]
    signature = [each.replace(kind=keyword) for each in own.values()]
    first = [each for each in signature if each.name in ("context", "sources")]
    rest = [each for each in signature if each not in first]
    command.__signature__ = inspect.Signature([*first, *parameters, *rest])  # type: ignore[attr-defined]
    command.__annotations__ = {**{name: each.annotation for name, each in own.items()}, **_SHOWN}
    command.command_class = ConversionCommand  # type: ignore[attr-defined]
    return command


class ConversionCommand(Command):
    """A command that takes the options of rules out of its arguments, in the order typed."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if ctx.resilient_parsing:  # of what a shell is to complete, which lacks its end
            return super().parse_args(ctx, args)
        typed, rest = split(args)
        ctx.meta[RULES] = typed
        left = super().parse_args(ctx, rest)
        for option, key in (("-p", "pattern"), ("-m", "module")):
            if ctx.params[key]:  # where no rule would see it
                raise ParamtoolError(f"{option} is in the same word as another option; write it separately")
        return left


def split(arguments: Sequence[str]) -> tuple[list[tuple[str, ...]], list[str]]:
    """Return the rules, in order, and all other arguments.

    Raises:
        ParamtoolError: for an option without its words.
    """
    typed: list[tuple[str, ...]] = []
    rest: list[str] = []
    queue = list(arguments)
    while queue:
        word = queue.pop(0)
        if word == "--":
            return typed, [*rest, word, *queue]
        option, given = _parts(word)
        key = option.removeprefix("--").replace("-", "_")
        if not option.startswith("--") or key not in _SHOWN:
            rest.append(word)
            continue
        count = _COUNTS.get(key, 1) - len(given)
        if count + len(given) == 2:
            _check_pair(word, given, queue)
        if count < 0 or len(queue) < count:
            needs = _NEEDS.get(_COUNTS.get(key, 1), "a value")
            raise ParamtoolError(f"{option} needs {needs}", hint="see 'paramtool convert --help'")
        typed.append((option.removeprefix("--"), *given, *queue[:count]))
        del queue[:count]
    return typed, rest


def _check_pair(word: str, given: Sequence[str], queue: Sequence[str]) -> None:
    """Refuse ``--rename OLD=NEW``, a pair that was typed as one word.

    Raises:
        ParamtoolError: with the line to type.
    """
    pair = given[0] if given else next(iter(queue), "")
    behind = queue[0 if given else 1 :]
    old, _, new = pair.partition("=")
    if old and new and (not behind or behind[0].startswith("-")):
        option = word.partition("=")[0]
        error = ParamtoolError(f"{option} needs two values, got '{shorten(pair)}'")
        raise error.mended((word,) if given else (word, pair), (option, old, new))


_NEEDS = {0: "no value", 1: "a value", 2: "two values"}


def _parts(word: str) -> tuple[str, list[str]]:
    """Return an option by its long name, and the value that is in the same word, as --name=a and -pa."""
    short, attached = word[:2], word[2:]
    if short in _SHORT:
        return _SHORT[short], [attached.removeprefix("=")] if attached else []
    option, equals, value = word.partition("=")
    return option, [value] if equals else []
