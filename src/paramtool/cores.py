"""How many threads this process may keep busy."""

from __future__ import annotations

import os


def available_cores() -> int:
    """Return the cores that the process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
