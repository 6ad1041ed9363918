"""Reading the JSON of a safetensors header strictly, tensor by tensor, since files are untrusted.

A header may have 100 MB, and JSON of that size any number of objects.  So it is not parsed as a whole:
names and texts are read one by one, and what describes a tensor is short.

Nearly all headers are in the one form that the libraries write: no spaces, no escapes, the three fields
in their order.  These are found by one regular expression in a tenth of the time (`_usual`).  It either
reads the whole header or says nothing, and then the strict reader goes over it from the start: so there
is one place where errors are found, and one answer.
"""

from __future__ import annotations

import re
from math import prod
from operator import sub
from typing import NamedTuple

from paramtool.errors import shorten
from paramtool.files.reading.checkpoint import MOST_NAMES
from paramtool.files.reading.safetensors_cursor import Cursor
from paramtool.files.safetensors_format import DTYPES, METADATA, PAIRS

MOST_DIMENSIONS = 64
"""As many as torch's own kernels take."""

_BITS = {code: (name, 8 * size) for name, (code, size) in DTYPES.items()} | {
    **{code: (name, 4) for code, name in PAIRS.items()},
    "F6_E2M3": ("float6_e2m3", 6),
    "F6_E3M2": ("float6_e3m2", 6),
}
"""The codes of dtypes: torch's name, and the bits of one element as the header counts them."""

_MISSING = {
    name: f"of the dtype {code}, which torch does not have"
    for code, (name, _) in _BITS.items()
    if code.startswith("F6_")
}
_METADATA_FIRST = f'{{"{METADATA}":{{'


_SIZE = "(?:0|[1-9][0-9]{0,17})"
_ONE = re.compile(
    r'"([^"\\\x00-\x1f]*)":\{"dtype":"([A-Z0-9_]{1,12})",'
    rf'"shape":\[((?:{_SIZE}(?:,{_SIZE}){{0,{MOST_DIMENSIONS - 1}}})?)\],'
    rf'"data_offsets":\[({_SIZE}),({_SIZE})\]\}}(?:,|\}}(?= *\Z))'
)
"""One tensor as the libraries write it, with what follows it."""

_AROUND = len('"":{"dtype":"","shape":[],"data_offsets":[,]},')
"""Characters of a match beside what is in its groups."""


class Header(NamedTuple):
    """The tensors of a header, in the order of the text, as columns of one length.

    Attributes:
        names: as the file has them.
        kinds: the dtype and the shape of each, as torch has them; one object for all that are alike.
        begins, ends: the bytes of each in the data.
    """

    names: list[str]
    kinds: list[tuple[str, tuple[int, ...]]]
    begins: list[int]
    ends: list[int]


def lack_of(dtype: str) -> str | None:
    """Return why elements of a dtype cannot be read; None if they can."""
    return _MISSING.get(dtype)


def parse_header(text: str) -> tuple[Header, dict[str, str]]:
    """Return the tensors and the metadata.

    Raises:
        ValueError: for what is no header, with a line on what is wrong.
    """
    return _usual(text) or _strict(text)


def _usual(text: str) -> tuple[Header, dict[str, str]] | None:
    """Return what the header says if it is in the usual form and all is well; None otherwise."""
    metadata, start = {}, 1
    if text.startswith(_METADATA_FIRST):
        cursor = Cursor(text, len(_METADATA_FIRST) - 1)
        metadata = _metadata(cursor)
        start = cursor.at + 1
        if text[cursor.at : start] != ",":
            return None
    if text[:1] != "{" or not _ONE.match(text, start) or text.count('"dtype":') > MOST_NAMES:
        return None
    end = len(text.rstrip(" "))
    columns = list(zip(*_ONE.findall(text, start), strict=True))
    # The matches do not overlap, so they are the whole text where their lengths add up to its length.
    length = sum(len("".join(column)) for column in columns) + _AROUND * len(columns[0])
    if length != end - start or text[end - 1] != "}":
        return None
    found = _checked(*columns)
    names = set(columns[0])
    if found is None or METADATA in names or len(names) != len(columns[0]):
        return None
    return found, metadata


def _checked(
    names: tuple[str, ...],
    codes: tuple[str, ...],
    sizes: tuple[str, ...],
    begins: tuple[str, ...],
    ends: tuple[str, ...],
) -> Header | None:
    """Return the columns of the matches as a header; None where one is unusual or wrong."""
    known = {each: _kind(*each) for each in set(zip(codes, sizes, strict=True))}
    kinds = list(map(known.__getitem__, zip(codes, sizes, strict=True)))
    first, last = list(map(int, begins)), list(map(int, ends))
    found = [each[0] for each in kinds if each is not None]
    nbytes = [each[1] for each in kinds if each is not None]
    return Header(list(names), found, first, last) if nbytes == list(map(sub, last, first)) else None


