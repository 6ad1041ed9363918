"""A progress bar on stderr: on a terminal only, and only for what takes longer than a second."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE = 1.0
"""Seconds before a bar appears."""


@contextmanager
def progress_bar(total: int | None) -> Iterator[Callable[[int], None]]:
    """Yield a function to call with the bytes that are done; show the rate, and the time left of `total`."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    bar = Progress(
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task("", total=total)
    start, lock, shown = time.monotonic(), threading.Lock(), False

    def advance(size: int) -> None:
        nonlocal shown
        with lock:
            if not shown and time.monotonic() - start > PATIENCE:
                shown = True
                bar.start()
            bar.update(task, advance=size)

    try:
        yield advance
    finally:
        if shown:
            bar.stop()
