"""Which module is running, by the path that its caller knows it under."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from threading import get_ident
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from paramtool.name_parts import is_below, parents


@dataclass(frozen=True)
class Call:
    """One call of a module: its path, and which call of that path it is in this pass, from 1."""

    path: str
    number: int


@dataclass
class _Frame:
    module: nn.Module
    call: Call
    arguments: tuple[Any, ...]
    called: Counter[int] = field(default_factory=Counter)
    """How often each child, by its id, was called from here."""


@dataclass(frozen=True)
class Failure:
    """An error, and the call it came out of: which, of what module, with which positional arguments."""

    error: BaseException
    call: Call
    module: nn.Module
    arguments: tuple[Any, ...]


Watcher = Callable[[Call, nn.Module, Any], None]


class Calls:
    """Follows the calls of the modules below a root, in the thread that made it.

    A module that is registered under several names is one object, so a hook cannot know which of
    them a call means.  Here the k-th call of it from one call of its parent is the k-th name that the
    parent has for it: in ``Sequential(a, a)`` they are ``0`` and ``1``.

    Args:
        root: the module whose names these are.
        leave: called with every call that has returned, and its output.
    """

    def __init__(self, root: nn.Module, leave: Watcher | None = None) -> None:
        self._paths: dict[int, list[str]] = {}
        self._modules: dict[str, nn.Module] = {}
        for path, module in root.named_modules(remove_duplicate=False):
            self._paths.setdefault(id(module), []).append(path)
            self._modules[path] = module
        self._leave = leave
        self._candidates: dict[tuple[str, int], list[str]] = {}
        self._stack: list[_Frame] = []
        self._numbers: Counter[str] = Counter()
        self._history: list[tuple[int, Call]] = []
        self._failure: Failure | None = None
        self._thread = get_ident()

    @property
    def current(self) -> Call:
        """The innermost call that is running; in a backward pass the one whose node is running."""
        if self._stack:
            return self._stack[-1].call
        node = torch._C._current_autograd_node()
        return Call("", 1) if node is None else self.at(node._sequence_nr())

    def at(self, sequence: int) -> Call:
        """Return the call that was running when the node of that sequence number was made."""
        index = bisect_right(self._history, sequence, key=lambda each: each[0])
        return self._history[index - 1][1] if index else Call("", 1)

    def failed(self, error: BaseException) -> Failure | None:
        """Return the call that `error` came out of first."""
        return self._failure if self._failure and self._failure.error is error else None

    def again(self) -> None:
        """Count calls from 1 again, for another pass."""
        self._numbers.clear()
        self._history.clear()

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Follow every call, by hooks that are not on the modules."""
        handles = [
            register_module_forward_pre_hook(self._enter),
            register_module_forward_hook(
                lambda module, _, output: self._exit(module, output), always_call=True
            ),
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            self._stack.clear()

    def _enter(self, module: nn.Module, arguments: Any) -> None:
        if get_ident() != self._thread:  # torch's global hooks are those of all threads
            return
        path = self._path(module)
        if path is None:  # no module of ours, so that what it does is its caller's
            call = self.current
        else:
            counts = torch.is_grad_enabled()  # a call without gradient adds nothing
            self._numbers[path] += counts
            call = Call(path, max(1, self._numbers[path]))
        self._stack.append(_Frame(module, call, arguments))
        self._mark()

    def _exit(self, module: nn.Module, output: Any) -> None:
        if get_ident() != self._thread:
            return
        error = sys.exc_info()[1]
        frame = self._stack.pop()
        failed = output is None and error is not None
        if failed and error is not None and self.failed(error) is None:
            self._failure = Failure(error, frame.call, module, frame.arguments)
        self._mark()
        if self._leave and not failed:
            with torch._C.DisableTorchFunction():  # what is measured there is not in the pass
                self._leave(frame.call, module, output)

    def _mark(self) -> None:
        self._history.append((torch._C._autograd._get_sequence_nr(), self.current))

    def _path(self, module: nn.Module) -> str | None:
        paths = self._paths.get(id(module))
        if paths is None:
            return None
        if not self._stack:
            return paths[0]
        parent = self._stack[-1]
        key = (parent.call.path, id(module))
        if key not in self._candidates:
            self._candidates[key] = self._names(parent.call.path, paths)
        names = self._candidates[key]
        parent.called[id(module)] += 1
        return names[(parent.called[id(module)] - 1) % len(names)]

    def _names(self, parent: str, paths: list[str]) -> list[str]:
        """Return the names of a module below `parent`, those that no other forward leads to first."""
        inside = [path for path in paths if is_below(path, parent)]
        return [path for path in inside if self._is_direct(parent, path)] or inside or paths

    def _is_direct(self, parent: str, path: str) -> bool:
        between = takewhile(lambda each: each != parent, parents(path))
        return all(not has_forward(self._modules[each]) for each in between if each in self._modules)


def has_forward(module: nn.Module) -> bool:
    """Return whether a call of `module` does something; that of a ModuleList does not.

    Its class may define forward, or the instance have one: so do hooks of accelerate, ``torch.compile``
    and scripted modules.
    """
    if isinstance(module, torch.jit.ScriptModule):  # whose class has no forward to look at
        return hasattr(module, "forward")
    return type(module).forward is not nn.Module.forward or "forward" in vars(module)
