"""What a module holds: in its registers, which torch walks, and beside them, which torch does not see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from paramtool.errors import ParamtoolError, UserCodeFailed, shorten
from paramtool.quantities import counted

_REGISTERS: dict[str, tuple[type, str]] = {
    "_parameters": (Tensor, "a tensor"),
    "_buffers": (Tensor, "a tensor"),
    "_modules": (nn.Module, "a module"),
}


_OWN = frozenset(vars(nn.Module()))
"""What torch itself keeps in every module."""

_LEVELS = 4
"""How deep a container in a container is looked at."""


def check_members(module: Any, above: Sequence[tuple[str, Any, Any]], name: str = "") -> None:
    """Refuse a module that torch itself cannot walk.

    Args:
        module: what is registered as one.
        above: the names on the way to it, the root's first, each with whatever else.
        name: its own.

    Raises:
        UserCodeFailed: where its constructor did not call that of ``nn.Module``.
        ParamtoolError: where a register holds something of another kind.
    """
    if not isinstance(module, nn.Module):
        path = _path(above, name)
        raise ParamtoolError(f"'{path}' in _modules is {_described(module)}, not a module")
    for register, (kind, article) in _REGISTERS.items():
        members = getattr(module, register, None)
        if members is None:
            path, own = _path(above, name), type(module).__name__
            owner = f"'{path}' ({own})" if path else own
            raise UserCodeFailed(f"{owner} has no {register}: its __init__ did not call super().__init__()")
        for key, each in members.items():
            if each is not None and not isinstance(each, kind):
                path = _path(above, name, str(key))
                raise ParamtoolError(f"'{path}' in {register} is {_described(each)}, not {article}")


def unseen(module: nn.Module) -> list[str]:
    """Return a note for each attribute whose layers, Parameters or packed weights torch does not see."""
    modules = dict(module.named_modules())
    known = {*map(id, modules.values()), *map(id, module.parameters()), *map(id, module.buffers())}
    notes = []
    for path, each in modules.items():
        for name, value in vars(each).items():
            place = shorten(f"{path}.{name}" if path else name)
            if isinstance(value, torch.ScriptObject):
                notes.append(f"'{place}' has its weights packed in an object of torch's: not listed")
            elif name not in _OWN and isinstance(value, (list, tuple, dict, set)):
                found = {id(inner): inner for inner in _held(value, _LEVELS) if id(inner) not in known}
                if found:
                    notes.append(_unseen(place, value, list(found.values())))
    return notes


def _held(value: object, levels: int) -> Iterator[nn.Module | nn.Parameter]:
    """Yield the modules and Parameters in a container, and in those inside it."""
    if isinstance(value, (nn.Module, nn.Parameter)):
        yield value
    elif levels and isinstance(value, (list, tuple, dict, set)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _held(each, levels - 1)


def _unseen(place: str, value: object, found: list[nn.Module | nn.Parameter]) -> str:
    tensors = {
        id(each): each
        for one in found
        for each in (one.parameters() if isinstance(one, nn.Module) else [one])
    }
    count = sum(0 if is_lazy(each) else each.numel() for each in tensors.values())
    kind = type(value).__name__
    return (
        f"'{place}' is a plain {kind} with {counted(count, 'parameter')}:"
        " no optimizer, state_dict or .to() sees them;"
        f" {'nn.ModuleDict or nn.ParameterDict' if kind == 'dict' else 'nn.ModuleList or nn.ParameterList'}"
        " does"
    )


def _path(above: Sequence[tuple[str, Any, Any]], *names: str) -> str:
    return shorten(".".join(filter(None, (*(each for each, *_ in above), *names))))


def _described(value: object) -> str:
    kind = type(value).__name__
    return f"{'an' if kind[:1].lower() in 'aeiou' else 'a'} {kind}"
