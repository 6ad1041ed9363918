"""What a module holds: in its registers, which torch walks, and beside them, which torch does not see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from paramtool.errors import ParamtoolError, UserCodeFailed, shorten

_REGISTERS: dict[str, tuple[type, str]] = {
    "_parameters": (Tensor, "a tensor"),
    "_buffers": (Tensor, "a tensor"),
    "_modules": (nn.Module, "a module"),
}


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


def _path(above: Sequence[tuple[str, Any, Any]], *names: str) -> str:
    return shorten(".".join(filter(None, (*(each for each, *_ in above), *names))))


def _described(value: object) -> str:
    kind = type(value).__name__
    return f"{'an' if kind[:1].lower() in 'aeiou' else 'a'} {kind}"
