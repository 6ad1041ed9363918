"""How deep the modules of a network nest: counted, and bounded, before anything walks them by recursion."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from paramtool.errors import ParamtoolError, shorten
from paramtool.network.members import check_members

MAX_LEVELS = 900
"""Levels of modules: torch's own walks take a frame of Python for each, and Python has 1,000."""

_FRAMES = 8
"""Frames that a call takes on each level, with its hooks; a forward may go through another function."""


def check_nesting(module: nn.Module) -> int:
    """Return how many levels of modules there are, the root included.

    Raises:
        ParamtoolError: if there are more than `MAX_LEVELS`, a module contains itself, or holds what
            torch cannot walk.
    """
    check_members(module, ())
    levels: dict[int, int] = {}  # of modules that were gone through, from themselves downwards
    path = [("", module, iter(module._modules.items()))]
    below = [0]
    inside = {id(module)}
    while path:
        name, child = next(path[-1][2], (None, None))
        if name is None:
            done = path.pop()[1]
            inside.discard(id(done))
            levels[id(done)] = below.pop() + 1
            if below:
                below[-1] = max(below[-1], levels[id(done)])
        elif child is not None:
            if id(child) in inside:
                raise _of_itself([*(each for each, *_ in path), name])
            known = levels.get(id(child), 1)
            if len(path) + known > MAX_LEVELS:
                raise _too_deep([*(each for each, *_ in path), name])
            below[-1] = max(below[-1], known)
            if id(child) not in levels:
                check_members(child, path, name)
                path.append((name, child, iter(child._modules.items())))
                below.append(0)
                inside.add(id(child))
    return levels[id(module)]


@contextmanager
def room_for(levels: int) -> Iterator[None]:
    """Let a forward pass go through `levels` of modules, for which Python's own limit may be too low."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, before + _FRAMES * levels - 1000))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _too_deep(path: list[str]) -> ParamtoolError:
    return ParamtoolError(f"modules nested deeper than {MAX_LEVELS} levels, at '{_shown(path)}'")


def _of_itself(path: list[str]) -> ParamtoolError:
    hint = "to keep a reference that is not a child, use a list, e.g. self.parent = [parent]"
    return ParamtoolError(f"'{_shown(path)}' is a module that contains itself", hint=hint)


def _shown(path: list[str]) -> str:
    return shorten(".".join(path[1:]))
