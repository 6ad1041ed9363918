"""The storages in a pickle: the memory of its tensors, which torch.save keeps outside of the pickle."""

from __future__ import annotations

import re
from typing import Any

from paramtool.files.reading.pickled_globals import STORAGES
from paramtool.files.reading.pickled_values import Broken, Name, Object, Storage

_PRINTED = re.compile(
    r"\('storage', <class '(?P<kind>[\w.]{1,80})'>, '(?P<key>[^'\\]{1,80})', "
    r"'(?P<device>[\w:.]{1,40})', (?P<numel>[0-9]{1,18})(, None)?\)"
)


def persistent(identity: Any) -> Any:
    """Return what stands for a persistent id: a storage, or the class of a module with its source.

    Raises:
        Broken: for a storage that is not described as torch does it.
    """
    kind = _text(identity[0]) if isinstance(identity, tuple) and identity else None
    if kind == "storage" and isinstance(identity, tuple):
        return _storage(identity)
    if kind == "module" and isinstance(identity, tuple) and len(identity) > 1:
        return identity[1]
    return Object("persistent id", (identity,))


def written(identity: bytes) -> Any:
    """Return what stands for a persistent id of protocol 0, where a tuple stands as Python prints it.

    torch writes such files and cannot read them.
    """
    match = _PRINTED.fullmatch(identity.decode("utf-8", "replace"))
    if match is None or match["kind"] not in STORAGES:
        return Object("persistent id", (identity.decode("utf-8", "replace"),))
    return Storage(STORAGES[match["kind"]], match["key"], int(match["numel"]), 0, match["device"])


def _storage(identity: tuple[Any, ...]) -> Storage:
    if len(identity) < 5:
        raise Broken
    _, kind, key, device, numel, *rest = identity
    name, place = _text(key), _text(device)
    is_known = isinstance(kind, Name) and kind.words in STORAGES
    if not is_known or name is None or type(numel) is not int or numel < 0:
        raise Broken
    view = rest[0] if rest else None
    start = 0
    if isinstance(view, tuple) and len(view) == 3:  # of torch before 0.4: a key, an offset, a size
        start = view[1]
        if type(start) is not int or start < 0:
            raise Broken
    return Storage(STORAGES[kind.words], name, numel, start, place or "")


def _text(value: Any) -> str | None:
    """Return a text, which Python 2 pickled as bytes."""
    if isinstance(value, bytes):
        return value.decode("ascii", "backslashreplace")
    return value if isinstance(value, str) else None
