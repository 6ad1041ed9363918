"""The current folder, and ``src`` in it: imported from last, and only what is nowhere else."""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder

SOURCE = "src"
_FIRST = "PYTHONPATH=. puts the current folder first"


def reach(module: str) -> None:
    """Let `module` be imported from the current folder, if it is there and not installed.

    The folder goes to the end of ``sys.path``, so that no file in it hides an installed package.  It
    is left out where ``python -P`` or ``PYTHONSAFEPATH`` say so.
    """
    top = module.partition(".")[0]
    if not is_open():
        return
    installed = _installed(top)
    may_be_here = installed is None or installed.origin is None  # a namespace package may go on in a folder
    for folder in _folders():
        if may_be_here and folder not in sys.path and PathFinder.find_spec(top, [folder]) is not None:
            sys.path.append(folder)


def is_open() -> bool:
    """Return whether the current folder may be imported from."""
    return not _kept_out()


def obstacle(module: str) -> str | None:
    """Return why a `module` of the current folder was not imported; None if it is not there."""
    top = module.partition(".")[0]
    local = PathFinder.find_spec(top, _folders())
    if local is None:
        return None
    installed = _installed(top)
    if installed is not None and installed.origin not in (None, local.origin):
        return f"'{top}' of the current folder comes after {installed.origin}; {_FIRST}"
    return f"{_kept_out()} keeps the current folder out; PYTHONPATH=. lets it in" if _kept_out() else None


def _folders() -> list[str]:
    try:
        here = os.getcwd()  # noqa: PTH109 - as sys.path has it
    except OSError:  # it was removed
        return []
    return [here, os.path.join(here, SOURCE)]  # noqa: PTH118 - the same


def _kept_out() -> str | None:
    """Return what the person said to keep the current folder from ``sys.path``; Python 3.10 ignores both."""
    if not sys.flags.ignore_environment and os.environ.get("PYTHONSAFEPATH"):
        return "PYTHONSAFEPATH"
    return "python -P" if getattr(sys.flags, "safe_path", False) else None


def _installed(top: str) -> ModuleSpec | None:
    """Return where a module comes from without the current folder."""
    if top in sys.modules:
        return sys.modules[top].__spec__ or ModuleSpec(top, None, origin="what is loaded")
    return importlib.util.find_spec(top)
