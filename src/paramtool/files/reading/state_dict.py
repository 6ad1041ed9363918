"""Find the state_dict in what was pickled: it may lie beside an epoch, an optimizer and another one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading.checkpoint import MOST_NAMES
from paramtool.files.reading.pickled_calls import PickledTensor
from paramtool.quantities import and_more
from paramtool.suggestion import did_you_mean

USUAL_KEYS = (
    "state_dict", "model_state_dict", "model", "module", "net", "network", "weights", "params",
    "params_ema", "ema", "model_ema", "ema_state_dict", "teacher", "student", "generator", "encoder",
)  # fmt: skip
"""Where training scripts put it."""

_OPTIMIZER = "optim"
_DEEPEST = 8
_HIGHEST = 3
_MOST = 1_000_000
"""Entries of nested dicts that are looked at.  A small pickle may say that one dict is in many others."""


def find_state_dict(root: Any, key: str | None = None) -> dict[str, PickledTensor]:
    """Return tensors by their dotted names.

    Args:
        root: what the file holds.
        key: the dotted path of the state_dict, where the file has several.

    Raises:
        ParamtoolError: where there is none, or several and no key says which.
    """
    if isinstance(root, PickledTensor):
        raise ParamtoolError("it holds a tensor, no state_dict", hint="save it under a name, in a dict")
    if not isinstance(root, dict):
        raise ParamtoolError("it holds no dict, and a state_dict is one")
    if key is not None:
        chosen = _under(root, key)
        if chosen is None:
            inside = [_name(each) for each, value in root.items() if isinstance(value, dict)]
            hint = did_you_mean(key, inside) or f"there are {_listed(inside)}"
            raise ParamtoolError(f"it has no state_dict '{shorten(key)}'", hint=hint)
        return flat(chosen)
    candidates = dict(_candidates(root))
    if "" in candidates:
        return flat(root)
    usual = [path for path in candidates if path.rpartition(".")[2] in USUAL_KEYS]
    found = usual or [path for path in candidates if not path.startswith(_OPTIMIZER)]
    if not found:
        raise ParamtoolError("it holds no state_dict", hint="that is a dict of names and tensors")
    if len(found) > 1:
        raise ParamtoolError(
            f"it holds several state_dicts: {_listed(found)}",
            hint=f"name one after a colon, as in :{found[0]}",
        )
    return flat(candidates[found[0]])


def flat(state: dict[Any, Any]) -> dict[str, PickledTensor]:
    """Return the tensors of nested dicts by their dotted names; what is no tensor is left out."""
    found: dict[str, PickledTensor] = {}
    for path, value in _walk(state, _DEEPEST):
        if isinstance(value, PickledTensor):
            name = ".".join(path)
            if name in found:
                raise ParamtoolError(f"two of its tensors are called '{shorten(name)}'")
            if len(found) == MOST_NAMES:
                raise ParamtoolError(f"it has more than {MOST_NAMES:,} tensors")
            found[name] = value
    return found


def _candidates(root: Any) -> Iterator[tuple[str, dict[Any, Any]]]:
    """Yield every dict that has tensors, the outermost of those that lie in each other."""
    inside: tuple[str, ...] | None = None
    known: dict[int, bool] = {}
    for path, value in _walk(root, _HIGHEST):
        if not isinstance(value, dict) or (inside is not None and path[: len(inside)] == inside):
            continue
        if id(value) not in known:
            known[id(value)] = any(isinstance(each, PickledTensor) for each in value.values())
        if known[id(value)]:
            inside = path
            yield ".".join(path), value


def _walk(root: Any, depth: int) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield what is in nested dicts with the keys that lead there, in order; some dict may come often."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), root)]
    count = 0
    while waiting:
        path, value = waiting.pop()
        yield path, value
        if isinstance(value, dict) and len(path) < depth:
            count += len(value)
            if count > _MOST:
                raise ParamtoolError(f"it has more than {_MOST:,} entries")
            waiting.extend(((*path, _name(key)), inner) for key, inner in reversed(value.items()))


def _under(root: Any, key: str) -> dict[Any, Any] | None:
    value = root.get(key) if isinstance(root, dict) else None
    if value is None:
        value = root
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else None


def _name(key: Any) -> str:
    if isinstance(key, bytes):  # of Python 2
        return key.decode("ascii", "backslashreplace")
    return str(key) if isinstance(key, (str, int)) else "?"


def _listed(paths: Iterable[str]) -> str:
    words = [shorten(path) for path in paths]
    return f"{', '.join(words[:5]) or 'none'}{and_more(len(words) - 5)}"
