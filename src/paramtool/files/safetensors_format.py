"""The safetensors layout: a header that says where each tensor is, then the bytes of the tensors.

A file is the header's length (8 bytes, little-endian), the header (JSON), and the data without gaps:
https://huggingface.co/docs/safetensors.

**Order.** Data is laid out by the size of the dtype, largest first, and in the order given among
equals.  Then every tensor begins at a multiple of its element size, which readers that map the file
into memory need; a model of one dtype keeps its order, and the layout depends on nothing but dtypes
and order.  (To keep the given order only where it happens to be aligned would let a change of one
shape move all the others.)  The header names tensors in the order given, whatever their places, so
that the order of the model can be read back; the official library instead sorts by dtype and name,
and its readers take any order.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import mul
from typing import ClassVar

from paramtool.audience import worded
from paramtool.errors import ParamtoolError

METADATA = "__metadata__"
ALIGNMENT = 8
LONGEST_HEADER = 100_000_000
"""More than this the official library does not read."""

DTYPES = {
    "float64": ("F64", 8),
    "float32": ("F32", 4),
    "float16": ("F16", 2),
    "bfloat16": ("BF16", 2),
    "complex64": ("C64", 8),
    "int64": ("I64", 8),
    "int32": ("I32", 4),
    "int16": ("I16", 2),
    "int8": ("I8", 1),
    "uint64": ("U64", 8),
    "uint32": ("U32", 4),
    "uint16": ("U16", 2),
    "uint8": ("U8", 1),
    "bool": ("BOOL", 1),
    "float8_e4m3fn": ("F8_E4M3", 1),
    "float8_e5m2": ("F8_E5M2", 1),
    "float8_e4m3fnuz": ("F8_E4M3FNUZ", 1),
    "float8_e5m2fnuz": ("F8_E5M2FNUZ", 1),
    "float8_e8m0fnu": ("F8_E8M0", 1),
}
"""torch's name of a dtype: its code in the format, and the bytes of one element.

Those that safetensors 0.8.0 reads into torch one to one: complex128 it does not know, and the packed
float4_e2m1fn_x2 it stores under another shape.
"""

OTHER_SIZES = {"complex128": 16, "complex32": 4, "float4_e2m1fn_x2": 1}
"""The bytes of an element of dtypes that other formats have, but not this one."""

PAIRS = {"F4": "float4_e2m1fn_x2"}
"""Codes of dtypes with two elements in a byte: torch's dtype is the pair, and its last size is half."""


@dataclass(frozen=True)
class Entry:
    """One tensor to be stored: its name, torch's name of its dtype (``float32``), its shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Return the bytes of its elements."""
        known: int | None = self.__dict__.get("_nbytes")  # a cached_property takes a lock up to Python 3.11
        if known is None:
            known = self.__dict__["_nbytes"] = math.prod(self.shape) * self.itemsize
        return known

    @property
    def itemsize(self) -> int:
        """Return the bytes of one element."""
        if self.dtype in DTYPES:
            return DTYPES[self.dtype][1]
        if self.dtype not in OTHER_SIZES:
            raise self._unsupported()
        return OTHER_SIZES[self.dtype]

    def check(self) -> None:
        """Raise if its dtype is not one of the format's."""
        if self.dtype not in DTYPES:
            raise self._unsupported()

    def _unsupported(self) -> ParamtoolError:
        return ParamtoolError(
            f"cannot store {self.name!r}: the safetensors format has no dtype {self.dtype}",
            hint=f"it supports {', '.join(DTYPES)}",
        )


@dataclass(frozen=True)
class Layout:
    """A whole file: the bytes before the data, and where in the file each tensor begins and ends.

    Attributes:
        needs_checksums: whether `closing` takes the CRC-32 of each tensor.
    """

    needs_checksums: ClassVar[bool] = False

    head: bytes
    places: Mapping[str, tuple[int, int]]
    size: int

    def closing(self, checksums: Mapping[str, int]) -> Iterable[tuple[int, bytes]]:
        """Return what is written once all data are there, each with its place: here nothing."""
        del checksums
        return ()