def _kind(code: str, sizes: str) -> tuple[tuple[str, tuple[int, ...]], int] | None:
    """Return a dtype and a shape, and their bytes; None where they are unusual or wrong."""
    shape = tuple(map(int, sizes.split(","))) if sizes else ()
    if code not in _BITS or code in PAIRS:
        return None
    dtype, bits = _BITS[code]
    nbytes = prod(shape) * bits // 8
    try:
        _check_place(shape, (0, nbytes), bits)
    except ValueError:
        return None
    return (dtype, shape), nbytes


def _strict(text: str) -> tuple[Header, dict[str, str]]:
    """Return what the header says, whatever form it is in."""
    found: dict[str, tuple[tuple[str, tuple[int, ...]], tuple[int, ...]]] = {}
    metadata: dict[str, str] | None = None
    cursor = Cursor(text)
    for name in cursor.items():
        if name == METADATA:
            if metadata is not None:
                raise ValueError("its metadata appear twice")
            metadata = {} if cursor.null() else _metadata(cursor)
        elif name in found:
            raise ValueError(f"the tensor '{shorten(name)}' appears twice")
        elif len(found) == MOST_NAMES:
            raise ValueError(f"it has more than {MOST_NAMES:,} tensors")
        else:
            found[name] = _described(name, cursor)
    cursor.end()
    kinds, places = [kind for kind, _ in found.values()], [place for _, place in found.values()]
    begins, ends = [place[0] for place in places], [place[1] for place in places]
    return Header(list(found), kinds, begins, ends), metadata or {}


def _metadata(cursor: Cursor) -> dict[str, str]:
    texts: dict[str, str] = {}
    for key in cursor.items():
        if key in texts:
            raise ValueError(f"'{shorten(key)}' appears twice in its metadata")
        if len(texts) == MOST_NAMES:
            raise ValueError(f"its metadata have more than {MOST_NAMES:,} entries")
        texts[key] = cursor.string()
    return texts


def _described(name: str, cursor: Cursor) -> tuple[tuple[str, tuple[int, ...]], tuple[int, ...]]:
    """Return the dtype and shape of a tensor, and its first byte and the one after its last."""
    try:
        value = cursor.description()
        code, shape = value["dtype"], _integers(value["shape"], "shape")
        dtype, bits = _dtype(code)
        offsets = _integers(value["data_offsets"], "data_offsets")
        _check_place(shape, offsets, bits)
        if code in PAIRS:
            shape = _packed(shape)
    except ValueError as error:
        raise ValueError(f"the tensor '{shorten(name)}': {error}") from error
    return (dtype, shape), offsets


def _dtype(code: object) -> tuple[str, int]:
    known = _BITS.get(code) if isinstance(code, str) else None
    if known is None:
        raise ValueError(f"the safetensors format has no dtype {shorten(str(code))}")
    return known


def _integers(value: object, what: str) -> tuple[int, ...]:
    if not (isinstance(value, list) and all(type(each) is int for each in value)):
        raise ValueError(f"its {what} is not a list of integers")
    if any(not 0 <= each < 2**63 for each in value):
        raise ValueError(f"its {what} has a number below 0 or beyond 64 bits")
    return tuple(value)


def _check_place(shape: tuple[int, ...], offsets: tuple[int, ...], bits: int) -> None:
    if len(shape) > MOST_DIMENSIONS:
        raise ValueError(f"{len(shape):,} dimensions; at most {MOST_DIMENSIONS}")
    if len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ValueError("its data_offsets are not a begin and an end")
    extent, count = bits, bits
    for each in shape:
        extent, count = extent * max(each, 1), count * each
        if extent >= 2**66:  # torch's strides would overflow
            raise ValueError("no memory holds its shape")
    if count % 8:
        raise ValueError(f"its shape needs {count:,} bits, which are not whole bytes")
    if count != 8 * (offsets[1] - offsets[0]):
        raise ValueError(f"its shape needs {count // 8:,} bytes, and it has {offsets[1] - offsets[0]:,}")


def _packed(shape: tuple[int, ...]) -> tuple[int, ...]:
    if not shape or shape[-1] % 2:
        raise ValueError("its last size is odd, and two elements share a byte")
    return (*shape[:-1], shape[-1] // 2)
