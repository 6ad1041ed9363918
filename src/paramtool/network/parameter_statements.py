"""What a spec says of single parameters: which are tied, and which are frozen."""

from __future__ import annotations

from torch import nn

from paramtool.errors import ParamtoolError, shorten
from paramtool.language.document import Tie, Word
from paramtool.name_parts import is_below, last_part, parent
from paramtool.patterns import compile_pattern, matching
from paramtool.suggestion import suggest


def tie(module: nn.Module, ties: tuple[Tie, ...]) -> list[ParamtoolError]:
    """Tie the parameters of `module` as `ties` say, and return what stands against it.

    Chains (a to b, b to c) end in one parameter, in whatever order they are written.
    """
    if not ties:
        return []
    problems: list[ParamtoolError] = []
    ends = _ends_of_chains(ties)
    names = [name for name, _ in module.named_parameters(remove_duplicate=False)]
    for each in ties:
        end = ends[each.name.text]
        try:
            if end is None:
                message = f"'{shorten(each.name.text)}' is tied in a circle"
                raise ParamtoolError(message, each.name.place)
            _tie(module, each, end, names)
        except ParamtoolError as error:
            problems.append(error)
    return problems


def _ends_of_chains(ties: tuple[Tie, ...]) -> dict[str, Tie | None]:
    """Return the last tie in the chain that starts at each name; None if the chain is a circle."""
    targets = {each.name.text: each for each in ties}
    ends: dict[str, Tie | None] = {}
    for each in ties:
        current, chain = each, [each.name.text]
        seen = set(chain)
        while current.target.text in targets and current.target.text not in ends:
            if current.target.text in seen:
                break
            current = targets[current.target.text]
            chain.append(current.name.text)
            seen.add(current.name.text)
        is_circle = current.target.text in seen
        end = None if is_circle else ends.get(current.target.text, current)
        ends.update(dict.fromkeys(chain, end))
    return ends


def _tie(module: nn.Module, each: Tie, last: Tie, names: list[str]) -> None:
    owner, attribute, parameter = _find(module, each.name, names)
    _, _, target = _find(module, last.target, names)
    if nn.parameter.is_lazy(parameter) or nn.parameter.is_lazy(target):
        message = "a lazy parameter has no shape to tie"
        raise ParamtoolError(message, each.name.place, "give the spec an 'input'")
    for what in ("shape", "dtype"):
        mine, other = getattr(parameter, what), getattr(target, what)
        if mine != other:
            if what == "shape":
                mine, other = list(mine), list(other)
            message = (
                f"cannot tie '{each.name.text}' {mine} to '{last.target.text}' {other}: different {what}s"
            )
            raise ParamtoolError(message, each.name.place)
    setattr(owner, attribute, target)  # as an RNN sees it, which keeps a list of its weights


def _find(module: nn.Module, name: Word, names: list[str]) -> tuple[nn.Module, str, nn.Parameter]:
    attribute = last_part(name.text)
    try:
        owner = module.get_submodule(parent(name.text))
    except AttributeError:
        owner = nn.Module()
    parameter = owner._parameters.get(attribute)
    if parameter is None:
        inside = next((each for each in names if name.text and is_below(each, name.text)), None)
        hint = f"did you mean '{inside}'?" if inside else suggest(name.text, names)
        raise ParamtoolError(f"no parameter '{shorten(name.text)}' to tie", name.place, hint)
    return owner, attribute, parameter


def freeze(module: nn.Module, patterns: tuple[Word, ...]) -> list[ParamtoolError]:
    """Freeze every parameter that has a name with one of the patterns in it.

    A tied parameter is matched by any of its names.  Returns an error for a pattern that finds none.
    """
    if not patterns:
        return []
    parameters = dict(module.named_parameters(remove_duplicate=False))
    problems = []
    for pattern in patterns:
        try:
            found = matching([compile_pattern(pattern.text)], parameters)
        except ParamtoolError as error:
            problems.append(ParamtoolError(error.message, pattern.place, error.hint))
            break  # one pattern that runs away is enough
        if not found:
            message = f"'{shorten(pattern.text)}' matches no parameter to freeze"
            problems.append(ParamtoolError(message, pattern.place))
        for name in found:
            parameters[name].requires_grad = False  # requires_grad_() is refused by lazy ones
    return problems
