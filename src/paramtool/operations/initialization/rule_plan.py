"""The plan of an initialization of a live module."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from paramtool.operations.initialization.targets import LiveTarget, targets_of
from paramtool.operations.rules import plan as rules_plan
from paramtool.operations.sharing.overlap import overlaps
from paramtool.records.extent import Extent
from paramtool.records.rule import Rule
from paramtool.tensors.extents import extent_of
from paramtool.tensors.named_tensors import by_tensor, named_tensors, stored_tensors


def plan(module: nn.Module, rules: Sequence[Rule]) -> list[LiveTarget]:
    """Return every parameter of `module` with the steps that `rules` make, top to bottom.

    Raises:
        RuleMatchedNothing: if a rule matches no parameter.
        Problems: with every unknown initializer, bad argument, and shape that cannot be filled.
    """
    targets = targets_of(module)
    return rules_plan.plan(targets, _extents(module), rules, rules_plan.find_initializer)


def rule_notes(module: nn.Module, rules: Sequence[Rule]) -> list[str]:
    """Return a note for each rule whose pattern is a whole name and is found in others too."""
    names = (each.name for each in named_tensors(module) if each.kind == "parameter")
    return rules_plan.rule_notes(names, rules)


def has_overlap(module: nn.Module, *, stored: bool = True) -> bool:
    """Return whether different tensors, those that are stored or all, lie over common memory."""
    groups = stored_tensors(module) if stored else by_tensor(named_tensors(module))
    extents = {names[0].name: extent_of(names[0].tensor) for names in groups}
    return bool(overlaps({name: each for name, each in extents.items() if each is not None}).groups)


def _extents(module: nn.Module) -> dict[str, Extent]:
    found = {named.name: extent_of(named.tensor) for named, *_ in by_tensor(named_tensors(module))}
    return {name: each for name, each in found.items() if each is not None}
