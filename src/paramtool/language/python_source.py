"""What a Python file defines that is, or makes, a module of torch: read from its source, never run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from paramtool.errors import CannotOpen, ParamtoolError, shorten
from paramtool.language.catalog import shipped
from paramtool.place import Place, Text

LARGEST = 1 << 24
"""Bytes of a source file; more is not written by hand, and its tree would take gigabytes."""

_Function: TypeAlias = "ast.FunctionDef | ast.AsyncFunctionDef"
_SAME_MODULE = frozenset(
    ("to", "eval", "train", "cuda", "cpu", "half", "float", "double", "bfloat16", "apply")
)
"""Methods that return the module that they belong to."""

_ROUNDS = 8
"""Classes and factories may build on each other, in any order; chains are no longer than this."""


@dataclass(frozen=True)
class Definition:
    """A class, a function or an instance at the top of a file.

    Attributes:
        name: what it is called.
        kind: ``class``, ``function`` or ``instance``.
        line: where it begins, from 1.
        required: the arguments that it does not build without.
    """

    name: str
    kind: str
    line: int
    required: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A parsed file.

    Attributes:
        modules: what is, or makes, a module, in the order of the file.
        parents: how many folders above its own its relative imports reach, its own included.
    """

    modules: tuple[Definition, ...]
    parents: int


def check_file(file: str) -> None:
    """Refuse a file that is not there.

    Raises:
        CannotOpen: if there is none, or it is not a file.
    """
    if not Path(file).exists():
        raise CannotOpen(f"there is no file {file}", hint=_of_part(file))
    if not Path(file).is_file():
        raise CannotOpen(f"cannot read {file}: it is not a file")


_PART = re.compile(r"(?P<object>(?P<file>.+\.py):[^\W\d]\w*)(?P<path>(\[\w+\])+)", re.DOTALL)


def _of_part(name: str) -> str | None:
    """Return how to name a part that was indexed as in Python, ``net.py:net[0]``; None for other names."""
    found = _PART.fullmatch(name)
    if found is None or not Path(found["file"]).is_file():
        return None
    path = found["path"].replace("][", ".").strip("[]")
    return f"--module {path} is this part of {found['object']}"


def read_source(file: str) -> Source:
    """Return what a Python file defines.

    Raises:
        CannotOpen: if it cannot be read, or is not Python.
    """
    path = Path(file)
    try:
        check_file(file)
        if path.stat().st_size > LARGEST:
            raise CannotOpen(f"{file} is larger than {LARGEST:,} bytes, the limit for Python source")
        tree = ast.parse(path.read_bytes(), file)
        levels = [each.level for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)]
        return Source(tuple(_Reader(tree).definitions()), max(levels, default=0))
    except SyntaxError as error:
        text = Text(file, path.read_bytes().decode("utf-8", "replace"))
        place = Place(text, error.lineno, error.offset or 1) if error.lineno else None
        raise CannotOpen(f"{file} is not Python: {error.msg}", place) from error
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        is_deep = isinstance(error, (RecursionError, MemoryError))
        reason = "nested too deep" if is_deep else getattr(error, "strerror", None) or shorten(str(error))
        raise CannotOpen(f"cannot read {file}: {reason}") from error


def try_source(file: str) -> Source:
    """Return the same; of a file that is not Python, nothing."""
    try:
        return read_source(file)
    except ParamtoolError:
        return Source((), 0)


