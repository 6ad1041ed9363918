"""The signals that end a process, what is said of each, and which of them came."""

from __future__ import annotations

import signal
import sys

TYPE_CHECKING = False  # the first import of the process: nothing else is loaded for it
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

ENDINGS: dict[int, str] = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "hung up",
}
"""One word for each; the exit status is 128 and its number."""

_received: list[int] = []

_SOON = 0.001
"""Seconds until a lost interrupt comes again."""


def handle(handler: Callable[[int, FrameType | None], object]) -> None:
    """Install `handler`, but not for what is ignored: a shell says so in the background, ``nohup`` too."""
    for number in ENDINGS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Handle a signal: remember it, and raise ``KeyboardInterrupt`` once, so that what is open is cleaned up.

    A second signal must not break off the cleaning; it counts only where somebody's code went on after
    the first.
    """
    _received.append(number)
    _raise_again(number, frame)


def interrupt_again() -> None:
    """Raise ``KeyboardInterrupt`` once more, in a moment and outside of what is running now.

    This is for a first one that was lost: Python drops what is raised in a ``__del__`` or in the callback
    of a weak reference, such as each ``import`` has, and the process would go on as if nothing had happened.
    """
    signal.signal(signal.SIGALRM, _raise_again)
    signal.setitimer(signal.ITIMER_REAL, _SOON)


def _raise_again(number: int, frame: FrameType | None) -> None:
    del number, frame
    if not isinstance(sys.exc_info()[1], KeyboardInterrupt):
        raise KeyboardInterrupt


def received() -> int | None:
    """Return the number of the first signal that `interrupt` handled."""
    return _received[0] if _received else None


def is_handled() -> bool:
    """Return whether signals come to `interrupt`: not in the process of a Python user."""
    return signal.getsignal(signal.SIGTERM) is interrupt
