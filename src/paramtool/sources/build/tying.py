"""Tie single parameters: make a name of one the same Parameter as another's."""

from __future__ import annotations

from torch import nn

from paramtool.errors import ParamtoolError
from paramtool.place import Place
from paramtool.sources.spec.document import Tie
from paramtool.sources.spec.nodes import shorten
from paramtool.suggestion import did_you_mean


def tie(module: nn.Module, ties: tuple[Tie, ...]) -> list[ParamtoolError]:
    """Tie the parameters of `module` as `ties` say, and return what stands against it.

    Chains (a to b, b to c) end in one parameter, in whatever order they are written.
    """
    if not ties:
        return []
    problems: list[ParamtoolError] = []
    targets = {each.name.text: each for each in ties}
    for each in ties:
        try:
            _tie(module, each, _end_of_chain(each, targets))
        except ParamtoolError as error:
            problems.append(error)
    return problems


def _end_of_chain(first: Tie, targets: dict[str, Tie]) -> Tie:
    current, seen = first, {first.name.text}
    while current.target.text in targets:
        if current.target.text in seen:
            raise ParamtoolError(f"'{shorten(first.name.text)}' is tied in a circle", first.name.place)
        seen.add(current.target.text)
        current = targets[current.target.text]
    return current


def _tie(module: nn.Module, each: Tie, last: Tie) -> None:
    owner, attribute, parameter = _find(module, each.name.text, each.name.place)
    _, _, target = _find(module, last.target.text, last.target.place)
    if nn.parameter.is_lazy(parameter) or nn.parameter.is_lazy(target):
        message = "a lazy parameter has no shape to tie"
        raise ParamtoolError(message, each.name.place, "give the spec an 'input'")
    for what in ("shape", "dtype"):
        mine, other = getattr(parameter, what), getattr(target, what)
        if mine != other:
            if what == "shape":
                mine, other = list(mine), list(other)
            message = f"cannot tie '{each.name.text}' {mine} to '{last.target.text}' {other}: another {what}"
            raise ParamtoolError(message, each.name.place)
    setattr(owner, attribute, target)  # as an RNN sees it, which keeps a list of its weights


def _find(module: nn.Module, name: str, place: Place) -> tuple[nn.Module, str, nn.Parameter]:
    path, _, attribute = name.rpartition(".")
    try:
        owner = module.get_submodule(path)
    except AttributeError:
        owner = nn.Module()
    parameter = owner._parameters.get(attribute)
    if parameter is None:
        known = [each for each, _ in module.named_parameters(remove_duplicate=False)]
        raise ParamtoolError(f"no parameter '{shorten(name)}' to tie", place, did_you_mean(name, known))
    return owner, attribute, parameter
