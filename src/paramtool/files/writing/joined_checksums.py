"""The CRC-32 of bytes from those of their parts, which may have been written in any order.

Appending n bytes to A multiplies the CRC of A by x^(8n), modulo the polynomial of CRC-32; zlib's own
``crc32_combine`` does the same, and Python does not offer it.
"""

from __future__ import annotations

from functools import lru_cache

_POLYNOMIAL = 0xEDB88320  # bits reversed: the highest bit is that of x^0
_ONE = 1 << 31


def joined(first: int, second: int, size: int) -> int:
    """Return the CRC-32 of A followed by B.

    >>> import zlib
    >>> joined(zlib.crc32(b"hello "), zlib.crc32(b"world"), 5) == zlib.crc32(b"hello world")
    True

    Args:
        first: of A.
        second: of B.
        size: bytes of B.
    """
    return (_product(_power(8 * size), first) if first else 0) ^ second


@lru_cache(maxsize=1024)
def _power(bits: int) -> int:
    """Return x to the power of `bits`."""
    found, square = _ONE, _ONE >> 1
    while bits:
        if bits & 1:
            found = _product(square, found)
        square = _product(square, square)
        bits >>= 1
    return found


def _product(one: int, other: int) -> int:
    found, bit = 0, _ONE
    while one:
        if one & bit:
            found ^= other
            one ^= bit
        bit >>= 1
        other = (other >> 1) ^ (_POLYNOMIAL if other & 1 else 0)
    return found
