"""Run commands in turn and compare their time and peak memory as whole processes."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_LAUNCHER = """
import json, os, sys, time
start = time.perf_counter()
null = os.open(os.devnull, os.O_RDWR)
silent = [(os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, null, 2)]
process = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=silent)
_, status, usage = os.wait4(process, 0)
seconds, cpu = time.perf_counter() - start, usage.ru_utime + usage.ru_stime
print(json.dumps([seconds, cpu, usage.ru_maxrss / 1024, os.waitstatus_to_exitcode(status)]))
"""
"""A small process that starts the command: the peak of a process counts what its parent had before it."""


class Cost(NamedTuple):
    """What one run took: seconds by the wall and of all cores, and peak resident MiB."""

    seconds: float
    cpu: float
    mebibytes: float


@dataclass(frozen=True)
class Command:
    """One command, and the file that it writes anew in each run."""

    arguments: Sequence[str]
    makes: Path | None = None

    def run(self) -> Cost:
        """Run it to its end, with its output thrown away.

        Raises:
            RuntimeError: where it fails.
        """
        if self.makes is not None:
            self.makes.unlink(missing_ok=True)
        launched = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, *map(os.fspath, self.arguments)],
            check=True, stdout=subprocess.PIPE, env=_environment(),
        )  # fmt: skip
        *cost, status = json.loads(launched.stdout)
        if status not in {0, 1}:  # 1 is an answer: that two files differ
            raise RuntimeError(f"{' '.join(self.arguments)} ended with {status}")
        return Cost(*cost)


def _environment() -> dict[str, str]:
    """Return the environment in which Python keeps its bytecode, as it does for anybody."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True)
class Result:
    """Medians over the pairs of runs.

    Attributes:
        ours, other: what each side took.
        time, cpu, memory: ours as a part of the other's.
    """

    ours: Cost
    other: Cost
    time: float
    cpu: float
    memory: float

    @property
    def exponent(self) -> float:
        """How the time grows where ours has ten times the work of the other: 1 is in proportion."""
        return math.log10(self.time)


def compare(ours: Command, other: Command, pairs: int) -> Result:
    """Run both once to warm up, then `pairs` times in turn."""
    return _result(lambda: (ours.run(), other.run()), pairs)


def compare_further(ours: Sequence[Command], other: Sequence[Command], pairs: int) -> Result:
    """Compare what the second command of each side takes beyond its first.

    The memory is not a ratio of differences, which may be 0, but that of our second to our first.
    """

    def once() -> tuple[Cost, Cost]:
        (first, second), (theirs, theirs_too) = ([each.run() for each in side] for side in (ours, other))
        grown = Cost(second.seconds - first.seconds, second.cpu - first.cpu, second.mebibytes)
        plain = Cost(theirs_too.seconds - theirs.seconds, theirs_too.cpu - theirs.cpu, first.mebibytes)
        return grown, plain

    return _result(once, pairs)


def _result(once: Callable[[], tuple[Cost, Cost]], pairs: int) -> Result:
    once()
    costs = [once() for _ in range(pairs)]
    ours, other = zip(*costs, strict=True)
    ratios = [[mine / its for mine, its in zip(*pair, strict=True)] for pair in costs]
    return Result(_median(ours), _median(other), *map(statistics.median, zip(*ratios, strict=True)))


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(*map(statistics.median, zip(*costs, strict=True)))
