"""One Python file of initializers, as ``--plugin FILE`` names it: read without running it, and run.

An initializer is a function ``(tensor, **options)`` that fills its tensor in place; what is declared with
``@paramtool.initializer`` may call the tensor otherwise.  With ``@paramtool.initializer(replaces=False)``,
or the attribute ``replaces = False``, it is given the present values, and changes some; else NaN, all of
which it replaces.
"""

from __future__ import annotations

import ast
import inspect
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import TypeVar

from paramtool.errors import BadArgument, ParamtoolError, UserCodeFailed, told
from paramtool.foreign_code import foreign_code
from paramtool.place import Place, Text
from paramtool.plugins import source
from paramtool.plugins.initializer import FIRST, is_declared
from paramtool.plugins.offer import RENAME

Found = TypeVar("Found")


@dataclass(frozen=True)
class FromFile:
    """An initializer of a file that the person named, which has been imported."""

    name: str
    file: str
    function: Callable[..., object]

    remedy = RENAME

    @property
    def value(self) -> str:
        return f"{self.file}:{self.name}"

    @property
    def owner(self) -> str:
        return self.file

    @property
    def origin(self) -> str:
        return self.file

    @property
    def typed(self) -> str:
        return typed(self.file)

    def definition(self) -> ast.FunctionDef | None:
        """Return the function as its source has it."""
        return functions(self.file).get(self.name)

    def load(self) -> object:
        """Return the function."""
        return self.function


def typed(file: str) -> str:
    """Return the option that offers the initializers of a file."""
    return f"--plugin {shlex.quote(file)}"


def functions(file: str) -> dict[str, ast.FunctionDef]:
    """Return the functions at the top of a Python file by name, without running it.

    Raises:
        ParamtoolError: if the file cannot be read, or is not Python.
    """
    path = Path(file)
    try:
        if path.exists() and not path.is_file():
            raise OSError(0, "it is not a file")
        content = path.read_bytes()
        return source.functions(content, file)
    except (OSError, RecursionError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or "nested too deep"
        raise ParamtoolError(f"cannot read the plugin {file}: {reason}") from error
    except SyntaxError as error:  # a wrong encoding, too, has no line
        place = Place(_text(file), error.lineno, error.offset or 1) if error.lineno else None
        raise ParamtoolError(f"the plugin {file} is not Python: {error.msg}", place) from error
    except ValueError as error:  # a NUL, in the name or in the file
        raise ParamtoolError(f"cannot read the plugin {file}: {error}") from error


def initializers(file: str) -> dict[str, ast.FunctionDef]:
    """Return the functions of a file that are initializers, without running it.

    Raises:
        ParamtoolError: if there is none, or as `functions` does.
    """
    known = functions(file)
    found = {
        name: each
        for name, each in known.items()
        if _is_initializer(name, _first(each), declared=any(map(_declares, each.decorator_list)))
    }
    return _some(found, file, known)


def run(file: str) -> list[FromFile]:
    """Import a file under a private name, and return its initializers.

    Raises:
        ParamtoolError: if the import fails or there is no initializer.
    """
    known = functions(file)
    module = _import(file)
    found: dict[str, Callable[..., object]] = {
        name: value
        for name, value in vars(module).items()
        if inspect.isfunction(value)
        and not inspect.iscoroutinefunction(value)
        and value.__module__ == module.__name__  # what it imports is not its own
        and _is_initializer(
            name, next(iter(inspect.signature(value).parameters), None), declared=is_declared(value)
        )
    }
    return [FromFile(name, file, function) for name, function in _some(found, file, known).items()]


def undeclared(name: str, files: Iterable[str]) -> str | None:
    """Return how a function of one of the files becomes an initializer; None if none has that name."""
    for file in files:
        function = functions(file).get(name)
        if function is not None and not name.startswith("_") and _first(function) is not None:
            return f"{_way(name)} in {file}"
    return None


def _way(name: str) -> str:
    return f"put @paramtool.initializer above '{name}'"


class _Loader(SourceFileLoader):
    """Compile what the file says now; write no bytecode beside it, and believe none."""

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - the file has one module
        return self.source_to_code(self.get_data(self.path), self.path)


def _import(file: str) -> ModuleType:
    import hashlib

    name = "_paramtool_plugin_" + hashlib.sha256(str(Path(file).resolve()).encode()).hexdigest()[:16]
    spec = spec_from_file_location(name, file, loader=_Loader(name, file))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look here for theirs

    def blame(error: BaseException) -> UserCodeFailed:
        del sys.modules[name]
        message = f"the plugin {file} cannot be imported: {told(error)}"
        return UserCodeFailed(message, _raised_at(error, file))

    try:
        with foreign_code(blame):
            spec.loader.exec_module(module)
    except BadArgument as error:  # the decorator's, which says what is wrong but not where
        del sys.modules[name]
        message = f"the plugin {file} cannot be imported: {error.message}"
        raise UserCodeFailed(message, _raised_at(error, file), error.hint) from error
    return module


def _raised_at(error: BaseException, file: str) -> Place | None:
    """Return the last line of the file itself that the error came through."""
    line, frame = None, error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == file:
            line = frame.tb_lineno
        frame = frame.tb_next
    return Place(_text(file), line, 1) if line else None


def _text(file: str) -> Text:
    return Text(file, Path(file).read_bytes().decode("utf-8", "replace"))


def _first(function: ast.FunctionDef) -> str | None:
    positional = [*function.args.posonlyargs, *function.args.args]
    return positional[0].arg if positional else None


def _is_initializer(name: str, first: str | None, *, declared: bool) -> bool:
    return (first == FIRST or (declared and first is not None)) and not name.startswith("_")


def _declares(decorator: ast.expr) -> bool:
    """Return whether a decorator is ``@paramtool.initializer``, under any name of the module."""
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(called).rpartition(".")[2] == "initializer"


def _some(found: dict[str, Found], file: str, known: Mapping[str, ast.FunctionDef]) -> dict[str, Found]:
    """Return what was found.

    Raises:
        ParamtoolError: if that is nothing, with the function that may have been meant.
    """
    if not found:
        hint = f"e.g. def my_law({FIRST}, scale=1.0)"
        near = [name for name, each in known.items() if _first(each) is not None and name[:1] != "_"]
        if near:
            hint = f"{_way(near[0])}, or call its first parameter {FIRST}"
        raise ParamtoolError(f"the plugin {file} has no initializer", hint=hint)
    return found