class _Reader:
    """Finds out which names of a file are modules, or make them."""

    def __init__(self, tree: ast.Module) -> None:
        self._body = tree.body
        self._classes = set(shipped().modules) | {"Module", "PreTrainedModel"}
        self._makers: set[str] = set()
        for _ in range(_ROUNDS):
            known = len(self._classes) + len(self._makers)
            for each in tree.body:
                if isinstance(each, ast.ClassDef) and self._is_module(each):
                    self._classes.add(each.name)
                elif isinstance(each, ast.FunctionDef) and self._is_factory(each):
                    self._makers.add(each.name)
            if len(self._classes) + len(self._makers) == known:
                break

    def definitions(self) -> Iterator[Definition]:
        """Yield them in the order of the file; names that begin with ``_`` are private."""
        for each in self._body:
            if isinstance(each, ast.ClassDef) and self._is_module(each):
                found = Definition(each.name, "class", each.lineno, _required(_constructor(each), skip=1))
            elif isinstance(each, ast.FunctionDef) and self._is_factory(each):
                found = Definition(each.name, "function", each.lineno, _required(each))
            elif isinstance(each, (ast.Assign, ast.AnnAssign)) and self._makes_module(each.value):
                name = next(iter(_targets(each)), "_")
                found = Definition(name, "instance", each.lineno)
            else:
                continue
            if not found.name.startswith("_"):
                yield found

    def _is_module(self, node: ast.ClassDef) -> bool:
        """Return whether a base is a module; one of another file is if the class has a forward."""
        bases = [name for name in map(_last_name, node.bases) if name]
        if any(name in self._classes or name.endswith("Module") for name in bases):
            return True
        others = [name for name in bases if name not in ("Function", "object", "ABC", "Protocol", "Generic")]
        return bool(others) and any(
            isinstance(each, ast.FunctionDef) and each.name == "forward" for each in node.body
        )

    def _is_factory(self, node: ast.FunctionDef) -> bool:
        if node.returns is not None:
            return self._names_class(node.returns)
        made = {
            name
            for each in _own_statements(node)
            if isinstance(each, (ast.Assign, ast.AnnAssign)) and self._makes_module(each.value)
            for name in _targets(each)
        }
        returned = [each.value for each in _own_statements(node) if isinstance(each, ast.Return)]
        return any(
            self._makes_module(each) or (isinstance(each, ast.Name) and each.id in made) for each in returned
        )

    def _names_class(self, annotation: ast.expr) -> bool:
        """Return whether an annotation is of a module, also in quotes."""
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            return annotation.value.rpartition(".")[2] in self._classes
        return _last_name(annotation) in self._classes

    def _makes_module(self, value: ast.expr | None) -> bool:
        """Return whether an expression is a call that returns a module."""
        if not isinstance(value, ast.Call):
            return False
        name = _last_name(value.func)
        if isinstance(value.func, ast.Attribute) and name in _SAME_MODULE:
            return self._makes_module(value.func.value)
        if name in ("compile", "script") and value.args:
            return self._makes_module(value.args[0])
        return name in self._classes or name in self._makers


def _last_name(node: ast.expr) -> str | None:
    """Return the last part of ``torch.nn.Linear``, or of what is subscripted or called."""
    if isinstance(node, ast.Subscript):
        return _last_name(node.value)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def _own_statements(function: _Function) -> Iterator[ast.stmt]:
    """Yield the statements of a function, but not those of functions and classes inside it."""
    waiting: list[ast.AST] = list(reversed(function.body))
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            continue
        if isinstance(node, ast.stmt):
            yield node
        inner = [each for each in ast.iter_child_nodes(node) if not isinstance(each, ast.expr)]
        waiting.extend(reversed(inner))


def _targets(node: ast.Assign | ast.AnnAssign) -> Iterable[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [each.id for each in targets if isinstance(each, ast.Name)]


def _constructor(node: ast.ClassDef) -> _Function | None:
    return next(
        (each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"), None
    )


def _required(function: _Function | None, skip: int = 0) -> tuple[str, ...]:
    """Return the arguments without a default, but for the first `skip`."""
    if function is None:
        return ()
    given = function.args
    positional = [each.arg for each in (*given.posonlyargs, *given.args)]
    without = positional[skip : max(skip, len(positional) - len(given.defaults))]
    named = [
        each.arg for each, value in zip(given.kwonlyargs, given.kw_defaults, strict=True) if value is None
    ]
    return (*without, *named)
