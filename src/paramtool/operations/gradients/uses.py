"""Split the gradient of every parameter into what each use of it added.

A function mode gives every operation that takes a parameter a fresh view of it.  What flows back
into that view is what this use added, and nothing else; the sum over the views is the parameter's
gradient, since each of them hands on what it got.  Operations that no mode sees, such as a custom
``autograd.Function``, are found in the graph: their nodes hand a gradient straight to the parameter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.overrides import TorchFunctionMode

from paramtool.operations.gradients import graph
from paramtool.operations.gradients.calls import Call, Calls
from paramtool.operations.gradients.opened import opened

_DIFFERENTIABLE = ("T", "mT", "H", "mH", "real", "imag")
"""Attributes of a tensor that are operations; every other one is a look at the tensor itself."""

_ON_THE_TENSOR_ITSELF = frozenset(
    (
        "__set__", "__delete__", "__deepcopy__", "__reduce_ex__", "__setstate__", "__repr__", "__format__",
        "backward", "detach_", "module_load", "register_hook", "register_post_accumulate_grad_hook",
        "requires_grad_", "retain_grad", "set_", "share_memory_",
    )
)  # fmt: skip
"""What would do something else to a view."""


@dataclass
class Use:
    """One call of an operation that takes a parameter.

    Attributes:
        parameter: the parameter.
        call: of the innermost module that was running.
        operation: torch's name.
        gradient: what the use added; None where nothing came back, and of a parameter's only use,
            which added all there is.
    """

    parameter: nn.Parameter
    call: Call
    operation: str
    gradient: Tensor | None = None


@dataclass
class _Found:
    """A use, its view (None where no mode sees it), when it was, and whether the backward pass ran it."""

    use: Use
    view: Tensor | None
    sequence: int
    late: bool = False


class Uses:
    """The uses of parameters in one forward and backward pass.

    Args:
        parameters: those that require grad.
        calls: tells which module is running.
        every: keep the gradient of a parameter's only use as well; else only of one of several.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], calls: Calls, every: bool = False) -> None:
        self.parameters = {id(each): each for each in parameters}
        self._calls = calls
        self._every = every
        self._found: list[_Found] = []
        self._late = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Take what runs in the block for uses."""
        with _Views(self):
            yield

    def prepare(self, loss: Tensor) -> None:
        """Make the backward pass of `loss` leave with each use what it added."""
        nodes = graph.nodes(loss)
        self._find_unseen(nodes)
        # a function of Python, such as a checkpoint, may run a part of the forward pass again
        more = self._every or any(graph.is_python(node) for node in nodes)
        counts = Counter(id(each.use.parameter) for each in self._found)
        for each in self._found:
            if each.view is not None and (more or counts[id(each.use.parameter)] > 1):
                each.view.retain_grad()
        self._late = True
        self._calls.around = lambda: _Views(self)  # the backward pass runs without this thread's modes

    def collect(self) -> list[Use]:
        """Return the uses in the order of the forward pass, and let the graph go."""
        self._calls.around = None
        for each in self._found:
            if each.view is not None and each.view.retains_grad:
                each.use.gradient = each.view.grad
        # a checkpoint runs operations again to have their inputs, and hands no gradient to the copies
        found = [each for each in self._found if not each.late or each.use.gradient is not None]
        uses = [each.use for each in sorted(found, key=lambda each: each.sequence)]
        self._found, self._late = [], False
        return uses

    def add(self, operation: str, parameter: nn.Parameter, view: Tensor) -> None:
        """Note one use."""
        if self._late:
            view.retain_grad()
        assert view.grad_fn is not None
        use = Use(parameter, self._calls.current, operation)
        self._found.append(_Found(use, view, view.grad_fn._sequence_nr(), self._late))

    def _find_unseen(self, nodes: Sequence[Node]) -> None:
        """Watch the nodes that hand a gradient straight to a parameter and are no view of ours."""
        ours = {node for each in self._found if each.view is not None for node in graph.down_from(each.view)}
        for node in nodes:
            if node in ours:
                continue
            for index, (following, _) in enumerate(node.next_functions):
                parameter = self.parameters.get(id(getattr(following, "variable", None)))
                if parameter is not None:
                    use = Use(parameter, self._calls.at(node._sequence_nr()), graph.operation(node))
                    node.register_hook(_keeper(use, index))
                    self._found.append(_Found(use, None, node._sequence_nr()))


def _keeper(use: Use, index: int) -> Callable[..., None]:
    """Return the hook of a node that keeps what it hands to its edge number `index`."""

    def keep(given: Sequence[Tensor | None], _: object) -> None:
        gradient = given[index]
        use.gradient = gradient if use.gradient is None or gradient is None else use.gradient + gradient

    return keep


class _Views(TorchFunctionMode):
    """The mode; a new one for each block, since torch's modes are not to be entered twice."""

    def __init__(self, uses: Uses) -> None:
        super().__init__()
        self._uses = uses

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if not _is_open() or not self._takes(args, kwargs) or _is_a_look(func):
            return func(*args, **kwargs)
        inside = opened(func)
        if inside is not None:
            with self:
                return inside(*args, **kwargs)
        views: dict[int, Tensor] = {}
        result = func(*self._given(args, views), **self._given(kwargs, views))
        for key, view in views.items():
            if result is view:  # a cast to the dtype that it has, and the like: nothing was done
                return self._uses.parameters[key]
        made = (args[0], result) if func is Tensor.__setitem__ else result
        for key in graph.reached(made, views):
            self._uses.add(_name(func), self._uses.parameters[key], views[key])
        return result

    def _takes(self, *values: Any) -> bool:
        """Tell whether a parameter is among `values`, or in their lists and dictionaries."""
        for value in values:
            if isinstance(value, Tensor):
                if id(value) in self._uses.parameters:
                    return True
            elif isinstance(value, (tuple, list)):
                if self._takes(*value):
                    return True
            elif isinstance(value, dict) and self._takes(*value.values()):
                return True
        return False

    def _given(self, value: Any, views: dict[int, Tensor]) -> Any:
        """Return `value` with the view of this call, the same everywhere in it, for every parameter."""
        if isinstance(value, Tensor):
            parameter = self._uses.parameters.get(id(value))
            if parameter is None:
                return value
            if id(parameter) not in views:
                views[id(parameter)] = torch.ops.aten.alias(parameter)
            return views[id(parameter)]
        if isinstance(value, dict):
            return {key: self._given(each, views) for key, each in value.items()}
        if type(value) in (tuple, list):
            return type(value)(self._given(each, views) for each in value)
        return value


def _is_open() -> bool:
    """Tell whether an operation can be a use; below vmap and grad, views are of another kind."""
    return torch.is_grad_enabled() and not torch._C._are_functorch_transforms_active()


def _is_a_look(func: Callable[..., Any]) -> bool:
    """Tell whether `func` is about the tensor itself and not about its values."""
    name = getattr(func, "__name__", "")
    if name == "__get__":
        return getattr(func.__self__, "__name__", "") not in _DIFFERENTIABLE  # type: ignore[attr-defined]
    return name in _ON_THE_TENSOR_ITSELF


def _name(func: Callable[..., Any]) -> str:
    name = getattr(func, "__name__", type(func).__name__)
    if name == "__get__":
        return str(func.__self__.__name__)  # type: ignore[attr-defined]
    return str(name).strip("_") if str(name).startswith("__") else str(name)
