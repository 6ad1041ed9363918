"""Freeze parameters: switch off ``requires_grad`` by the patterns of a spec."""

from __future__ import annotations

from torch import nn

from paramtool.errors import ParamtoolError, shorten
from paramtool.language.document import Written
from paramtool.patterns import compile_pattern, matching


def freeze(module: nn.Module, patterns: tuple[Written, ...]) -> list[ParamtoolError]:
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
