"""Ask torch whether a state_dict loads into a module: on a copy without values, on the meta device."""

from __future__ import annotations

import math
import re
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import UninitializedParameter, is_lazy
from torch.overrides import TorchFunctionMode

from paramtool.errors import UserCodeFailed, told
from paramtool.loading.answer import Answer, Misfit
from paramtool.loading.prediction import not_a_tensor, predicted
from paramtool.loading.state_dict import Entry, StateDict
from paramtool.name_parts import last_part, parent
from paramtool.network.extra_state import without_extra_state
from paramtool.network.listing import identity, parameters
from paramtool.network.twin import twin
from paramtool.tensors.fsdp import is_own_hook
from paramtool.tensors.named_tensors import dtype_name, named_tensors

_OWN_LOADS = frozenset(kind._load_from_state_dict for kind in (nn.Module, _NormBase))
"""The loading code whose answer can be predicted."""

_SIZES = re.compile(r"size mismatch for (.+?): copying a param with shape")
_OBJECT = re.compile(r'While copying the parameter named "(.+?)", expected torch.Tensor')
_MOST_ZEROS = 1 << 27
"""Elements that are made to see whether a load fails for want of values."""

_KEYS = ("Missing key(s)", "Unexpected key(s)")


@dataclass(frozen=True)
class Loaded:
    """What torch answers, and where each tensor came from.

    Attributes:
        answer: what it says.
        sources: for the name of each tensor that was loaded, the key of the tensor that was copied into
            it as it is; None where it was computed from others.
        has_run: whether torch was asked; otherwise `answer` is predicted from names.
        failure: what the module's own code raised without values, if it did; `answer` is then predicted.
    """

    answer: Answer
    sources: Mapping[str, str | None] = field(default_factory=dict)
    has_run: bool = False
    failure: str | None = None


def is_ordinary(module: nn.Module) -> bool:
    """Return whether torch's own code alone loads `module`, with no hook, extra state or lazy tensor."""
    return type(module).load_state_dict is nn.Module.load_state_dict and all(
        map(_is_ordinary, module.modules())
    )


def _is_ordinary(module: nn.Module) -> bool:
    kind = type(module)
    own = ("load_state_dict", "_load_from_state_dict", "set_extra_state")
    return (
        kind._load_from_state_dict in _OWN_LOADS
        and kind.set_extra_state is nn.Module.set_extra_state
        and all(map(is_own_hook, module._load_state_dict_pre_hooks.values()))
        and all(map(is_own_hook, module._load_state_dict_post_hooks.values()))
        and not any(name in vars(module) for name in own)
        and None not in module._modules.values()
        and not any(is_lazy(each) for each in (*module.parameters(False), *module.buffers(False)))
    )


def saved(module: nn.Module) -> StateDict:
    """Return what ``module.state_dict()`` holds, its hooks and extra states included.

    Raises:
        UserCodeFailed: if the module's own code raises.
    """
    try:
        state = module.state_dict(keep_vars=True)
    except Exception as error:
        raise UserCodeFailed(f"state_dict() of {type(module).__name__} failed: {told(error)}") from error
    return state_of(state)


def state_of(state: Mapping[str, Any]) -> StateDict:
    """Return what a state_dict in memory holds."""
    first: dict[object, str] = {}
    entries, objects = [], []
    for name, value in state.items():
        if isinstance(value, Tensor):
            shape = None if is_lazy(value) else tuple(value.shape)
            entries.append(Entry(name, shape, dtype_name(value), first.setdefault(identity(value), name)))
        else:
            objects.append(name)
    metadata = getattr(state, "_metadata", None) or {}
    return StateDict(tuple(entries), tuple(objects), metadata)


def ask(module: nn.Module, state: StateDict) -> Loaded:
    """Return what ``module.load_state_dict(state, strict=True)`` says; `module` stays as it is.

    Extra states are not set: their keys are checked, as torch does.
    """
    listed = parameters(module)
    if is_ordinary(module):
        return Loaded(predicted(state, listed))
    try:
        return _answer(twin(module, "meta"), meta_state(state))
    except Exception as error:  # of its own code, or of a deep copy
        failure = told(error)
        if _fails_with_values(module, state, failure):
            return Loaded(Answer(others=(failure,)), has_run=True)
        return Loaded(predicted(state, listed), failure=failure)


