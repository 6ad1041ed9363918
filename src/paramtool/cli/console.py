"""The door for output: stdout for the result, stderr for everything else."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from pathlib import Path
from typing import TextIO

from paramtool.cli import process_rank
from paramtool.cli.error_fold import fold_errors
from paramtool.cli.progress import erase
from paramtool.cli.typed_line import show_line
from paramtool.errors import ParamtoolError, Problems
from paramtool.place import Place
from paramtool.render.names import shown
from paramtool.render.screen import Screen


class OutputClosed(Exception):
    """Raised when nobody reads stdout any more: ``| head`` has seen enough."""


def prepare() -> None:
    """Make stdout and stderr take every character, whatever the locale; replace closed ones.

    Raises:
        ParamtoolError: if stdout is closed, so a result cannot be written.
    """
    if sys.stdin is None:  # ``<&-``
        sys.stdin = Path(os.devnull).open()  # noqa: SIM115 - open until the process ends
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - as well
    if sys.stdout is None:
        raise ParamtoolError("stdout is closed")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    sys.stdout = _Result(_apart(sys.stdout))


def _apart(stream: TextIO) -> TextIO:
    """Give stdout a descriptor of its own: what C code or a child process writes to 1 goes to stderr."""
    try:
        if stream.fileno() != 1:
            return stream
        stream.flush()
        own = os.dup(1)
        os.dup2(2, 1)
    except OSError:
        return stream
    if hasattr(stream, "reconfigure"):  # it stays sys.__stdout__, and leads to stderr as well
        stream.reconfigure(line_buffering=True)
    return os.fdopen(own, "w", encoding=stream.encoding, errors="backslashreplace")


class _Result:
    """Stdout, which distinguishes a closed pipe and a full disk from our own bugs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        if text == "":  # typer tries a stream so, and would swallow the error
            return 0
        try:
            return self._stream.write(text)
        except OSError as error:
            raise _output_error(error, self._stream) from error

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            raise _output_error(error, self._stream) from error

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def _output_error(error: OSError, stream: TextIO) -> Exception:
    # what is still in the buffer must not be tried again, and complained of, at exit
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if error.errno == errno.EPIPE:
        return OutputClosed()
    return ParamtoolError(f"cannot write to stdout: {error.strerror}")


_stdout: TextIO | None = None
"""Where results go while everything else that is printed is kept from there."""


@contextmanager
def only_results() -> Iterator[None]:
    """Keep stdout for results: what foreign code prints meanwhile goes to stderr."""
    global _stdout  # noqa: PLW0603 - a process has one stdout
    before, _stdout = _stdout, sys.stdout
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _stdout = before


def _results() -> TextIO:
    return sys.stdout if _stdout is None else _stdout


def screen() -> Screen:
    """Return what stdout is shown on."""
    stdout = _results()
    is_terminal = stdout.isatty()
    unicode = (stdout.encoding or "").lower().replace("-", "").startswith("utf")
    forced = os.environ.get("FORCE_COLOR", "0") not in ("", "0")
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    width = None
    if is_terminal:
        width = max(20, _columns(stdout))
    return Screen(width, (is_terminal or forced) and not plain, unicode)


def _columns(terminal: TextIO) -> int:
    """Return the width of a terminal; COLUMNS wins, as it does elsewhere."""
    typed = os.environ.get("COLUMNS", "")
    if typed.isascii() and typed.isdigit() and int(typed) > 0:
        return int(typed)
    try:
        return os.get_terminal_size(terminal.fileno()).columns or 80
    except (OSError, ValueError, AttributeError):
        return 80


_ERRORS, _RESULT, _NOTES = range(3)
_written = _NOTES
"""The last of these that is written."""


@contextmanager
def _no_more_than(last: int) -> Iterator[None]:
    global _written  # noqa: PLW0603 - a process has one stdout and one stderr
    before, _written = _written, min(_written, last)
    try:
        yield
    finally:
        _written = before


def silence() -> AbstractContextManager[None]:
    """Write nothing but errors: no result, no notes and no progress."""
    return _no_more_than(_ERRORS)


def without_notes() -> AbstractContextManager[None]:
    """Keep notes to ourselves: nothing but errors goes to stderr."""
    return _no_more_than(_RESULT)


def is_silent() -> bool:
    """Return whether only errors are written."""
    return _written == _ERRORS


def write(pieces: Iterable[str]) -> None:
    """Write the result to stdout, unless there is `silence`: then it is not even made.

    Of several processes that MODEL connected, the first one writes.
    """
    if is_silent() or not process_rank.is_first():
        return
    erase()
    stdout = _results()
    for piece in pieces:
        stdout.write(piece)
    stdout.flush()


def note(text: str) -> None:
    """Write one line to stderr that is not an error; of several processes, the first one does."""
    if _written == _NOTES and process_rank.is_first():
        say(f"note: {text}")


def complain(error: ParamtoolError) -> None:
    """Print an error to stderr: its place, the line it is about, and a caret."""
    show_line(error)
    errors = error.errors if isinstance(error, Problems) else [error]
    for text, place in fold_errors(errors):
        say(text)
        if place is not None:
            _show(place)


def _show(place: Place) -> None:
    excerpt = place.excerpt()
    if excerpt is None:
        return
    line, caret = excerpt
    encoding = sys.stderr.encoding or "utf-8"
    before = shown(line[:caret]).encode(encoding, "backslashreplace").decode(encoding)
    say(f"  {before}{shown(line[caret:])}")
    say(f"  {' ' * _cells(before)}^")


def _cells(text: str) -> int:
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def say(line: str) -> None:
    """Write one line to stderr, with every character harmless."""
    erase()
    try:
        sys.stderr.write(f"{shown(line)}\n")
        sys.stderr.flush()
    except OSError:
        pass  # nobody listens; the exit status still tells
