"""Import the file that a person typed: this runs their code."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from paramtool.errors import CannotOpen
from paramtool.language.python_source import read_source
from paramtool.network.current_folder import SOURCE, is_open

_PROJECT = ("pyproject.toml", "setup.py", "setup.cfg", ".git")
_INIT = "__init__.py"


def import_file(file: str) -> ModuleType:
    """Import a file as the module that it is in its own package, so that its imports work.

    Its folder, or that of its package, the ``src`` folder and the project around it can be imported from.
    They come after what is installed, so that no file in them hides it.

    Raises:
        CannotOpen: if there is no such file, or another module has its name.
    """
    parents = read_source(file).parents
    path = Path(file).absolute()
    root, name = module_of(path, parents)
    for each in (*_roots(path), root):
        _search(each)
    importlib.invalidate_caches()
    known = next((each for each in list(sys.modules.values()) if _file_of(each) == path), None)
    if known is not None:
        return known
    return _in_package(name, path) if "." in name else _alone(name, path)


def module_of(path: Path, parents: int) -> tuple[Path, str]:
    """Return the folder that a file is imported from, and its dotted name there.

    Args:
        path: absolute.
        parents: folders that its relative imports need: above those with an ``__init__.py``, which are its
            package, those up to ``src``, the project or the current folder are a namespace package.
    """
    folder = path.parent
    names = [] if path.name == _INIT else [path.stem]
    while (folder / _INIT).is_file() and folder.name.isidentifier():
        names.insert(0, folder.name)
        folder = folder.parent
    if len(names) > parents:
        return folder, ".".join(names)
    for top in _roots(path):
        if path.is_relative_to(top):
            between = path.parent.relative_to(top).parts
            if len(between) >= parents and all(each.isidentifier() for each in between):
                return top, ".".join((*between, path.stem))
    while len(names) <= parents and folder.name.isidentifier():
        names.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(names)


def _roots(path: Path) -> Iterator[Path]:
    """Yield the folders that hold whole packages around a file, the nearest last."""
    around = list(path.parents)
    yield from [each for each in around if each.name == SOURCE][:1]
    yield from [each for each in around if any((each / name).exists() for name in _PROJECT)][:1]
    if is_open():
        yield Path.cwd()


def _search(folder: Path) -> None:
    """Let modules be found in a folder: after what is installed."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _file_of(module: object) -> Path | None:
    try:
        file = getattr(module, "__file__", None)
        return Path(file) if isinstance(file, str) else None
    except Exception:  # a lazy module may raise anything
        return None


def _in_package(name: str, path: Path) -> ModuleType:
    module = importlib.import_module(name)
    found = _file_of(module)
    if found is None or not found.samefile(path):
        raise CannotOpen(f"{path} is {name}, but another {name} comes first: {found or 'it is built in'}")
    return module


def _alone(name: str, path: Path) -> ModuleType:
    """Import a file that is in no package; one that is called like a known module keeps out of its way."""
    if name in sys.modules or name in sys.stdlib_module_names or not name.isidentifier():
        name = f"_paramtool_file_{path.stem}"
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses and pickles look for it
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module
