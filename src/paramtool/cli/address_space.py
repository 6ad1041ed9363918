"""A limited address space (``ulimit -v``): what does not fit is refused before it is loaded.

NumPy's OpenBLAS and torch's libraries end the process themselves, with any status, where they cannot map
their memory.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from paramtool.errors import ParamtoolError
from paramtool.quantities import byte_size

_MEBIBYTE = 1 << 20
_NEEDS = {"numpy": (96, 24), "torch": (560, 24)}
"""What loading a package maps: mebibytes, and mebibytes for each core, which has buffers and a thread."""


def limit() -> int | None:
    """Return the most bytes that this process may map; None if any."""
    import resource

    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if most == resource.RLIM_INFINITY else most


def guard() -> None:
    """Refuse from now on to import what does not fit; nothing happens where there is no limit."""
    if limit() is not None:
        sys.meta_path.insert(0, _Guard())


def reason() -> str:
    """Return the one line on memory that ran out."""
    most = limit()
    return "out of memory" if most is None else f"out of memory: 'ulimit -v' allows {byte_size(most)}"


class _Guard:
    """A finder that finds nothing, and refuses a package for which too little is left."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:
        """Return None; called once for each package, as a loaded one is not looked for."""
        del path, target
        if name in _NEEDS:
            base, each = _NEEDS[name]
            needed = (base + each * (os.cpu_count() or 1)) * _MEBIBYTE
            if not _fits(needed):
                message = f"loading {name} takes about {byte_size(needed)} of address space"
                hint = f"'ulimit -v' allows {byte_size(limit() or 0)}; raise it"
                raise ParamtoolError(message, hint=hint)


def _fits(size: int) -> bool:
    """Return whether `size` bytes can be mapped; nothing is written there, so no memory is taken."""
    import mmap

    try:
        mmap.mmap(-1, size).close()
    except (OSError, ValueError, MemoryError):
        return False
    return True
