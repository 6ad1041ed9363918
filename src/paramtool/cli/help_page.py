"""The page that ``--help`` prints: usage, MODEL, options in groups, examples, and where there is more.

Plain lines: the borders of rich's panels take two lines for each group, and rich a fifth of the time.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from paramtool.cli.examples import EXAMPLES
from paramtool.cli.panels import ORDER, panel_of
from paramtool.language.limits import MAX_INTEGER
from paramtool.render.tones import BOLD, coded

DOCS = "docs/commands/{command}.md"
"""Where the documentation of a command is."""

_WIDEST_NAMES = 26
"""Columns for the options, beside what they do."""

_OBVIOUS = (f"  [0<=x<={MAX_INTEGER}]", "  [x>=1]", "  [x>=0]")
"""Ranges that nobody asks about."""


@dataclass(frozen=True)
class Page:
    """How a page is written.

    Attributes:
        width: columns.
        every: whether rare options are explained too, and there is an empty line between groups.
        color: whether titles are bold.
    """

    width: int
    every: bool
    color: bool


def help_lines(command: Any, context: Any, page: Page) -> Iterator[str]:
    """Yield the lines below the usage."""
    parameters = command.get_params(context)
    summary, *more = [part.replace("\n", " ") for part in (command.help or "").split("\n\n")]
    for text in (summary, *(more if page.every or not _is_short(command) else ())):
        yield from ("", *_filled(text, page.width, "  "))
    arguments = [each for each in parameters if each.param_type_name == "argument"]
    if arguments:
        if page.every or not _is_short(command):
            yield ""
        yield from _entries([(each.metavar.strip("{}"), each.help) for each in arguments], page.width, 0)
    options = [each for each in parameters if each.param_type_name == "option" and not each.hidden]
    shown = [each for each in options if page.every or not panel_of(each).is_rare]
    records = {each.name: _record(each, context) for each in shown}
    if not (page.every or _is_short(command)):
        yield ""
    column = max((len(name) for name, _ in records.values() if len(name) <= _WIDEST_NAMES), default=0)
    is_titled = False
    for title in ORDER:
        group = [records[each.name] for each in shown if panel_of(each) == title]
        if len(group) > 1 or (group and (page.every or not is_titled)):
            yield from _titled(title, page)
            is_titled = True
        yield from _entries(group, page.width, column)
    yield from _end(command.name, [each for each in options if each not in shown], page)


def in_ascii(text: str) -> str:
    """Return a page as a terminal shows it that has no more than ASCII."""
    for sign, written in {"…": "...", "²": "^2", "Σ": "sum of ", "·": "*"}.items():
        text = text.replace(sign, written)
    return text


def _is_short(command: Any) -> bool:
    return len(command.params) < 40


def _end(command: str, rare: Sequence[Any], page: Page) -> Iterator[str]:
    """Yield the examples, the names of the options that are not explained, and where they are."""
    examples = EXAMPLES.get(command, ())
    if examples:
        title = "Examples:"
        if page.every:
            yield ""
        yield f"{_bold(title, page)} {examples[0]}"
        yield from (f"{'':<{len(title)}} {each}" for each in examples[1:])
    names = " ".join(_long_name(each) for each in rare if not each.is_eager)
    if names:
        yield from _filled(f"Also: {names}", page.width, "", " " * 6)
    hint = "" if page.every else "--help-all explains every option; "
    yield from ("",) if page.every else ()
    yield f"{hint}more in {DOCS.format(command=command)}"


def _long_name(option: Any) -> str:
    return str(next(name for name in option.opts if name.startswith("--")))


def _titled(title: str, page: Page) -> Iterator[str]:
    if page.every:
        yield ""
    yield _bold(f"{title}:", page)


def _bold(text: str, page: Page) -> str:
    return coded(text, BOLD) if page.color else text


def _record(option: Any, context: Any) -> tuple[str, str]:
    name, help = option.get_help_record(context)
    for each in _OBVIOUS:
        help = help.replace(each, "")
    return name, help


def _entries(entries: Sequence[tuple[str, str]], width: int, column: int) -> Iterator[str]:
    """Yield each name, and beside it what it is about; below it where the name is too long."""
    column = column or max((len(name) for name, _ in entries), default=0)
    for name, text in entries:
        first, *rest = _filled(text, width - column - 4, "") or [""]
        if len(name) > column:
            yield f"  {name}"
            rest = [first, *rest]
        else:
            yield f"  {name:<{column}}  {first}".rstrip()
        yield from (f"  {'':<{column}}  {line}" for line in rest)


def _filled(text: str, width: int, indent: str, later: str | None = None) -> list[str]:
    return textwrap.wrap(
        text,
        max(width, 20),
        initial_indent=indent,
        subsequent_indent=indent if later is None else later,
        break_long_words=False,
        break_on_hyphens=False,
    )
