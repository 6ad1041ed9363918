"""Read what the installed torch offers from its own files, without importing it.

An import takes a second or two and half a gigabyte of memory; the names of classes, functions,
arguments and dtypes stand in the text of a few files.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path

from paramtool.language.arguments import HARDWARE

LEFT_OUT = frozenset((*HARDWARE, "generator", "options"))
"""Arguments that choose hardware or take objects that plain data cannot write."""

_VERSION = re.compile(r"^__version__ = '([^']+)'", re.MULTILINE)
_DTYPE = re.compile(r"^(\w+): dtype = ", re.MULTILINE)
_ALIASES = frozenset(("float", "double", "half", "short", "int", "long", "cfloat", "cdouble", "chalf"))
_UNWRITABLE = ("q", "bits")
"""How the names of dtypes begin whose values plain data cannot write."""


class TorchSource:
    """The files of one installed torch; a file that is missing as text is empty."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def version(self) -> str:
        """The version without its local part, such as ``2.13.0``."""
        return self.whole_version.partition("+")[0]

    @cached_property
    def whole_version(self) -> str:
        """``torch.__version__``, such as ``2.13.0+cpu``."""
        found = _VERSION.search(self._text("version.py"))
        return found[1] if found else ""

    @cached_property
    def modules(self) -> dict[str, str]:
        """The public classes of torch.nn.modules, each with the file that defines it."""
        tree = ast.parse(self._text("nn/modules/__init__.py"))
        imports = [each for each in tree.body if isinstance(each, ast.ImportFrom) and each.level == 1]
        return {
            name.name: f"nn/modules/{each.module}.py"
            for each in imports
            for name in each.names
            if not name.name.endswith("Options")  # records that a class takes, no modules
        }

    @cached_property
    def dtypes(self) -> tuple[str, ...]:
        """The names of the dtypes that a spec can write."""
        names = set(_DTYPE.findall(self._text("_C/__init__.pyi"))) - _ALIASES
        return tuple(sorted(name for name in names if not name.startswith(_UNWRITABLE)))

    @cache  # noqa: B019 - one source for each process
    def module_arguments(self, name: str) -> frozenset[str]:
        """Return what the class `name` takes; nothing if its text does not say, as with ``*args``."""
        path = self.modules.get(name)
        if path is None:
            return frozenset()
        body = ast.parse(self._text(path)).body
        classes = {each.name: each for each in body if isinstance(each, ast.ClassDef)}
        while name in classes:
            made = [each for each in classes[name].body if isinstance(each, ast.FunctionDef)]
            constructor = [each for each in made if each.name == "__init__"]
            if constructor:
                return frozenset(_arguments(constructor[-1]))
            name = next((each.id for each in classes[name].bases if isinstance(each, ast.Name)), "")
        return frozenset()

    def _text(self, path: str) -> str:
        try:
            return (self._folder / path).read_text("utf-8")
        except OSError:
            return ""


@cache
def installed_source() -> TorchSource | None:
    """Return the files of the torch that an import would find, or None without one."""
    spec = find_spec("torch")
    return TorchSource(Path(spec.origin).parent) if spec and spec.origin else None


def _arguments(function: ast.FunctionDef) -> Iterator[str]:
    written = function.args
    for each in (*written.posonlyargs, *written.args, *written.kwonlyargs):
        if each.arg != "self" and each.arg not in LEFT_OUT and not each.arg.startswith("_"):
            yield each.arg
