"""Share tasks out to threads; NumPy and reads leave the interpreter to the others while they work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def run(tasks: Iterator[T], work: Callable[[T], object], jobs: int) -> None:
    """Do `work` on each of `tasks`; what one of them raises ends all and is raised.

    Args:
        tasks: are asked for one after the other, by one thread at a time.
        work: is called in any thread.
        jobs: threads; with 1 the calling one does everything.
    """
    if jobs <= 1:
        for task in tasks:
            work(task)
        return
    lock = threading.Lock()
    stopped = threading.Event()

    def worker() -> None:
        try:
            while not stopped.is_set():
                with lock:
                    task = next(tasks, None)
                if task is None:
                    return
                work(task)
        except BaseException:
            stopped.set()
            raise

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        futures = [pool.submit(worker) for _ in range(jobs)]
        try:
            for future in futures:
                future.result()
        finally:
            stopped.set()
