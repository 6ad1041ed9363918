"""Run paramtool in a process of its own: with limits, with odd streams, and watched from inside."""

from __future__ import annotations

import atexit
import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, NoReturn

COMMAND = (sys.executable, "-m", "paramtool")
SECONDS_OF_CPU = 20
"""A safety net: what runs away is ended, what is slow is not complained of."""

_CHANGES_OUTPUT = (
    "NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS", "LINES", "LC_ALL", "LC_CTYPE", "PARAMTOOL_MODEL",
    "PYTHONUNBUFFERED", "PYTHONUTF8", "PYTHONIOENCODING", "PYTHONCOERCECLOCALE",
)  # fmt: skip


def watched(seen: str, *arguments: str) -> NoReturn:
    """Run the command line in this process, write to `seen` what it imported and needed, and end it."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS_OF_CPU, SECONDS_OF_CPU))
    from paramtool.cli import console, main

    console.prepare()
    try:
        status = main._run(list(arguments))
        sys.stdout.flush()
    except SystemExit as end:  # so typer ends a completion
        status = int(end.code or 0)
    own = Path("/proc/self/status")
    lines = own.read_text().splitlines() if own.exists() else []
    peak = next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
    Path(seen).write_text(json.dumps({"torch": "torch" in sys.modules, "peak": peak}))
    sys.stderr.flush()
    os._exit(status)


@cache
def _watcher() -> str:
    """Return the command that runs `watched` in a fork of a process that imported the command line."""
    from tests.warm import warm_command

    open_until_the_end = ExitStack()
    atexit.register(open_until_the_end.close)
    folder = open_until_the_end.enter_context(TemporaryDirectory(prefix="watched-"))
    return str(open_until_the_end.enter_context(warm_command(Path(folder), "watched")) / "paramtool")


@dataclass(frozen=True)
class Ended:
    """How a process ended and what it wrote."""

    status: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Watched(Ended):
    """What was seen from inside as well.

    Attributes:
        torch: whether torch was imported.
        megabytes: the most memory that was resident; 0 where the platform does not tell.
    """

    torch: bool
    megabytes: float


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this environment without what changes the output, and with `more`."""
    plain = {key: value for key, value in os.environ.items() if key not in _CHANGES_OUTPUT}
    return {**plain, "LC_ALL": "C.UTF-8", **(more or {})}


def execute(
    *arguments: str,
    command: Sequence[str] = COMMAND,
    stdin: bytes | IO[bytes] = b"",
    stdout: int | IO[bytes] = subprocess.PIPE,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Ended:
    """Run the command line in a process and wait for its end."""
    process = subprocess.Popen(
        [*command, *arguments],
        stdin=subprocess.PIPE if isinstance(stdin, bytes) else stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=environment(env),
        cwd=cwd,
    )
    try:
        out, err = process.communicate(stdin if isinstance(stdin, bytes) else None, timeout=120)
    finally:
        process.kill()
    return Ended(process.returncode, (out or b"").decode(), err.decode())


def watch(
    *arguments: str, folder: Path, stdin: bytes | IO[bytes] = b"", env: Mapping[str, str] | None = None
) -> Watched:
    """Run the command line in a process in `folder`, and look at what it imported and needed.

    The process is a fork of one that has imported the command line, and no command.
    """
    seen = folder / "seen.json"
    seen.unlink(missing_ok=True)
    ended = execute(*arguments, command=[_watcher(), str(seen)], stdin=stdin, env=env, cwd=folder)
    told = json.loads(seen.read_text())
    return Watched(ended.status, ended.stdout, ended.stderr, told["torch"], told["peak"] / 1024)