def _fails_with_values(module: nn.Module, state: StateDict, failure: str) -> bool:
    """Return whether a load of zeros into zeros fails in the same way, so that values do not help."""
    given = [each for each in state.entries if each.shape is not None]
    needed = sum(math.prod(each.shape or ()) for each in given)
    needed += sum(each.tensor.numel() for each in named_tensors(module) if not is_lazy(each.tensor))
    if needed > _MOST_ZEROS:
        return False
    try:
        _answer(twin(module, "cpu"), meta_state(state, "cpu"))
    except Exception as error:
        return told(error) == failure
    return False


def _answer(copied: nn.Module, given: OrderedDict[str, Any]) -> Loaded:
    keys: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
    messages: list[str] = []
    names = [(each.name, each.tensor) for each in named_tensors(copied) if each.is_stored]
    # kept in names, so that no id is used again
    copied.register_load_state_dict_post_hook(lambda _, found: keys.append(_keys(found)))  # type: ignore[no-untyped-call]
    with without_extra_state(copied), _Copies(given) as copies, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            copied.load_state_dict(given, strict=True)
        except RuntimeError as error:
            head, *messages = str(error).split("\n\t")
            if not head.startswith("Error(s) in loading state_dict"):
                raise
    missing, unexpected = keys[-1] if keys else ((), ())
    if not messages:
        missing, unexpected = (), ()  # whatever loaded them forgave them
    sizes, others = _sorted_out(messages, given, copied)
    sources = {name: copies.sources[id(each)] for name, each in names if id(each) in copies.sources}
    kept = tuple(name for name, key in sources.items() if key is None and _is_count(copied, name, given))
    return Loaded(Answer(missing, unexpected, sizes, others, kept), sources, has_run=True)


def _keys(found: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(dict.fromkeys(found.missing_keys)), tuple(dict.fromkeys(found.unexpected_keys))


def _is_count(module: nn.Module, name: str, given: Mapping[str, Any]) -> bool:
    """Return whether `name` counts the batches of a BatchNorm, and `given` has none for it."""
    is_norm = isinstance(module.get_submodule(parent(name)), _NormBase)
    return is_norm and last_part(name) == "num_batches_tracked" and not isinstance(given.get(name), Tensor)


def _sorted_out(
    messages: Sequence[str], given: Mapping[str, Any], module: nn.Module
) -> tuple[tuple[Misfit, ...], tuple[str, ...]]:
    shapes = {name: _shape(each) for name, each in given.items() if isinstance(each, Tensor)}
    mine = {each.name: each.tensor for each in named_tensors(module)}
    sizes, others = [], []
    for message in messages:
        found, object_ = _SIZES.match(message), _OBJECT.match(message)
        name = found[1] if found else ""
        if name in shapes and name in mine:
            sizes.append(Misfit(name, shapes[name], _shape(mine[name])))
        elif object_:
            others.append(not_a_tensor(object_[1]))
        elif not message.startswith(_KEYS):
            others.append(message.strip().rstrip("."))
    return tuple(sizes), tuple(others)


def _shape(tensor: Tensor) -> tuple[int, ...] | None:
    return None if is_lazy(tensor) else tuple(tensor.shape)


def meta_state(state: StateDict, device: str = "meta") -> OrderedDict[str, Any]:
    """Return a state_dict of zeros, or of nothing on the meta device; an object is an empty dict."""
    given: OrderedDict[str, Any] = OrderedDict()
    first: dict[str, Tensor] = {}
    for each in state.entries:
        if each.tensor not in first:
            first[each.tensor] = _empty(each, device)
        given[each.name] = first[each.tensor]
    given.update((name, {}) for name in state.objects)
    given._metadata = OrderedDict((path, dict(said)) for path, said in state.metadata.items())  # type: ignore[attr-defined]
    return given


def _empty(entry: Entry, device: str) -> Tensor:
    dtype = getattr(torch, entry.dtype or "", None)
    kind = dtype if isinstance(dtype, torch.dtype) else torch.float32
    if entry.shape is None:
        return UninitializedParameter(device=device, dtype=kind)  # type: ignore[call-arg]
    return torch.zeros(entry.shape, dtype=kind, device=device)


class _Copies(TorchFunctionMode):
    """Notes which of the given tensors is copied into which of the module."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        super().__init__()
        self._names = {id(value): name for name, value in reversed(tuple(given.items()))}
        self.sources: dict[int, str | None] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is Tensor.copy_ and len(args) > 1:
            self.sources[id(args[0])] = self._names.get(id(args[1]))
        return func(*args, **(kwargs or {}))
