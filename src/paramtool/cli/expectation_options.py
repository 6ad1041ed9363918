"""Expectations on the command line: options become the same nodes as a spec's ``expect:``.

They are read by the same reader, so that they mean the same and its complaints are the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated

import typer

from paramtool.cli import panels
from paramtool.errors import ParamtoolError, Problems, shorten
from paramtool.language import nodes
from paramtool.language.catalog import Catalog
from paramtool.language.dtype_words import torch_word
from paramtool.language.expectations import KINDS, read_expectations
from paramtool.language.nodes import Node, Scalar
from paramtool.place import Place, Text
from paramtool.records.expectation import Expectation

Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--parameters",
        metavar="COUNT",
        help="Elements in all parameters: 124M, max=124M, or digits.",
        rich_help_panel=panels.EXPECT,
    ),
]
Trainable = Annotated[
    list[str] | None,
    typer.Option(
        "--trainable",
        metavar="COUNT",
        help="Elements that require a gradient.",
        rich_help_panel=panels.EXPECT,
    ),
]
Bytes = Annotated[
    list[str] | None,
    typer.Option(
        "--bytes",
        metavar="SIZE",
        help="Size of all parameters: 500MB, or max=476MiB.",
        rich_help_panel=panels.rare(panels.EXPECT),
    ),
]
Names = Annotated[
    list[str] | None,
    typer.Option("--names", metavar="REGEX", help="Every name matches REGEX.", rich_help_panel=panels.EXPECT),
]
Frozen = Annotated[
    list[str] | None,
    typer.Option(
        "--frozen",
        metavar="REGEX",
        help="Parameters that match REGEX require no gradient.",
        rich_help_panel=panels.rare(panels.EXPECT),
    ),
]
Dtype = Annotated[
    list[str] | None,
    typer.Option(
        "--dtype", metavar="DTYPE", help="All parameters have this dtype.", rich_help_panel=panels.EXPECT
    ),
]
Shared = Annotated[
    list[str] | None,
    typer.Option(
        "--shared",
        metavar="NAME,NAME",
        help="These are the same tensor, or overlap in memory.",
        rich_help_panel=panels.EXPECT,
    ),
]
Distinct = Annotated[
    list[str] | None,
    typer.Option(
        "--distinct",
        metavar="NAME,NAME",
        help="No two of these share memory.",
        rich_help_panel=panels.rare(panels.EXPECT),
    ),
]
Finite = Annotated[
    bool, typer.Option("--finite", help="No parameter holds NaN or infinity.", rich_help_panel=panels.EXPECT)
]
Init = Annotated[
    list[str] | None,
    typer.Option(
        "--init",
        metavar="complete",
        help="Rules fill every parameter.",
        rich_help_panel=panels.rare(panels.EXPECT),
    ),
]
Gradients = Annotated[
    list[str] | None,
    typer.Option(
        "--gradients",
        metavar="reach-all",
        help="A backward pass reaches every parameter that requires a gradient.",
        rich_help_panel=panels.rare(panels.EXPECT),
    ),
]
SameAs = Annotated[
    list[str] | None,
    typer.Option(
        "--same-as",
        metavar="MODEL",
        help="Nothing differs from this model, e.g. a snapshot.",
        rich_help_panel=panels.EXPECT,
    ),
]
ArgSameAs = Annotated[
    list[str] | None,
    typer.Option(
        "--arg-same-as",
        metavar="KEY=VALUE",
        help="An argument for the class or function in --same-as, as YAML.",
        rich_help_panel=panels.rare(panels.EXPECT),
    ),
]


def read_options(
    typed: Mapping[str, Sequence[str] | None], finite: bool, catalog: Catalog
) -> list[Expectation]:
    """Return the expectations that were typed, in the order of `KINDS`.

    Args:
        typed: the values of each option, by the name of the expectation.
        finite: whether ``--finite`` was.
        catalog: the dtypes that there are.

    Raises:
        Problems: with everything that is wrong in them.
    """
    problems: list[ParamtoolError] = []
    found: list[Expectation] = []
    for node in _nodes({**typed, "finite": ["true"] if finite else None}):
        found.extend(read_expectations(node, catalog, problems))
    if problems:
        raise Problems(problems)
    return found


def _nodes(typed: Mapping[str, Sequence[str] | None]) -> Iterator[nodes.Mapping]:
    for name in KINDS:
        for given in typed.get(name) or ():
            option = f"--{name.replace('_', '-')}"
            text = Text(option if name == "finite" else f"{option} {shorten(given)}", "", is_option=True)
            yield _mapping(text, [(name, _WRITTEN.get(KINDS[name], _word)(given, text))])


def _mapping(text: Text, entries: Sequence[tuple[str, Node]]) -> nodes.Mapping:
    return nodes.Mapping(text, 1, 1, entries=[(_word(key, text), value) for key, value in entries])


def _word(given: str, text: Text) -> Scalar:
    return Scalar(text, 1, 1, given, given)


def _dtype(given: str, text: Text) -> Scalar:
    return _word(torch_word(given), text)


def _yes(given: str, text: Text) -> Node:
    return Scalar(text, 1, 1, given, True)


def _group(given: str, text: Text) -> Node:
    group = nodes.Sequence(text, 1, 1, items=[_word(each.strip(), text) for each in given.split(",")])
    return nodes.Sequence(text, 1, 1, items=[group])


_AMOUNT = r"\d+(?:\.\d+)?\s?[A-Za-z]{0,3}"
_RANGE = re.compile(rf"({_AMOUNT})\s*(?:,|-|:|\.\.+)\s*({_AMOUNT})")
_BELOW, _ABOVE = (re.compile(rf"(?:{sign}=?|={sign})\s*({_AMOUNT})") for sign in "<>")


def _in_other_words(given: str) -> str | None:
    """Return ``min=19M,max=20M`` for ``19M,20M`` or ``19M-20M``, ``max=20M`` for ``<20M``; else None."""
    found = _RANGE.fullmatch(given)
    if found and not ("," in given and found[1][-1].isdigit() and found[2][-1].isalpha()):  # 1,5GB is 1.5
        return f"min={found[1]},max={found[2]}"
    if found := _BELOW.fullmatch(given):
        return f"max={found[1]}"
    return f"min={found[1]}" if (found := _ABOVE.fullmatch(given)) else None


def _bounds(given: str, text: Text) -> Node:
    """Read ``124M``, or ``min=100M,max=124M``."""
    meant = _in_other_words(given)
    if meant is not None:
        message = f"bounds are written with min and max, got '{shorten(given)}'"
        raise ParamtoolError(message, Place(text, 1, 1)).mended(given, meant)
    if "=" not in given:
        return _word(given, text)
    pairs = [each.partition("=") for each in given.split(",")]
    keys = [key.strip() for key, _, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise ParamtoolError(f"'{shorten(key)}' appears twice", Place(text, 1, 1))
    return _mapping(
        text, [(key, _word(value.strip(), text)) for key, (_, _, value) in zip(keys, pairs, strict=True)]
    )


_WRITTEN: dict[str, Callable[[str, Text], Node]] = {
    "quantity": _bounds,
    "size": _bounds,
    "[[name]]": _group,
    "bool": _yes,
    "dtype": _dtype,
}
"""How an option becomes a node, for kinds that are not a single word."""
