"""The one room for code that is not ours: whatever leaves it is reported as an error of that code.

A constructor, a forward, a hook or a plugin may raise anything.  ``sys.exit(0)`` in a forward must not end
a gate with status 0, nor a ``KeyboardInterrupt`` that nobody typed with 130.  What no room can catch is
``os._exit``, which ends the process at once, and a crash of the interpreter.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb
from types import CodeType
from typing import Any

from paramtool.errors import ParamtoolError, UserCodeFailed, text_of, told
from paramtool.place import Place, Text
from paramtool.signals import is_handled, received

_LIBRARIES = ("torch", "numpy", "typer", "click", "rich", "yaml")
"""What we call ourselves: a frame of theirs alone says nothing about whose fault an error is."""

_OUT_OF_MEMORY = (
    "can't allocate memory",  # torch
    "Cannot allocate memory",  # the system
    "std::bad_alloc",  # C++
    "can't start new thread",  # Python: there is no room for its stack
    "failed to map segment",  # the loader of libraries
    "cannot allocate memory in static TLS",
)


def is_interrupt(error: BaseException) -> bool:
    """Return whether `error` is from a signal, and not a ``KeyboardInterrupt`` that some code raised itself.

    A process with other handlers than ours, as that of a Python user, cannot tell them apart: each counts.
    """
    if not isinstance(error, KeyboardInterrupt):
        return False
    return received() is not None or not is_handled()


def _end_if_told(error: BaseException | None = None) -> None:
    """Raise ``KeyboardInterrupt`` again, where a signal came and somebody's code caught it."""
    if received() is not None and is_handled():
        raise KeyboardInterrupt from error


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether `error` is Python's ``MemoryError``, or what others say in its place."""
    known = isinstance(error, MemoryError) or any(each in text_of(error) for each in _OUT_OF_MEMORY)
    return known or (error.__cause__ is not None and is_out_of_memory(error.__cause__))


@contextmanager
def foreign_code(blame: str | Callable[[BaseException], ParamtoolError]) -> Iterator[None]:
    """Run code that is not ours: all that it raises, ``SystemExit`` and the like too, is its own failure.

    Args:
        blame: what failed, as in ``importing nets``; or a function from the error to ours.

    Raises:
        UserCodeFailed: for whatever is raised inside, but for an interrupt and errors of ours.
    """
    try:
        yield
    except BaseException as error:
        if is_interrupt(error) or (isinstance(error, ParamtoolError) and not _is_theirs(error)):
            raise
        _end_if_told(error)
        if isinstance(blame, str):
            raise UserCodeFailed(f"{blame} failed: {told(error)}") from error
        raise blame(error) from error
    _end_if_told()


@contextmanager
def foreign_frames() -> Iterator[None]:
    """Run code of ours that may come into foreign code anywhere: an overridden method, a subclass of Tensor.

    Raises:
        UserCodeFailed: for what a frame of foreign code raised or passed on, and for every exception that
            ends a process.  Anything else passes, as it may be a bug of ours.
    """
    try:
        yield
    except BaseException as error:
        if isinstance(error, ParamtoolError) and not _is_raised_by_them(error):
            raise
        found = foreign_frame(error)
        ends = not isinstance(error, (Exception, KeyboardInterrupt))
        if is_interrupt(error) or is_out_of_memory(error) or (found is None and not ends):
            raise
        where = f"{found[0]} ({found[1]})" if found else "code of the model"
        raise UserCodeFailed(f"{where} failed: {told(error)}") from error


def _is_theirs(error: ParamtoolError) -> bool:
    """Return whether foreign code raised an error of our kind itself, or called our API and passed one on."""
    api = str(Path(__file__).parent / "api")
    files = [frame.f_code.co_filename for frame, _ in walk_tb(error.__traceback__)]
    return _is_raised_by_them(error) or any(_is_below(each, [api], False) for each in files)


def _is_raised_by_them(error: ParamtoolError) -> bool:
    last = None
    for frame, _ in walk_tb(error.__traceback__):
        last = frame.f_code.co_filename
    return last is not None and not last.startswith("<") and not _is_below(last, _known_folders())


def foreign_frame(error: BaseException) -> tuple[str, str] | None:
    """Return the function, and file and line, of the last foreign code that `error` came through."""
    known = _known_folders()
    last = None
    for frame, line in walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        if not file.startswith("<") and not _is_below(file, known):
            last = _name(frame.f_code), f"{Path(file).name}:{line}"
    if last is None and error.__cause__ is not None:  # Python makes a RuntimeError of a StopIteration
        return foreign_frame(error.__cause__)
    return last


def raised_at(error: BaseException) -> Place | None:
    """Return the last line of the person's own code that `error` came through, not that of a package."""
    known = _known_folders()
    last = None
    for frame, line in walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        if not _is_below(file, known) and "/site-packages/" not in file and Path(file).is_file():
            last = file, line, 1
    if isinstance(error, SyntaxError) and error.filename and error.lineno and Path(error.filename).is_file():
        last = error.filename, error.lineno, error.offset or 1
    if last is None:
        return raised_at(error.__cause__) if error.__cause__ is not None else None
    file, line, column = last
    try:
        text = Text(_from_here(file), Path(file).read_bytes().decode("utf-8", "replace"))
    except OSError:
        return None
    written = text.lines[line - 1] if line <= len(text.lines) else ""
    return Place(text, line, max(column, len(written) - len(written.lstrip()) + 1))


def _from_here(file: str) -> str:
    """Return a path as a person in the current folder would type it."""
    here = f"{Path.cwd()}/"
    return file.removeprefix(here)


def owners(error: BaseException) -> Iterator[Any]:
    """Yield the first argument of each function that `error` came through, innermost first: its ``self``.

    In a hook of a module, that is the module.
    """
    for frame, _ in reversed(list(walk_tb(error.__traceback__))):
        names = frame.f_code.co_varnames[: frame.f_code.co_argcount]
        if names and names[0] in frame.f_locals:
            yield frame.f_locals[names[0]]


def _name(code: CodeType) -> str:
    return str(getattr(code, "co_qualname", code.co_name))  # Python 3.10 has no qualified name


def _known_folders() -> list[str]:
    files = (getattr(sys.modules.get(name), "__file__", None) for name in _LIBRARIES)
    ours = str(Path(__file__).parent)
    return [ours, *(str(Path(file).parent) for file in files if file)]


def _is_below(file: str, folders: list[str], or_standard: bool = True) -> bool:
    if any(file.startswith(f"{folder}/") for folder in folders):
        return True
    if not or_standard:
        return False
    installed = "/site-packages/" in file or "/dist-packages/" in file
    return not installed and file.startswith(f"{sysconfig.get_path('stdlib')}/")
