"""Plan an initialization: which rule fills which tensor, and everything that is wrong with it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from paramtool.errors import ParamtoolError, Problems, RuleMatchedNothing, first_line, shorten
from paramtool.initializers.registry import offers
from paramtool.operations.listing.selection import is_inside, more_matched, unknown_module, unknown_name
from paramtool.operations.rules.shared_memory import is_shared, with_neighbours
from paramtool.operations.rules.step import Step, offer
from paramtool.operations.rules.target import Target
from paramtool.patterns import also_matched, compile_pattern, matching
from paramtool.records.constructor import changed
from paramtool.records.extent import Extent
from paramtool.records.rule import Rule
from paramtool.suggestion import did_you_mean

if TYPE_CHECKING:
    from paramtool.initializers.functions.laws import Law

Some = TypeVar("Some", bound=Target)

_COMPLEX = ("eye", "dirac", "copy")
"""The functions of whole tensors that fill complex ones: others would leave the imaginary part 0."""


def plan(
    targets: Sequence[Some],
    extents: Mapping[str, Extent],
    rules: Sequence[Rule],
    find: Callable[[str], Callable[..., Any]],
) -> list[Some]:
    """Return every target with the steps that `rules` make, top to bottom.

    Args:
        targets: what rules may fill.
        extents: the memory of every tensor, by its first name.
        rules: all of them.
        find: returns the initializer of a name, as `find_initializer` does.

    Raises:
        RuleMatchedNothing: if a rule matches no parameter.
        Problems: with every unknown initializer, bad argument, and shape that cannot be filled.
    """
    steps: dict[str, list[Step]] = {target.name: [] for target in targets}
    problems: list[ParamtoolError] = []
    for position, rule in enumerate(rules):
        matched = _matched(rule, targets)
        if not matched:
            raise _nothing(rule, targets)
        try:
            function = find(rule.initializer)
        except ParamtoolError as error:
            problems.append(ParamtoolError(error.message, rule.place, error.hint))
            continue
        steps_of = _Steps(rule, function, position)
        for target in matched:
            try:
                steps[target.name].append(steps_of(target))
            except ParamtoolError as error:
                problems.append(error)
                break  # one tensor shows what is wrong with the rule
    if problems:
        raise Problems(problems)
    planned = [changed(target, steps=tuple(steps[target.name])) for target in targets]
    planned = with_neighbours(extents, planned)
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


def _matched(rule: Rule, targets: Sequence[Some]) -> list[Some]:
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
        and (rule.type is None or any(rule.type in owner.bases for owner in target.owners))
        and (rule.ndim is None or target.ndim == rule.ndim)
    ]


def rule_notes(names: Iterable[str], rules: Sequence[Rule]) -> list[str]:
    """Return a note for each rule whose pattern is a whole one of `names` and is found in others too."""
    known = list(names)
    found = {rule.pattern: also_matched(rule.pattern, known) for rule in rules if rule.pattern is not None}
    return [more_matched(pattern, *each) for pattern, each in found.items() if each is not None]


def _nothing(rule: Rule, targets: Sequence[Target]) -> ParamtoolError:
    hint = f"the first name is '{targets[0].name}'" if targets else "there are no parameters"
    names = [name for target in targets for name in target.names]
    hint = unknown_name([rule.name] if rule.name is not None else [], names) or hint
    hint = unknown_module([rule.module] if rule.module is not None else [], names) or hint
    if rule.type is not None:
        owners = [owner.bases for target in targets for owner in target.owners]
        classes = {base for bases in owners for base in bases}
        if rule.type not in classes:
            own = ", ".join(sorted({bases[0] for bases in owners})[:5])
            hint = did_you_mean(rule.type, classes) or f"the classes are {own}"
    return RuleMatchedNothing(f"{rule.conditions} matches no parameter", rule.place, hint)


class _Steps:
    """Makes the steps of one rule; targets of one kind have the same if it fills by a law."""

    def __init__(self, rule: Rule, function: Callable[..., Any], position: int) -> None:
        self._rule = rule
        self._function = function
        self._position = position
        self._is_law = getattr(function, "is_law", False)
        self._known: dict[object, Step] = {}

    def __call__(self, target: Target) -> Step:
        """Return the step, after everything that can be refused without touching a value.

        Raises:
            ParamtoolError: naming the tensor and the rule.
        """
        try:
            target.check()
            if not self._is_law:
                return self._of_whole(target)
            kind = target.kind
            if kind not in self._known:
                self._known[kind] = self._of_law(target)
            return self._known[kind]
        except ParamtoolError as error:
            message = f"{self._rule} cannot fill '{target.name}': {error.message}"
            raise ParamtoolError(message, self._rule.place, error.hint) from error
        except (ValueError, TypeError, RuntimeError, ZeroDivisionError, OverflowError) as error:
            message = f"{self._rule} cannot fill '{target.name}': {first_line(error)}"
            raise ParamtoolError(message, self._rule.place) from error

    def _of_whole(self, target: Target) -> Step:
        rule, function, arguments = self._rule, self._function, dict(self._rule.arguments)
        offered = offer(function, arguments, generator=None, parameter=target.name)
        inspect.signature(function).bind(target.given, **offered)
        _check_complex(target, rule.initializer in _COMPLEX or not getattr(function, "replaces", True))
        check = getattr(function, "check", _nothing_to_check)
        known = offer(check, arguments, parameter=target.name, dtype=target.given_dtype)
        check(target.shape, **known)
        return Step(rule, None, function, arguments, self._position)

    def _of_law(self, target: Target) -> Step:
        arguments = dict(self._rule.arguments)
        law: Law = self._function(target.shape, **arguments)
        _check_complex(target, law.complex)
        target.try_law(law)
        _check_range(law, target.largest)
        return Step(self._rule, law, self._function, arguments, self._position)


def _check_complex(target: Target, is_fit: bool) -> None:
    if target.is_complex and not is_fit:
        raise ValueError(f"its dtype is {target.dtype}, which this initializer cannot fill")


def _check_range(law: Law, largest: float) -> None:
    """Refuse infinite values: a constant may be written so, but drawn values may not be infinite."""
    if law.mean is None or law.std is None:
        return
    size = abs(law.mean) + law.std
    if math.isfinite(size) and size > largest:
        raise ValueError(f"the largest value of its dtype is {largest:g}")
    if law.random and not math.isfinite(size):
        raise ValueError(f"cannot draw with mean {law.mean:g} and std {law.std:g}")


def _nothing_to_check(*_: object, **__: object) -> None:
    """Let a plugin refuse what it refuses when it fills."""


def _without_overwritten(target: Some) -> Some:
    """Leave out what a later fill overwrites."""
    steps = target.steps
    if len(steps) < 2:
        return target
    last = max((index for index, step in enumerate(steps) if step.replaces), default=0)
    return changed(target, steps=steps[last:], skipped=steps[:last])
