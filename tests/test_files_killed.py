"""A writer killed at any moment leaves the old weights or the new.

Run as a program, this file kills writers, each a fork of one small process: that is fast, and a fork
of the process of the tests, with torch's threads in it, would not be safe.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

import pytest
import safetensors

from paramtool.files.writing.weights import Entry, WeightsWriter

ENTRIES = [Entry(f"w{number}", "float32", (256,)) for number in range(3)]
SCENARIOS = {
    "new file": (None, None),
    "file": (0, 0),
    "new shards": (None, 1024),
    "same shards": (1024, 1024),
    "other shards": (2048, 1024),
    "shards to one": (1024, 10**6),
    "one to shards": (10**6, 1024),
}
"""The limit of a shard before and after: None and 0 for a file, None before for nothing there."""


def _target(folder: Path, most: int | None) -> Path:
    return folder if most else folder / "model.safetensors"


def _write(folder: Path, most: int | None, fill: bytes, *, scale: int = 1, threads: int = 1) -> None:
    entries = [Entry(each.name, each.dtype, (256 * scale,)) for each in ENTRIES]
    with WeightsWriter(_target(folder, most), entries, max_shard_size=most or None, force=True) as writer:

        def work(share: int) -> None:
            for entry in entries[share::threads]:
                for start in range(0, entry.nbytes, 512 * scale):
                    writer.write(entry.name, start, fill * (512 * scale))

        others = [threading.Thread(target=work, args=(share,)) for share in range(1, threads)]
        for thread in others:
            thread.start()
        work(0)
        for thread in others:
            thread.join()


def _read(folder: Path) -> str:
    """Return what a reader finds: ``old``, ``new``, ``nothing``, or what else it is."""
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").exists():
        files = ["model.safetensors"] * len(ENTRIES)
    elif index.exists():
        shards = json.loads(index.read_bytes())["weight_map"]
        files = [shards[entry.name] for entry in ENTRIES]
    else:
        return "nothing"
    found = set()
    for entry, file in zip(ENTRIES, files, strict=True):
        tensors = dict(safetensors.deserialize((folder / file).read_bytes()))  # type: ignore[no-untyped-call]
        found |= set(tensors[entry.name]["data"])
    return {frozenset(b"o"): "old", frozenset(b"n"): "new"}.get(frozenset(found), f"torn: {found}")


def _at(moment: int, act: Callable[[], None]) -> None:
    """Call `act` at the system call boundary `moment`, counted from here."""
    count = 0

    def profile(_: FrameType, event: str, function: object) -> None:
        nonlocal count
        if event in ("c_call", "c_return") and getattr(function, "__module__", "") in ("posix", "fcntl"):
            count += 1
            if count == moment + 1:
                act()

    sys.setprofile(profile)


def _interrupt() -> None:
    sys.setprofile(None)
    raise KeyboardInterrupt


def _ended(write: Callable[[], object], moment: int, *, deadly: bool) -> bool:
    """Call `write` in a fork that is ended at `moment`, and return whether it was."""
    sys.stdout.flush()
    child = os.fork()
    if not child:
        try:
            _at(moment, (lambda: os.kill(os.getpid(), signal.SIGKILL)) if deadly else _interrupt)
            write()
            sys.setprofile(None)
        except KeyboardInterrupt:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] != 0


def _prepare(folder: Path, before: int | None) -> str:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if before is None:
        return "nothing"
    _write(folder, before, b"o")
    return "old"


def at_system_calls(folder: Path, scenario: str, step: int, deadly: bool) -> None:
    """Print what is wrong after the end at every `step`-th boundary, and after the run that follows."""
    # what the disk has does not matter to a kill; the call itself stays, to be killed at
    setattr(os, "fsync", os.fstat)  # noqa: B010 - mypy would have it be an fsync
    before, after = SCENARIOS[scenario]
    _prepare(folder / "meant", before)
    _write(folder / "meant", after, b"n")
    meant = sorted(path.name for path in (folder / "meant").iterdir())
    moment, going_on = 0, True
    while going_on:
        was = _prepare(folder / "a", before)
        older = sorted(path.name for path in (folder / "a").iterdir())
        going_on = _ended(partial(_write, folder / "a", after, b"n"), moment, deadly=deadly)
        found = _read(folder / "a")
        allowed = {was, "new"} if going_on else {"new"}
        left = sorted(path.name for path in (folder / "a").iterdir())
        if found not in allowed or not (deadly or found != was or scenario == "same shards" or left == older):
            _say(f"{scenario}, ended at {moment}: {found} {left}")
        _write(folder / "a", after, b"n")
        left = sorted(path.name for path in (folder / "a").iterdir())
        if left != meant:
            _say(f"{scenario}, ended at {moment}, the next run leaves {left}")
        moment += step
    _say(moment)


def at_random(folder: Path, scenario: str, kills: int) -> None:
    """Print what is wrong after kills from outside, at random moments of a writer with two threads."""
    before, after = SCENARIOS[scenario]
    before, after = (limit and limit * 1024 for limit in (before, after))
    took, found = 0.0, []
    for number in range(kills + 1):
        was = _prepare(folder / "a", before)
        child = os.fork()
        if not child:
            _write(folder / "a", after, b"n", scale=1024, threads=2)
            os._exit(0)
        start = time.monotonic()
        if number:
            time.sleep(took * (number - random.random()) / kills)
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        took = took or 1.2 * (time.monotonic() - start)
        found.append(_read(folder / "a"))
        if found[-1] not in (was, "new"):
            _say(f"{scenario}, killed {number}: {found[-1]}")
    _say(len(found) - 1)


def _say(line: object) -> None:
    sys.stdout.write(f"{line}\n")


def _run(*arguments: str | Path) -> list[str]:
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.splitlines()


def _stepped() -> list[object]:
    fast = [("file", 3), ("same shards", 37), ("one to shards", 41)]
    return [*fast, *(pytest.param(each, 1, marks=pytest.mark.slow, id=f"every-{each}") for each in SCENARIOS)]


STEPS = pytest.mark.parametrize(("scenario", "step"), _stepped())


@STEPS
def test_killed_at_any_system_call_the_target_is_old_or_new(scenario: str, step: int, tmp_path: Path) -> None:
    """SIGKILL before or after each system call leaves old or new, and the next run leaves no leftovers."""
    (last,) = _run("kill", tmp_path, scenario, str(step))
    assert int(last) > 100


@STEPS
def test_interrupted_at_any_system_call_nothing_is_left(scenario: str, step: int, tmp_path: Path) -> None:
    """KeyboardInterrupt at each system call leaves old or new; as long as it is old, no file more or less."""
    (last,) = _run("interrupt", tmp_path, scenario, str(step))
    assert int(last) > 100


@pytest.mark.parametrize("scenario", ["file", "same shards"])
def test_killed_at_a_random_moment_the_target_is_old_or_new(scenario: str, tmp_path: Path) -> None:
    """Five kills spread over the writing, with two threads at work, leave old or new."""
    assert _run("random", tmp_path, scenario, "5") == ["5"]


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_of_two_hundred_kills_none_tears_the_target(scenario: str, tmp_path: Path) -> None:
    """The same holds for two hundred kills."""
    assert _run("random", tmp_path, scenario, "200") == ["200"]


if __name__ == "__main__":
    how, where, which, what = sys.argv[1:]
    if how == "random":
        at_random(Path(where), which, int(what))
    else:
        at_system_calls(Path(where), which, int(what), deadly=how == "kill")
