"""The pickle of a state_dict, as torch.save writes it with protocol 2, made without torch."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence

from paramtool.files.safetensors_format import Entry

_STORAGES = {
    "float64": "Double", "float32": "Float", "float16": "Half", "bfloat16": "BFloat16", "int64": "Long",
    "int32": "Int", "int16": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool",
    "complex128": "ComplexDouble", "complex64": "ComplexFloat",
}  # fmt: skip
"""The storages of the dtypes that have one; tensors of all others are views of plain bytes."""

_ORDERED = b"ccollections\nOrderedDict\n)R"
_MARK, _TUPLE, _SET, _REDUCE, _BUILD, _FALSE = b"(", b"t", b"u", b"R", b"b", b"\x89"
_PERSISTENT = b"Q"


def state_pickle(entries: Sequence[Entry], names: Mapping[str, str], versions: Mapping[str, int]) -> bytes:
    """Return the pickle of an ``OrderedDict`` of tensors; the storage of the first entry has the key 0.

    Args:
        entries: one for each storage, which its elements fill in row-major order.
        names: every name in the order of the state_dict, and the entry that it is.
        versions: of modules by their paths; none leave ``_metadata`` out.
    """
    tensors = {each.name: _tensor(each, number) for number, each in enumerate(entries)}
    items = ((_text(name), tensors[first]) for name, first in names.items())
    parts = [b"\x80\x02", _ORDERED, *_items(items)]
    if versions:
        said = (
            (_text(path), b"}" + _text("version") + _integer(version) + b"s")
            for path, version in versions.items()
        )
        parts += [b"}", _text("_metadata"), _ORDERED, *_items(said), b"s", _BUILD]
    return b"".join([*parts, b"."])


def _items(items: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
    yield _MARK
    for key, value in items:
        yield key + value
    yield _SET


def _tensor(entry: Entry, number: int) -> bytes:
    """Return the call that rebuilds one tensor over its storage."""
    known = _STORAGES.get(entry.dtype)
    if known is None:
        function, kind, count = "_rebuild_tensor_v3", b"ctorch.storage\nUntypedStorage\n", entry.nbytes
        dtype = f"ctorch\n{entry.dtype}\n".encode()
    else:
        function, kind, count = "_rebuild_tensor_v2", f"ctorch\n{known}Storage\n".encode(), _numel(entry)
        dtype = b""
    storage = _MARK + _text("storage") + kind + _text(str(number)) + _text("cpu") + _integer(count) + _TUPLE
    sizes, steps = (
        _MARK + b"".join(map(_integer, each)) + _TUPLE for each in (entry.shape, _steps(entry.shape))
    )
    view = _integer(0) + sizes + steps + _FALSE + _ORDERED + dtype
    return f"ctorch._utils\n{function}\n".encode() + _MARK + storage + _PERSISTENT + view + _TUPLE + _REDUCE


def _numel(entry: Entry) -> int:
    return entry.nbytes // entry.itemsize


def _steps(shape: tuple[int, ...]) -> list[int]:
    """Return the strides that torch gives a contiguous tensor."""
    steps, step = [], 1
    for size in reversed(shape):
        steps.append(step)
        step *= max(size, 1)
    return steps[::-1]


def _text(text: str) -> bytes:
    encoded = text.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def _integer(number: int) -> bytes:
    return pickle.dumps(number, 2)[2:-1]
