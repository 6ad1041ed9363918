"""Bytes after the end of what is read: formats without a length for the whole file let them pass."""

from __future__ import annotations

from paramtool.quantities import counted


def ignored(count: int, loader: str) -> tuple[str, ...]:
    """Return the note on `count` bytes that `loader` ignores too; nothing if there are none.

    They are no error: several saves in a row are read one after the other from an open file.
    """
    if count <= 0:
        return ()
    verb, them = ("is", "it") if count == 1 else ("are", "them")
    return (f"{counted(count, 'byte')} after the end {verb} ignored; {loader} ignores {them} too",)
