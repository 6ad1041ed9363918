"""A record of what constructors filled tensors with, by which each is drawn again from its own stream.

A constructor fills its tensors before anybody knows their names.  So its fills are recorded as they
run, and run again when the names are known.  A record is used only where nothing else can have
written, and where nobody used the values.  Everything else keeps the values that it got after
``manual_seed``, as do the tensors that it was computed from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors
from torch.utils._python_dispatch import TorchDispatchMode

from paramtool.errors import first_line
from paramtool.foreign_code import is_out_of_memory
from paramtool.network.filling_calls import is_literal, law_of_call, truncated_normal
from paramtool.network.free_memory import OutOfMemory, check_fits
from paramtool.network.storage_record import StorageRecord, storage_number
from paramtool.tensors import streams
from paramtool.tensors.fills import Fill, Fills, run_fills
from paramtool.tensors.named_tensors import by_tensor, named_tensors
from paramtool.tensors.nested_values import tensors
from paramtool.tensors.scratch import Scratch
from paramtool.tensors.writes import hands_out, written

_COPIES = (Tensor.clone, torch.clone, Tensor.__deepcopy__)

_FOREIGN = frozenset(("as_tensor", "asarray", "from_dlpack", "from_file", "frombuffer", "lift_fresh.default"))
"""What may return memory that somebody else has too."""

_READING = frozenset(
    (
        "item", "tolist", "equal", "allclose", "is_nonzero", "__contains__", "__bool__",
        "__float__", "__int__", "__index__", "__complex__", "__format__", "__repr__",
        "_local_scalar_dense.default",
    )
)  # fmt: skip
"""What returns values as something else than a tensor."""

_MOST_LITERAL = 1 << 20  # elements that are kept of a tensor written out

_HINT = "names, shapes and plans need no values; init -o writes them block by block"

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
        self._record = StorageRecord()
        self._watches_reads = True
        self._below = _CallsOfCode()  # type: ignore[no-untyped-call]

    def __enter__(self) -> Recording:
        super().__enter__()  # type: ignore[no-untyped-call]
        self._below.__enter__()  # type: ignore[no-untyped-call]
        self._trunc_normal = _set_trunc_normal(self._truncate)
        return self

    def __exit__(self, *raised: Any) -> None:
        _set_trunc_normal(self._trunc_normal)
        self._below.__exit__(*raised)  # type: ignore[no-untyped-call]
        super().__exit__(*raised)  # type: ignore[no-untyped-call]

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        result = self._allocate(func, args, kwargs) if self._bounded else self._run(func, args, kwargs)
        if self._bounded and isinstance(result, Tensor) and func in _device_constructors():
            _check_fits(result)
        name = getattr(func, "__name__", "")
        if name == "__get__" and not isinstance(result, Tensor):  # a shape, a dtype, …
            return result
        is_new = self._record.meet((args, kwargs), result, is_ours=name not in _FOREIGN)
        if not (self._fill(func, args, kwargs, result) or self._copy(func, args, result)):
            self._note(func, name, args, kwargs, is_new)
        return result

    @contextmanager
    def forward_pass(self) -> Iterator[None]:
        """Take no notice of who uses values: what a forward pass returns is thrown away."""
        self._watches_reads = False
        try:
            yield
        finally:
            self._watches_reads = True

    def fills_of(self, tensor: Tensor) -> tuple[Fill, ...]:
        """Return what filled the whole of `tensor`; nothing if unknown."""
        return self._record.fills_of(tensor)

    def fills_by_name(self, module: nn.Module) -> dict[str, Fills]:
        """Return what filled each tensor of `module`, by each of its names, and which stream it draws from.

        Tensors over one memory, and copies of one that the module has, draw from the stream of the first.
        A tensor is left out if that is unknown.
        """
        groups = by_tensor(named_tensors(module))
        first: dict[int, str] = {}
        for named, *_ in groups:
            first.setdefault(storage_number(named.tensor), named.name)
        found: dict[str, Fills] = {}
        for names in groups:
            tensor = names[0].tensor
            steps = self.fills_of(tensor)
            if steps:
                origin = next(key for key in self._record.origins(tensor) if key in first)
                found |= dict.fromkeys((each.name for each in names), Fills(first[origin], steps))
        return found

    def redraw(self, module: nn.Module, seed: int) -> None:
        """Fill every tensor of `module` that was filled at random from its stream, if it has memory."""
        known = self.fills_by_name(module)
        done: set[int] = set()
        scratch = Scratch()
        with torch.no_grad():
            for named in named_tensors(module):
                fills = known.get(named.name)
                key = storage_number(named.tensor)
                if fills is None or key in done or not fills.random or named.tensor.is_meta:
                    continue
                done.add(key)
                for number, block in streams.blocks(named.tensor.detach()):
                    run_fills(fills, block, number, seed, scratch)

    def _run(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return func(*args, **kwargs)

    def _allocate(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run a call, and refuse in our words what the system gives no memory for."""
        try:
            return self._run(func, args, kwargs)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise OutOfMemory(f"the values do not fit in memory: {first_line(error)}", hint=_HINT) from error

    def _fill(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> bool:
        """Record a call that fills by a law or with literal elements; return whether it was one."""
        if is_literal(func) and result.numel() <= _MOST_LITERAL:
            elements = self._literal(func, args, kwargs, result)
            self._record.fill(result, Fill("", start=0, stop=result.numel(), elements=elements))
            return True
        law = law_of_call(func, args, kwargs, result)
        if law is None or not isinstance(law.tensor, Tensor):
            return False
        if not is_lazy(law.tensor) and law.tensor.numel():
            if not law.tensor.is_contiguous():
                return False
            start = int(law.tensor.storage_offset())
            fill = Fill(law.method, law.numbers, law.named, start, start + law.tensor.numel())
            self._record.fill(law.tensor, fill)
        return True

    def _truncate(  # noqa: PLR0913, PLR0917 - of torch
        self, tensor: Tensor, mean: float, std: float, a: float, b: float, generator: Any = None
    ) -> Tensor:
        """Do what ``trunc_normal_`` does, and record its law: a mode does not see it as one call."""
        with torch._C.DisableTorchFunction():  # of this mode
            filled: Tensor = self._trunc_normal(tensor, mean, std, a, b, generator)
            if is_lazy(tensor) or generator is not None or not (tensor.is_contiguous() and std > 0):
                self._record.forget(tensor)
                return filled
            start = int(tensor.storage_offset())
            for method, numbers in truncated_normal(mean, std, a, b):
                self._record.fill(tensor, Fill(method, numbers, {}, start, start + tensor.numel()))
            return filled

    def _literal(
        self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], result: Tensor
    ) -> Tensor:
        """Return the elements of a tensor that is written out."""
        del func, args, kwargs
        return result.detach().clone()

    def _copy(self, func: Any, args: Sequence[Any], result: Any) -> bool:
        """Record a call that copies a whole tensor; return whether it was one."""
        if func in _COPIES and isinstance(result, Tensor):
            self._record.copy(args[0], result)
            return True
        if func is Tensor.copy_ and len(args) > 1 and isinstance(args[1], Tensor):
            self._record.copy(args[1], args[0])
            return True
        return False

    def _note(
        self, func: Any, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], is_new: bool
    ) -> None:
        """Record what any other call may have written and used."""
        writes = list(written(func, args, kwargs))
        for each in writes:
            self._record.forget(each)
            if hands_out(name):
                self._record.hand_out(each)
        is_free = name.endswith("_like") or name.startswith("new_")  # they take a shape
        is_reading = name in _READING or bool(writes) or (is_new and not is_free)
        if is_reading and self._watches_reads:
            for each in tensors((args, kwargs)):
                self._record.read(each)


def _set_trunc_normal(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let ``torch.nn.init.trunc_normal_`` call `function`, and return what it called before."""
    before: Callable[..., Any] = nn.init._no_grad_trunc_normal_
    nn.init._no_grad_trunc_normal_ = function
    return before


class _CallsOfCode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Calls each operation anew, so that those of scripts and of C++ are seen like those of Python."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Leave torch's compiler out: to tell it that it has nothing to do here imports it, for a second."""
        return False

    def __torch_dispatch__(
        self,
        func: OpOverload[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return func(*args, **(kwargs or {}))


def _check_fits(tensor: Tensor) -> None:
    if not is_lazy(tensor) and not tensor.is_meta and tensor.nbytes >= _LARGE:
        check_fits("the values", tensor.nbytes, hint=_HINT)
