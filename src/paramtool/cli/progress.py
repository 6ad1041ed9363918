"""A line on stderr that says how far a work is: on a terminal only, and only for what takes over a second.

It is not in the way of anything: it goes away before a note is written and at the end, and it is not
there in a pipe, in a log of CI, or on a terminal that cannot erase a line.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from paramtool.render.bars import LONGEST, bar

PATIENCE = 1.0
"""Seconds before a line appears."""

LARGE = {"bytes": 5 * 10**9, "elements": 2 * 10**9}
"""How much work is announced by a note if no progress line can appear: it takes many seconds."""

_INTERVAL = 0.2
_ERASE = "\r\x1b[K"
_lock = threading.RLock()
_is_announced = False
_line: Line | None = None
"""The work that is shown; what begins inside it is a part of it."""


def is_wanted() -> bool:
    """Return whether stderr is a terminal on which somebody watches."""
    from paramtool.cli.console import is_silent

    is_dumb = bool(os.environ.get("CI")) or os.environ.get("TERM") == "dumb"
    return sys.stderr.isatty() and not is_dumb and not is_silent()


@contextmanager
def progress_bar(
    total: int | None, what: str = "writing", unit: str = "bytes"
) -> Iterator[Callable[[int], object]]:
    """Yield a function to call with what was done; show the part of `total`, the rate and the time left."""
    global _line  # noqa: PLW0603 - there is one terminal
    if _line is not None or not is_wanted():
        if _line is None and total is not None and total >= LARGE.get(unit, total + 1):
            _announce(what, total, unit)
        yield lambda _: None
        return
    line = _line = Line(what, total, unit)
    line.start()
    try:
        yield line.advance
    finally:
        _line = None
        line.stop()


def _announce(what: str, total: int, unit: str) -> None:
    """Say once how much there is to do, if nobody sees a progress line."""
    global _is_announced  # noqa: PLW0603 - there is one stderr
    if _is_announced:
        return
    _is_announced = True
    from paramtool.cli.console import note

    note(f"this takes a while: {what}, {amount(total, unit)}")


def erase() -> None:
    """Take the line off the screen, so that something else can be written there; it comes back later."""
    if _line is not None:
        _line.erase()


class Line:
    """The line of one work, drawn by a thread of its own."""

    def __init__(self, what: str, total: int | None, unit: str) -> None:
        self._what, self._total, self._unit = what, total, unit
        self._done = 0
        self._start = time.monotonic()
        self._is_drawn = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to wait for the first second to pass."""
        self._thread.start()

    def stop(self) -> None:
        """Take the line away for good."""
        self._ended.set()
        self.erase()

    def advance(self, done: int) -> None:
        """Count what was done since the last call."""
        with _lock:
            self._done += done

    def erase(self) -> None:
        """Take the line off the screen."""
        with _lock:
            if self._is_drawn:
                self._is_drawn = False
                _write(_ERASE)

    def _run(self) -> None:
        wait = PATIENCE
        while not self._ended.wait(wait):
            wait = _INTERVAL
            with _lock:
                if not self._ended.is_set():
                    self._is_drawn = True
                    _write(_ERASE + self.text(time.monotonic() - self._start, _columns() - 1, _is_unicode()))

    def text(self, seconds: float, width: int, unicode: bool) -> str:
        """Return the line as it is after some seconds, with as much of it as there is room for."""
        rate = self._done / seconds
        parts = [self._what]
        if self._total:
            part = min(1.0, self._done / self._total)
            parts.append(f"{bar(round(part * 8 * LONGEST), unicode):<{LONGEST}} {100 * part:3.0f}%")
        if self._done:
            parts.append(f"{amount(round(rate), self._unit)}/s")
        if self._total and self._done:
            parts.append(f"{_time(max(0.0, self._total - self._done) / rate)} left")
        else:
            parts.append(_time(seconds))
        while len(parts) > 1 and len("  ".join(parts)) > width:
            parts.pop()
        return "  ".join(parts)[:width]


def amount(count: int, unit: str) -> str:
    """Return an amount in words: ``1.4 GB``, ``3 G elements``."""
    from paramtool.quantities import byte_size

    return byte_size(count) if unit == "bytes" else f"{byte_size(count).removesuffix('B').strip()} {unit}"


def _time(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60}:{whole % 60:02} min"


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def _is_unicode() -> bool:
    return (sys.stderr.encoding or "").lower().replace("-", "").startswith("utf")


def _write(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # nobody watches any more
