"""Run two commands in turn and compare their time and peak memory as whole processes."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """What one run took: wall-clock seconds, and peak resident MiB."""

    seconds: float
    mebibytes: float


@dataclass(frozen=True)
class Ratio:
    """Medians over pairs of runs: ours, the other's, and ours as a part of the other's."""

    ours: Cost
    other: Cost
    time: float
    memory: float


def run(command: Sequence[str], makes: Path | None = None) -> Cost:
    """Run `command` to its end, with its output thrown away; what it `makes` is not there before.

    Raises:
        RuntimeError: where it fails.
    """
    if makes is not None:
        makes.unlink(missing_ok=True)
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return Cost(seconds, usage.ru_maxrss / 1024)


def compare(ours: Sequence[str], other: Sequence[str], pairs: int, makes: Path | None = None) -> Ratio:
    """Run both once to warm up, then `pairs` times in turn, and return the medians."""
    run(ours, makes)
    run(other, makes)
    costs = [(run(ours, makes), run(other, makes)) for _ in range(pairs)]
    return Ratio(
        _median([ours for ours, _ in costs]),
        _median([other for _, other in costs]),
        statistics.median(ours.seconds / other.seconds for ours, other in costs),
        statistics.median(ours.mebibytes / other.mebibytes for ours, other in costs),
    )


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(
        statistics.median(cost.seconds for cost in costs),
        statistics.median(cost.mebibytes for cost in costs),
    )
