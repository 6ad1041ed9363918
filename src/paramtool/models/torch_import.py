"""Import torch as fast and as quietly as it goes: the door through which it comes in."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from paramtool import progress
from paramtool.errors import CannotAnswer
from paramtool.signals import ENDINGS


@contextmanager
def torch_import() -> Iterator[None]:
    """Keep the cycle collector out of the imports, and torch's word on a missing NumPy off stderr.

    Importing torch makes hundreds of thousands of objects that stay; the collector would walk them
    over and over.  They are frozen afterwards, so that it does not do so later either.

    Raises:
        CannotAnswer: if torch is not installed.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        with _progress(), warnings.catch_warnings(), _late_signals():
            warnings.filterwarnings("ignore", message="Failed to initialize NumPy")
            yield
        gc.freeze()
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise CannotAnswer("this needs torch, which is not installed", hint="pip install torch") from error
    finally:
        if was_enabled:
            gc.enable()


def _progress() -> AbstractContextManager[object]:
    return nullcontext() if "torch" in sys.modules else progress.work("importing torch")


@contextmanager
def _late_signals() -> Iterator[None]:
    """Hold signals back until torch is there: raised in the middle, it swallows some of them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    before = {number: signal.signal(number, lambda number, _: caught.append(number)) for number in ENDINGS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if caught:
        signal.raise_signal(caught[0])
