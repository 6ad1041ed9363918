"""Which targets change with a fill of another one, because they lie over common memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from typing import TypeVar

from paramtool.operations.rules.target import Target
from paramtool.operations.sharing.overlap import overlaps
from paramtool.records.extent import Extent, covered

Some = TypeVar("Some", bound=Target)


def with_neighbours(parts: Mapping[str, Extent], targets: Sequence[Some]) -> list[Some]:
    """Return the targets, each with what its fills change and what fills of others do to it.

    What is assigned through a parametrization gets memory of its own, so that it changes no other tensor,
    and none changes it from then on.

    Args:
        parts: the memory of every tensor, by its first name.
        targets: what rules fill.
    """
    extents, near = _neighbours(parts, targets)
    if not near:
        return list(targets)
    by_name = {target.name: target for target in targets}
    order = {target.name: index for index, target in enumerate(targets)}
    found = []
    for target in targets:
        others = [by_name[name] for name in near.get(target.name, ()) if name in by_name]
        changing = [other for other in others if not other.is_computed and _comes_first(other, target)]
        last = max(((step.position, order[target.name]) for step in target.steps), default=(-1, -1))
        found.append(
            replace(
                target,
                changes=() if target.is_computed else near.get(target.name, ()),
                changed_by=tuple(other.name for other in changing),
                is_overwritten=any(
                    (step.position, order[other.name]) > last for other in changing for step in other.steps
                ),
                is_covered=any(
                    _covers(extents[other.name], extents[target.name])
                    for other in changing
                    if any(step.replaces for step in other.steps)
                ),
            )
        )
    return found


def is_shared(target: Target, touched: Mapping[str, Target]) -> bool:
    """Return whether the order of the fills of `target` and of others matters."""
    return bool(target.changed_by) or any(touched[name].steps for name in target.changes if name in touched)


def _comes_first(other: Target, target: Target) -> bool:
    """Return whether `other` is filled while the memory is still that of `target` too."""
    if not other.steps:
        return False
    return not target.is_computed or not target.steps or other.steps[0].position < target.steps[0].position


def _neighbours(
    parts: Mapping[str, Extent], targets: Sequence[Target]
) -> tuple[dict[str, list[Extent]], dict[str, tuple[str, ...]]]:
    """Return the memory of targets and other tensors, and what overlaps with each target that rules fill.

    A target that is computed has the memory of what it is computed from.
    """
    groups = overlaps(parts).groups
    if not groups:
        return {}, {}
    owners = {name: target.name for target in targets for name in target.names}
    extents: dict[str, list[Extent]] = {}
    for name, extent in parts.items():
        extents.setdefault(owners.get(name, name), []).append(extent)
    filled = {target.name for target in targets if target.steps}
    found: dict[str, dict[str, None]] = {}
    for group in groups:
        names = dict.fromkeys(owners.get(name, name) for name in group)
        for name, other in permutations(names, 2):
            if (name in filled or other in filled) and _overlap(extents[name], extents[other]):
                found.setdefault(name, {})[other] = None
    return extents, {name: tuple(others) for name, others in found.items()}


def _overlap(some: Sequence[Extent], others: Sequence[Extent]) -> bool:
    return any(
        one.space == other.space
        and one.start < other.stop
        and other.start < one.stop
        and bool(overlaps({0: one, 1: other}).groups)
        for one in some
        for other in others
    )


def _covers(some: Sequence[Extent], others: Sequence[Extent]) -> bool:
    """Return whether `some` have every byte of `others`."""
    spaces = {each.space for each in (*some, *others)}
    return len(spaces) == 1 and covered([*some, *others]) == covered(some)
