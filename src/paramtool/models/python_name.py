"""A MODEL that is written without its colon: ``torch.nn.Linear``, or the name of a Python module."""

from __future__ import annotations

import re
from pathlib import Path

from paramtool.errors import CannotOpen
from paramtool.language.python_source import Definition, Source, try_source
from paramtool.models.form import SUFFIXES
from paramtool.plugins.source import spec_of

_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
MOST_SHOWN = 5


def in_python(name: str) -> CannotOpen | None:
    """Return the error for a dotted name that could be imported, at least in part; nothing is imported."""
    others = (Path(name + each) for each in SUFFIXES if each != ".py")
    if name.endswith(SUFFIXES) or not _DOTTED.fullmatch(name) or any(each.exists() for each in others):
        return None
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        module, path = ".".join(parts[:count]), ".".join(parts[count:])
        file = _source_file(module)
        if file is None:
            continue
        if path:
            meant = f"{module}:{path}"
            error = CannotOpen(f"{name} is a name in Python", hint=f"did you mean '{meant}'?")
            return error.mended(name, meant)
        what, first = choice(module, try_source(file))
        if first is None:
            return CannotOpen(f"{name} is a Python module", hint=f"name an object in it, as {name}:NAME")
        meant = f"{module}:{first.name}"
        return CannotOpen(what, hint=f"name one, e.g. {meant}").mended(name, meant)
    return None


def choice(name: str, source: Source) -> tuple[str, Definition | None]:
    """Return what a file defines, in words, and the first that builds without arguments, if any does.

    Args:
        name: the file or the module.
        source: what is in it.
    """
    if not source.modules:
        return f"{name} is Python, but defines no module", None
    names = [each.name for each in source.modules]
    more = len(names) - MOST_SHOWN
    listed = ", ".join(names[:MOST_SHOWN]) + (f" and {more:,} more" if more > 0 else "")
    easy = (each for each in source.modules if not each.required)
    return f"{name} is Python; it defines {listed}", next(easy, source.modules[0])


def _source_file(module: str) -> str | None:
    """Return the file of a module that can be imported, here, from ``src`` or as it is installed."""
    inner = Path(*module.split("."))
    for root in (Path(), Path("src")):
        for file in (root / inner.with_suffix(".py"), root / inner / "__init__.py"):
            if file.is_file():
                return str(file)
    try:
        spec = spec_of(module)
    except (ImportError, AttributeError, KeyError, ValueError):
        return None
    if spec is None:
        return None
    return spec.origin or ("" if spec.submodule_search_locations else None)
