"""Plan an initialization: which rule fills which tensor, and everything that is wrong with it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from paramtool.errors import NothingMatched, ParamtoolError, Problems, first_line, shorten
from paramtool.initializers.functions.laws import Law
from paramtool.initializers.registry import offers
from paramtool.operations.initialization.shared_memory import is_shared, with_neighbours
from paramtool.operations.initialization.steps import Step, offer
from paramtool.operations.initialization.targets import Target, targets_of
from paramtool.operations.listing.selection import is_inside, more_matched, unknown_module, unknown_name
from paramtool.patterns import also_matched, compile_pattern, matching
from paramtool.records.rule import Rule
from paramtool.suggestion import did_you_mean
from paramtool.tensors.named_tensors import dtype_name, named_tensors
from paramtool.tensors.scratch import drawn_in

_COMPLEX = ("eye", "dirac", "copy")
"""The functions of whole tensors that fill complex ones: others would leave the imaginary part 0."""


def plan(module: nn.Module, rules: Sequence[Rule]) -> list[Target]:
    """Return every parameter of `module` with the steps that `rules` make, top to bottom.

    Raises:
        NothingMatched: if a rule matches no parameter.
        Problems: with every unknown initializer, bad argument, and shape that cannot be filled.
    """
    targets = targets_of(module)
    steps: dict[int, list[Step]] = {id(target.tensor): [] for target in targets}
    problems: list[ParamtoolError] = []
    for position, rule in enumerate(rules):
        matched = _matched(rule, targets)
        if not matched:
            raise _nothing(rule, targets)
        try:
            function = find_initializer(rule.initializer)
        except ParamtoolError as error:
            problems.append(ParamtoolError(error.message, rule.place, error.hint))
            continue
        for target in matched:
            try:
                step = _step(rule, function, target)
                steps[id(target.tensor)].append(replace(step, position=position))
            except ParamtoolError as error:
                problems.append(error)
                break  # one tensor shows what is wrong with the rule
    if problems:
        raise Problems(problems)
    planned = [replace(target, steps=tuple(steps[id(target.tensor)])) for target in targets]
    planned = with_neighbours(module, planned)
    by_name = {target.name: target for target in planned}
    return [target if is_shared(target, by_name) else _without_overwritten(target) for target in planned]


def find_initializer(name: str) -> Callable[..., Any]:
    """Return the initializer that an installed distribution, or this tool, offers as `name`.

    Raises:
        ParamtoolError: if nobody does, it cannot be imported, or its attribute ``replaces`` is not a bool.
    """
    entry = offers.find(name)
    if entry is None:
        raise ParamtoolError(f"unknown initializer '{name}'", hint=did_you_mean(name, offers.names()))
    found = entry.load()
    if not callable(found):
        raise ParamtoolError(f"the initializer '{name}' of {entry.owner} is not callable")
    replaces = getattr(found, "replaces", True)
    if not isinstance(replaces, bool):
        owner = f"the initializer '{name}' of {entry.owner}"
        message = f"the attribute 'replaces' of {owner} must be bool, got {shorten(repr(replaces))}"
        raise ParamtoolError(
            message, hint="@paramtool.initializer(replaces=False) means that it changes the present values"
        )
    return found


def _matched(rule: Rule, targets: Sequence[Target]) -> list[Target]:
    """Return the targets that a rule selects; a tied one by any of its names."""
    names = [name for target in targets for name in target.names]
    wanted, refused = set(names), set()
    if rule.pattern is not None:
        wanted = matching([compile_pattern(rule.pattern, rule.place)], names)
    if rule.name is not None:
        wanted &= {rule.name}
    if rule.module is not None:
        wanted = {name for name in wanted if is_inside(name, [rule.module])}
    if rule.exclude is not None:
        refused = matching([compile_pattern(rule.exclude, rule.place)], names)
    return [
        target
        for target in targets
        if not wanted.isdisjoint(target.names)
        and refused.isdisjoint(target.names)
        and (rule.type is None or any(_is_a(owner, rule.type) for owner in target.owners))
        and (rule.ndim is None or (not is_lazy(target.tensor) and target.tensor.ndim == rule.ndim))
    ]


def rule_notes(module: nn.Module, rules: Sequence[Rule]) -> list[str]:
    """Return a note for each rule whose pattern is a whole name and is found in others too."""
    names = [each.name for each in named_tensors(module) if each.kind == "parameter"]
    found = {rule.pattern: also_matched(rule.pattern, names) for rule in rules if rule.pattern is not None}
    return [more_matched(pattern, *each) for pattern, each in found.items() if each is not None]


def _is_a(owner: nn.Module, name: str) -> bool:
    return any(base.__name__ == name for base in type(owner).__mro__ if issubclass(base, nn.Module))


def _nothing(rule: Rule, targets: Sequence[Target]) -> ParamtoolError:
    hint = f"the first name is '{targets[0].name}'" if targets else "there are no parameters"
    names = [name for target in targets for name in target.names]
    hint = unknown_name([rule.name] if rule.name is not None else [], names) or hint
    hint = unknown_module([rule.module] if rule.module is not None else [], names) or hint
    if rule.type is not None:
        owners = [type(owner) for target in targets for owner in target.owners]
        classes = {base.__name__ for owner in owners for base in owner.__mro__ if issubclass(base, nn.Module)}
        if rule.type not in classes:
            own = ", ".join(sorted({owner.__name__ for owner in owners})[:5])
            hint = did_you_mean(rule.type, classes) or f"the classes are {own}"
    return NothingMatched(f"{rule.selector} matches no parameter", rule.place, hint)


def _step(rule: Rule, function: Callable[..., Any], target: Target) -> Step:
    """Return the step, after everything that can be refused without touching a value.

    Raises:
        ParamtoolError: naming the tensor and the rule.
    """
    arguments = dict(rule.arguments)
    try:
        _check(target)
        if not getattr(function, "is_law", False):
            offered = offer(function, arguments, generator=None, parameter=target.name)
            inspect.signature(function).bind(target.tensor, **offered)
            _check_complex(target, rule.initializer in _COMPLEX or not getattr(function, "replaces", True))
            check = getattr(function, "check", _nothing_to_check)
            known = offer(check, arguments, parameter=target.name, dtype=target.tensor.dtype)
            check(tuple(target.tensor.shape), **known)
            return Step(rule, None, function, arguments)
        law: Law = function(tuple(target.tensor.shape), **arguments)
        _check_complex(target, law.complex)
        dtype = drawn_in(target.tensor.dtype) if law.random else target.tensor.dtype
        law.draw(torch.zeros(1, dtype=dtype), torch.Generator())
        _check_range(law, target.tensor.dtype)
    except ParamtoolError as error:
        message = f"{rule} cannot fill '{target.name}': {error.message}"
        raise ParamtoolError(message, rule.place, error.hint) from error
    except (ValueError, TypeError, RuntimeError, ZeroDivisionError, OverflowError) as error:
        message = f"{rule} cannot fill '{target.name}': {first_line(error)}"
        raise ParamtoolError(message, rule.place) from error
    return Step(rule, law, function, arguments)


def _check(target: Target) -> None:
    tensor = target.tensor
    if target.refused is not None:
        raise ValueError(target.refused)
    if target.effective is not None:
        target.effective.check_inverse()
    if is_lazy(tensor):
        raise ValueError("it is lazy and has no shape; give the spec an 'input'")
    if tensor.layout == torch.strided and tensor.numel():
        places = zip(tensor.shape, tensor.stride(), strict=True)
        if any(size > 1 and not stride for size, stride in places):
            raise ValueError("some of its elements share one place in memory, as after expand()")
    if not (tensor.is_floating_point() or tensor.is_complex()):
        raise ValueError(f"its dtype is {dtype_name(tensor)}, not floating point")


def _check_complex(target: Target, is_fit: bool) -> None:
    if target.tensor.is_complex() and not is_fit:
        raise ValueError(f"its dtype is {dtype_name(target.tensor)}, which this initializer cannot fill")


def _check_range(law: Law, dtype: torch.dtype) -> None:
    """Refuse infinite values: a constant may be written so, but drawn values may not be infinite."""
    if law.mean is None or law.std is None:
        return
    size, largest = abs(law.mean) + law.std, torch.finfo(dtype).max
    if math.isfinite(size) and size > largest:
        raise ValueError(f"the largest value of its dtype is {largest:g}")
    if law.random and not math.isfinite(size):
        raise ValueError(f"cannot draw with mean {law.mean:g} and std {law.std:g}")


def _nothing_to_check(*_: object, **__: object) -> None:
    """Let a plugin refuse what it refuses when it fills."""


def _without_overwritten(target: Target) -> Target:
    """Leave out what a later fill overwrites."""
    steps = target.steps
    last = max((index for index, step in enumerate(steps) if step.replaces), default=0)
    return replace(target, steps=steps[last:], skipped=steps[:last])
