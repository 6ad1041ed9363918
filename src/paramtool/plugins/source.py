"""Functions in Python source, read without running it."""

from __future__ import annotations

import ast
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import decode_source
from pathlib import Path


def functions(source: str | bytes, file: str) -> dict[str, ast.FunctionDef]:
    """Return the functions at the top of a module by name.

    Raises:
        SyntaxError: if it is not Python.
        ValueError: for a NUL in it.
        RecursionError, MemoryError: if it is nested too deep.
    """
    body = ast.parse(source, file).body
    return {each.name: each for each in body if isinstance(each, ast.FunctionDef)}


def definition(module: str, attribute: str) -> ast.FunctionDef | None:
    """Return the function `attribute` of an importable module, or None if its source has none.

    Neither the module nor the packages around it run.
    """
    try:
        return of_spec(spec_of(module), attribute)
    except (ImportError, KeyError, ValueError):  # a namespace package in a package
        return None


def of_spec(spec: ModuleSpec | None, attribute: str) -> ast.FunctionDef | None:
    """Return the function `attribute` of what `spec` would load: a file, or a member of a zip archive."""
    if spec is None:
        return None
    try:
        return functions(_text(spec), spec.name).get(attribute)
    except (ImportError, OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # of what nobody has asked to run


def _text(spec: ModuleSpec) -> str:
    """Return the source of a module; nothing if there is none to read."""
    get_source = getattr(spec.loader, "get_source", None)
    if get_source is not None:
        return get_source(spec.name) or ""
    if spec.has_location and spec.origin is not None:  # a tool has put its own loader around the real one
        return decode_source(Path(spec.origin).read_bytes())
    return ""


def spec_of(module: str) -> ModuleSpec | None:
    """Return what ``import module`` would load, found without running its packages."""
    found, path = None, None
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        found = PathFinder.find_spec(".".join(parts[:count]), path)
        path = list(found.submodule_search_locations or ()) if found else []
    return found
