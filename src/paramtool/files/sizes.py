"""Sizes in bytes, as people write and read them."""

from __future__ import annotations

import re
from decimal import Decimal

from paramtool.errors import ParamtoolError

UNITS = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_SPELLINGS = {**UNITS, "": 1, "kB": 1000}
_SIZE = re.compile(r"\s*([0-9]{1,20}(?:\.[0-9]{1,20})?)\s*([A-Za-z]*)\s*")


def parse_size(text: str) -> int:
    """Return the bytes that `text` says: ``5GB``, ``512 MiB``, ``1.5GB``, or a plain number.

    Units are those of `UNITS`, as spelled there: for some tools ``Gb`` is a gigabit.

    Raises:
        ParamtoolError: where `text` is no size, or less than one byte.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ParamtoolError(f"{text!r} is no size", hint="write it like 5GB or 512MiB")
    number, unit = match.groups()
    if unit not in _SPELLINGS:
        raise ParamtoolError(f"unknown unit {unit!r} in {text!r}", hint=f"known are {', '.join(UNITS)}")
    size = int(Decimal(number) * _SPELLINGS[unit])
    if size < 1:
        raise ParamtoolError(f"the size {text!r} is less than one byte")
    return size


def byte_size(count: int) -> str:
    """Return `count` bytes in decimal units: ``76 B``, ``497.8 MB``."""
    if count < 1000:
        return f"{count} B"
    size = float(count)
    for unit in ("kB", "MB", "GB", "TB", "PB"):
        size /= 1000
        if round(size, 1) < 1000:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:,.1f} EB"
