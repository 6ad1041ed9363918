"""Sizes in bytes, as messages and tables show them."""

from __future__ import annotations


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
