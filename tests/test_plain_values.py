"""Values converted without pydantic are those that Typer converts, and so are the complaints."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.core import TyperGroup

from paramtool.cli.command_group import SUMMARIES, load
from paramtool.cli.plain_values import _in_plain_words, convert_plainly

WORDS = st.one_of(
    st.text(max_size=6),
    st.text("0123456789+-_. \t٣", max_size=20),
    st.integers(-5, 2**65).map(str),
    st.sampled_from(["table", "json", "any", "aliased", "streams", "Table", "true", "no", "1e3", "nan"]),
)
TYPED = st.one_of(
    st.none(), WORDS, st.lists(WORDS, max_size=3).map(tuple), st.integers(-2, 2**64), st.booleans()
)


@cache
def parameters() -> list[tuple[Any, Any]]:
    """Return every parameter of every command, as it is with Typer's own conversion and with ours."""
    found: dict[object, tuple[Any, Any]] = {}
    for name in SUMMARIES:
        theirs, ours = load(name).params, convert_plainly(load(name).params)
        for one, other in zip(theirs, ours, strict=True):
            info = one.type_descriptor.parameter_info
            key = (str(one.type_descriptor.annotation), one.multiple, one.nargs, info.min, info.max)
            found.setdefault(key, (one, other))
    return list(found.values())


def outcome(parameter: Any, value: object) -> object:
    """Return what a parameter makes of a value, with its type, or the complaint in plain words."""
    context = typer.Context(TyperGroup(name="paramtool"))
    try:
        made = parameter.get_runtime_param().coerce(value, param=parameter, ctx=context)
    except typer.BadParameter as error:
        error.message = _in_plain_words(error.message, value) or error.message
        return error.format_message()
    return type(made), repr(made)


@settings(deadline=None)
@given(TYPED)
def test_values_are_those_of_typer(value: object) -> None:
    """Whatever is typed, for each kind of parameter that there is."""
    for theirs, ours in parameters():
        assert outcome(ours, value) == outcome(theirs, value)


def test_all_parameters_are_plain() -> None:
    """No command has an option whose default alone would load pydantic."""
    assert [ours.name for _, ours in parameters() if "get_runtime_param" not in vars(ours)] == []


class Later:
    """A parameter of a Typer whose internals are others."""

    name = "model"


@pytest.mark.parametrize("parameter", [Later(), typer.Argument(), object()])
def test_another_typer_is_left_alone(parameter: object) -> None:
    """What has no such method keeps its own way."""
    assert convert_plainly([parameter]) == [parameter]
