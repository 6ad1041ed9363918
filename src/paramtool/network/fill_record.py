"""A record of what constructors filled tensors with, by which each is drawn again from its own stream.

A constructor fills its tensors before anybody knows their names.  So its fills are recorded as they
run, and run again when the names are known.  What cannot be recorded, such as a copy from another
tensor, keeps the values that it got after ``manual_seed``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors

from paramtool.network.free_memory import check_fits
from paramtool.network.meta_device import on_meta
from paramtool.tensors import streams
from paramtool.tensors.fills import CONSTANT, ELEMENTWISE, RANDOM, Fill, run_fills
from paramtool.tensors.kinds import is_strided
from paramtool.tensors.named_tensors import named_tensors
from paramtool.tensors.scratch import Scratch
from paramtool.tensors.writes import written

_METHODS = {getattr(Tensor, name): name for name in (*RANDOM, *CONSTANT, *ELEMENTWISE)}
_INITIALIZERS = {nn.init.uniform_: "uniform_", nn.init.normal_: "normal_", nn.init.constant_: "fill_"}
_FACTORIES = {torch.rand: "uniform_", torch.randn: "normal_"}


_MOST_LITERAL = 1 << 20  # elements that a sketch keeps of a tensor written out

_LARGE = 1 << 24
"""Bytes of a tensor that is worth a look at the memory that is free."""


class Recording(TorchFunctionMode):
    """Runs everything as torch does, and keeps what fills each storage.

    Args:
        bounded: refuse a tensor that does not fit in this machine's memory before anything fills it.
    """

    def __init__(self, *, bounded: bool = False) -> None:
        super().__init__()
        self._bounded = bounded
        self._fills: dict[int, list[Fill]] = {}
        self._kept: list[object] = []  # storages stay alive, so that no other gets the number of one

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        result = self._run(func, args, kwargs)
        if self._bounded and isinstance(result, Tensor) and func in _device_constructors():
            _check_fits(result)
        if func in _METHODS:
            named = {name: value for name, value in kwargs.items() if name != "generator"}
            self._record(args[0], _METHODS[func], args[1:], named)
        elif func in _INITIALIZERS:
            tensor, *numbers = _bound(func, args, kwargs)
            self._record(tensor, _INITIALIZERS[func], numbers)
        elif func is nn.init.kaiming_uniform_:
            tensor, *options = _bound(func, args, kwargs)
            if 0 not in tensor.shape:  # of which torch leaves its hands
                limit = _kaiming_bound(tensor, *options)
                self._record(tensor, "uniform_", (-limit, limit))
        elif func in _FACTORIES:
            self._record(result, _FACTORIES[func])
        elif func is Tensor.clone:
            self._fills[_storage(result)] = list(self._fills.get(_storage(args[0]), ()))
            self._kept.append(result.untyped_storage())
        else:
            for each in written(func, args, kwargs):
                self._fills.pop(_storage(each), None)
        return result

    def _run(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return func(*args, **kwargs)

    def fills_of(self, tensor: Tensor) -> tuple[Fill, ...]:
        """Return what filled the whole of `tensor`; nothing where that is not known."""
        if not is_strided(tensor) or not _is_whole(tensor):
            return ()
        return tuple(self._fills.get(_storage(tensor), ()))

    def redraw(self, module: nn.Module, seed: int) -> None:
        """Fill every tensor of `module` that was filled at random from the stream of its first name."""
        done: set[int] = set()
        scratch = Scratch()
        with torch.no_grad():
            for named in named_tensors(module):
                fills = self.fills_of(named.tensor)
                if id(named.tensor) in done or not any(fill.random for fill in fills):
                    continue
                done.add(id(named.tensor))
                for number, block in streams.blocks(named.tensor.detach()):
                    run_fills(fills, block, number, seed, named.name, scratch)

    def _record(
        self, tensor: Any, method: str, numbers: Sequence[Any] = (), named: Mapping[str, Any] | None = None
    ) -> None:
        named = named or {}
        if not isinstance(tensor, Tensor) or not is_strided(tensor):
            return
        key = _storage(tensor)
        are_numbers = all(isinstance(each, (int, float)) for each in (*numbers, *named.values()))
        if not (tensor.is_contiguous() and are_numbers):
            self._fills.pop(key, None)
            return
        start = int(tensor.storage_offset())
        fill = Fill(method, tuple(numbers), named, start, start + tensor.numel())
        replaces = _is_whole(tensor) and method not in ELEMENTWISE
        if replaces:
            self._kept.append(tensor.untyped_storage())
            self._fills[key] = [fill]
        elif key in self._fills:
            self._fills[key].append(fill)


def _check_fits(tensor: Tensor) -> None:
    if is_strided(tensor) and not tensor.is_meta and tensor.nbytes >= _LARGE:
        hint = "names, shapes and plans need no values; init -o writes them block by block"
        check_fits("the values", tensor.nbytes, hint=hint)


class Sketch(Recording):
    """Builds structure on the meta device, and knows what every tensor would have been filled with.

    Memory does not grow with the model, so weights of any size can be written block by block.
    """

    def _run(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        result = on_meta(func, args, kwargs)
        if func in (torch.zeros, torch.ones):
            self._record(result, "fill_", (float(func is torch.ones),))
        elif func is torch.full:
            self._record(result, "fill_", (kwargs.get("fill_value", args[-1]),))
        elif func in (torch.tensor, torch.arange) and result.numel() <= _MOST_LITERAL:
            self._keep(result, func(*args, **{**kwargs, "device": "cpu"}))
        return result

    def _keep(self, tensor: Tensor, elements: Tensor) -> None:
        """Record literal elements."""
        fill = Fill("", start=0, stop=tensor.numel(), elements=elements)
        self._kept.append(tensor.untyped_storage())
        self._fills[_storage(tensor)] = [fill]


def _storage(tensor: Tensor) -> int:
    """Return the id of the memory of `tensor`; 0 for a tensor that has none of its own."""
    try:
        return 0 if is_lazy(tensor) else tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):  # a sparse one, or a wrapper around others
        return 0


def _is_whole(tensor: Tensor) -> bool:
    """Return whether `tensor` is all of its storage, element after element."""
    return tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.nbytes


def _bound(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """Return the arguments of an initializer in their order, defaults included, without the generator."""
    given = _signature(func).bind(*args, **kwargs)
    given.apply_defaults()
    return [value for name, value in given.arguments.items() if name != "generator"]


_signature = cache(inspect.signature)


def _kaiming_bound(tensor: Tensor, a: float, mode: str, nonlinearity: Any) -> float:
    """Return the bound of He et al. 2015, equation 14, as ``torch.nn.init.kaiming_uniform_`` has it."""
    fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(tensor)
    gain = nn.init.calculate_gain(nonlinearity, a)
    return float(gain * (3.0 / (fan_in if mode == "fan_in" else fan_out)) ** 0.5)
