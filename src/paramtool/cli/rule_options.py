"""The rules of `init` on the command line: options whose order counts.

``--pattern weight --normal 0.01 --pattern bias --constant 0`` is two rules: each initializer closes
the selector before it.  What is typed becomes the nodes that a spec's ``init:`` has, and is read by
the same reader.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import wraps
from itertools import takewhile
from os.path import lexists
from typing import Annotated, Any

import typer

from paramtool.cli import completion, panels
from paramtool.cli.command import Command
from paramtool.cli.panels import Panel
from paramtool.errors import ParamtoolError, Problems, shorten
from paramtool.initializers.registry.table import BUILT_IN, TABLE, Option
from paramtool.language.catalog import Catalog
from paramtool.language.nodes import Mapping, Node, Scalar
from paramtool.language.nodes import Sequence as List
from paramtool.language.option_values import read_pairs, read_value, read_word
from paramtool.language.rules import SELECTOR, read_rule
from paramtool.place import Place, Text
from paramtool.records.rule import Rule

RULES = "paramtool.rules"
"""Where the context keeps what was typed."""

_NUMBERS = re.compile(r"[-+]?(\d|\.\d|\.inf|\.nan)[-+\d.,_eExinfa ]*")
_SELECTORS = {
    "--pattern": "pattern", "-p": "pattern", "--exclude": "exclude", "--type": "type", "-t": "type",
    "--ndim": "ndim", "--name": "name", "--module": "module", "-m": "module",
}  # fmt: skip
_WITH = "--with"
_RARE = ("--eye", "--dirac", "--sparse", "--add", "--mul", "--clamp", "--put")
"""Initializers that ``--help`` only names."""

_INITIALIZERS = {each.flag: each.option for each in TABLE if each.option}
_KEYS = {**_SELECTORS, _WITH: _WITH, **{each.flag: each.name for each in TABLE if each.option}}
"""What each option stands for in a rule."""

GAINS = {
    "linear": "1", "sigmoid": "1", "tanh": repr(5 / 3), "relu": repr(2**0.5), "selu": "0.75",
    "leaky_relu": repr((2 / (1 + 0.01**2)) ** 0.5),
}  # fmt: skip
"""What ``torch.nn.init.calculate_gain`` returns for each nonlinearity."""


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


@dataclass(frozen=True)
class Typed:
    """One option of a rule as it was typed."""

    key: str
    value: str | None
    written: str


def split(arguments: Sequence[str]) -> tuple[list[Typed], list[str]]:
    """Return the options of rules, in order, and all other arguments.

    Raises:
        ParamtoolError: for an option without its value.
    """
    typed: list[Typed] = []
    rest: list[str] = []
    queue = list(arguments)
    while queue:
        word = queue.pop(0)
        if word == "--":
            return typed, [*rest, word, *queue]
        option, equals, value = _parts(word)
        if option not in _KEYS:
            rest.append(word)
            continue
        known = _INITIALIZERS.get(option)
        given: str | None = value if equals else None
        if given is None and _takes_next(known, queue):
            given = queue.pop(0)
        if known is not None and known.optional:
            _refuse_words(option, queue if given is None else [given], word if equals else option)
        may_lack = known is not None and (known.optional or not known.metavar)
        if (given is None and not may_lack) or (given == "" and option not in _SELECTORS):
            raise ParamtoolError(f"{option} needs a value", hint="see 'paramtool init --help'")
        if known is not None and given is not None and given.count(",") < known.metavar.count(","):
            # torch's uniform_(tensor, 0.1) is U(0.1, 1), which nobody means
            raise ParamtoolError(f"{option} takes {known.metavar}, got '{shorten(given)}'")
        typed.append(Typed(_KEYS[option], given, f"{option} {given}" if given is not None else option))
    return typed, rest


def _parts(word: str) -> tuple[str, str, str]:
    """Return an option, what parts it from its value, and the value: --normal=1, -p=weight and -pweight."""
    short, attached = word[:2], word[2:]
    if short in _SELECTORS and attached and not attached.startswith("="):
        return short, " ", attached
    return word.partition("=")


def _takes_next(known: Option | None, queue: list[str]) -> bool:
    if not queue:
        return False
    if known is None:
        return True
    if not known.metavar:
        return False
    return not known.optional or _NUMBERS.fullmatch(queue[0]) is not None


def _refuse_words(option: str, queue: list[str], written: str) -> None:
    """Refuse ``--kaiming-normal relu``, whose option takes a number, with the line that says the same.

    Raises:
        ParamtoolError: if a word that an argument takes, or a nonlinearity, follows.
    """
    initializer = _KEYS[option]
    words = list(takewhile(lambda word: not (word.startswith("-") or lexists(word)), queue))
    found = {word: key for word in words for key in [_argument_of(initializer, word)] if key is not None}
    if not found:
        return
    typed = (option, *takewhile(found.__contains__, words)) if written == option else (written,)
    error = ParamtoolError(f"{option} takes a number, got '{shorten(next(iter(found)))}'")
    if "gain" in found.values():
        meant: tuple[str, ...] = (option, GAINS[next(iter(found))])
    else:
        meant = (_WITH, f"{initializer}:{','.join(f'{key}={word}' for word, key in found.items())}")
    raise error.mended(typed, meant)


def _argument_of(initializer: str, word: str) -> str | None:
    """Return the argument that takes a word as its value; ``gain`` for a nonlinearity that has one."""
    for each in BUILT_IN[initializer].arguments:
        key, _, kinds = each.partition(":")
        if f"'{word}'" in kinds.partition("=")[0]:
            return key
        if key == "gain" and word in GAINS:
            return key
    return None


def read_rules(typed: Sequence[Typed], catalog: Catalog) -> list[Rule]:
    """Return the rules that were typed.

    Raises:
        ParamtoolError: for a selector without an initializer, or an initializer without a selector.
        Problems: with everything that is wrong in a rule.
    """
    rules: list[Rule] = []
    problems: list[ParamtoolError] = []
    pending: list[Typed] = []
    for each in typed:
        pending.append(each)
        if each.key in SELECTOR_KEYS:
            continue
        if len(pending) == 1:  # likely the wrong way round, as in --normal 0.01 --pattern weight
            message = f"{each.written} has no selector before it"
            raise ParamtoolError(message, hint=f"--pattern . {each.written} fills every parameter")
        node = _node(pending)
        rule = read_rule(node, catalog, problems)
        if rule is not None:
            rules.append(rule)
        pending = []
    if pending:
        message = f"{pending[-1].written} selects parameters, but no initializer follows it"
        raise ParamtoolError(message, hint="e.g. --pattern weight --normal 0.01")
    if problems:
        raise Problems(problems)
    return rules


SELECTOR_KEYS = frozenset(each.name for each in SELECTOR.arguments)


def _node(typed: Sequence[Typed]) -> Mapping:
    """Write one rule as the mapping that a spec has for it."""
    text = Text(" ".join(shorten(each.written, 100) for each in typed), "", is_option=True)
    rule = Mapping(text, 1, 1)
    for each in typed:
        name, node = _entry(each, rule.place)
        if any(key.raw == name for key, _ in rule.entries):
            raise ParamtoolError(
                f"{each.written} appears twice in one rule", hint="a rule ends with its initializer"
            )
        rule.entries.append((Scalar(text, 1, 1, name, name), node))
    return rule


def _entry(each: Typed, place: Place) -> tuple[str, Node]:
    """Return the key and the value that an option stands for in a rule."""
    value = each.value or ""
    if each.key == _WITH:
        name, _, given = value.partition(":")
        return name, _mapping(read_pairs(given, place) if given else (), place)
    if each.key in SELECTOR_KEYS and each.key != "ndim":
        return each.key, Scalar(place.text, 1, 1, value, value)
    if each.key == "put":
        index, equals, given = value.rpartition("=")
        if not equals:
            raise ParamtoolError(f"--put takes {_INITIALIZERS['--put'].metavar}, got '{shorten(value)}'")
        pairs = (("index", _values(index, place)), ("value", read_word(given.strip(), place)))
        return each.key, _mapping(pairs, place)
    return each.key, _values(value, place) if each.value is not None else read_value("", place)


def _mapping(pairs: Iterable[tuple[str, Node]], place: Place) -> Mapping:
    """Write arguments as the mapping that a spec has for them."""
    arguments = Mapping(place.text, 1, 1)
    for key, node in pairs:
        if arguments.get(key) is not None:
            raise ParamtoolError(f"'{key}' appears twice", place)
        arguments.entries.append((Scalar(place.text, 1, 1, key, key), node))
    return arguments


def _values(given: str, place: Place) -> Node:
    """Read a value, or values with commas between them, in brackets or without."""
    if given.startswith("["):
        return read_value(given, place)
    parts = [read_word(part.strip(), place) for part in given.split(",")]
    return parts[0] if len(parts) == 1 else List(place.text, 1, 1, parts)