def layout(entries: Sequence[Entry], metadata: Mapping[str, str]) -> Layout:
    """Return the layout of a file that holds `entries`; the same for the same arguments.

    Raises:
        ParamtoolError: if a name, dtype or shape cannot be stored, or the header is too long.
    """
    check(entries)
    offsets = dict(_offsets(entries))
    head = _head(_header(entries, metadata, offsets))
    start = len(head)
    places = {name: (start + begin, start + end) for name, (begin, end) in offsets.items()}
    return Layout(head, places, start + max((end for _, end in offsets.values()), default=0))


def check(entries: Iterable[Entry]) -> None:
    """Raise if one of `entries` cannot be stored under its name, dtype and shape."""
    seen: set[str] = set()
    fitting: set[tuple[str, tuple[int, ...]]] = set()
    for entry in entries:
        if entry.name == METADATA:
            raise ParamtoolError(f"cannot store {METADATA!r}: the safetensors format reserves that name")
        if entry.name in seen:
            raise ParamtoolError(f"cannot store {entry.name!r} twice in one file")
        seen.add(entry.name)
        if (entry.dtype, entry.shape) in fitting:
            continue
        entry.check()
        if not _fits(entry):
            raise ParamtoolError(
                f"cannot store {entry.name!r}: no file can hold the shape {list(entry.shape)}"
            )
        fitting.add((entry.dtype, entry.shape))


def _fits(entry: Entry) -> bool:
    # the official reader multiplies from the left in 64 bits, and refuses what overflows on the way
    if min(entry.shape, default=0) > 0:
        return 8 * entry.nbytes < 2**64  # and so no product on the way is larger
    products = accumulate(entry.shape, mul, initial=1)
    return min(entry.shape, default=0) >= 0 and max(products) < 2**64 and 8 * entry.nbytes < 2**64


def _offsets(entries: Iterable[Entry]) -> Iterator[tuple[str, tuple[int, int]]]:
    begin = 0
    for entry in sorted(entries, key=lambda each: -each.itemsize):
        yield entry.name, (begin, begin + entry.nbytes)
        begin += entry.nbytes


def _header(
    entries: Iterable[Entry], metadata: Mapping[str, str], offsets: Mapping[str, tuple[int, int]]
) -> str:
    """Return the JSON, put together by hand: a dictionary of every tensor would cost several times more."""
    quoted = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    parts = [f"{quoted(METADATA)}:{quoted(dict(sorted(metadata.items())))}"] if metadata else []
    kinds: dict[tuple[str, tuple[int, ...]], str] = {}
    for entry in entries:
        kind = kinds.get((entry.dtype, entry.shape))
        if kind is None:
            kind = f'"dtype":"{DTYPES[entry.dtype][0]}","shape":{quoted(entry.shape)}'
            kinds[entry.dtype, entry.shape] = kind
        begin, end = offsets[entry.name]
        parts.append(f'{quoted(entry.name)}:{{{kind},"data_offsets":[{begin},{end}]}}')
    return f"{{{','.join(parts)}}}"


def _head(text: str) -> bytes:
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        around = text[max(0, error.start - 30) : error.end + 30]
        raise ParamtoolError(f"cannot store a name or metadata that is not Unicode: {around!r}") from error
    encoded += b" " * (-len(encoded) % ALIGNMENT)
    if len(encoded) > LONGEST_HEADER:
        raise ParamtoolError(
            f"the header needs {len(encoded):,} bytes, but the safetensors format allows {LONGEST_HEADER:,}",
            hint=f"{worded('--max-shard-size', 'max_shard_size')} spreads the tensors over several files",
        )
    return len(encoded).to_bytes(8, "little") + encoded
