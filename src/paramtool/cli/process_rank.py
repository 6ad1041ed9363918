"""Which of several processes this is, once MODEL has connected them: the first one speaks for all."""

from __future__ import annotations

import sys
import time
from typing import Any

_DONE = "paramtool/done"
_MOST_SECONDS = {True: 600.0, False: 5.0}
"""How long a process waits for the first one, by whether it has an answer."""


def is_first() -> bool:
    """Return whether this process prints the result: the only one, or that of rank 0."""
    group = _connected()
    return group is None or group.get_rank() == 0


def leave(*, has_answer: bool) -> None:
    """Let the first process print before any other ends: torchrun ends all when one of them says no.

    Args:
        has_answer: False after an error, which the first process may wait for in vain.
    """
    group = _connected()
    if group is None:
        return
    try:
        store = group.distributed_c10d._get_default_store()
        if group.get_rank() == 0:
            store.set(_DONE, "")
            return
        end = time.monotonic() + _MOST_SECONDS[has_answer]
        while not store.check([_DONE]) and time.monotonic() < end:
            time.sleep(0.02)
    except RuntimeError:
        pass  # the first process, which kept the store, has ended


def _connected() -> Any:
    """Return torch.distributed if a process group is there; nothing is imported to find out."""
    distributed = sys.modules.get("torch.distributed")
    is_there = distributed is not None and distributed.is_available() and distributed.is_initialized()
    return distributed if is_there else None
