"""A conversion that is killed at any moment leaves the old file or the new, and the next run no leftovers.

Run as a program, this file kills conversions, each a fork of one small process, as `test_files_killed` does.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import safetensors

from paramtool.api.convert import convert
from paramtool.api.target import Target
from paramtool.files.writing.weights import Entry, WeightsWriter
from tests.test_files_killed import _ended, _say

TARGETS = {"file": "x.safetensors", "archive": "x.pt", "shards": "folder"}


def _source(path: Path, fill: bytes, scale: int) -> Path:
    entries = [Entry(f"w{number}", "uint8", (1024 * scale,)) for number in range(3)]
    with WeightsWriter(path, entries, force=True) as writer:
        for each in entries:
            writer.write(each.name, 0, fill * each.nbytes)
    return path


def _convert(folder: Path, kind: str, fill: bytes, scale: int = 1) -> None:
    source = folder / f"{fill.decode()}{scale}.safetensors"
    limit = 1500 * scale if kind == "shards" else None
    convert(source, Target(folder / "out" / TARGETS[kind], limit, force=True, jobs=1 if scale == 1 else 2))


def _read(folder: Path, kind: str, known: dict[str, bytes]) -> str:
    """Return what a reader finds: ``old``, ``new``, ``nothing``, or what else it is."""
    target = folder / "out" / TARGETS[kind]
    if kind != "shards":
        found = target.read_bytes() if target.exists() else b""
        return next((name for name, content in known.items() if content == found), "torn")
    index = target / "model.safetensors.index.json"
    if not index.exists():
        return "nothing"
    data = set()
    for name, file in json.loads(index.read_bytes())["weight_map"].items():
        tensors = dict(safetensors.deserialize((target / file).read_bytes()))  # type: ignore[no-untyped-call]
        data |= set(tensors[name]["data"])
    return {frozenset(b"o"): "old", frozenset(b"n"): "new"}.get(frozenset(data), "torn")


def _prepare(folder: Path, kind: str, scale: int) -> dict[str, bytes]:
    """Write the sources, and return the bytes of the target that each makes."""
    (folder / "out").mkdir()
    known = {}
    for name, fill in (("new", b"n"), ("old", b"o")):
        _source(folder / f"{fill.decode()}{scale}.safetensors", fill, scale)
        _convert(folder, kind, fill, scale)
        known[name] = b"" if kind == "shards" else (folder / "out" / TARGETS[kind]).read_bytes()
    return known


def at_system_calls(folder: Path, kind: str, step: int, deadly: bool) -> None:
    """Print what is wrong after the end at every `step`-th boundary, and after the run that follows."""
    setattr(os, "fsync", os.fstat)  # noqa: B010 - what the disk has does not matter to a kill
    known = _prepare(folder, kind, 1)
    meant = sorted(str(path) for path in (folder / "out").rglob("*"))
    moment, going_on = 0, True
    while going_on:
        going_on = _ended(partial(_convert, folder, kind, b"n"), moment, deadly=deadly)
        found = _read(folder, kind, known)
        if found not in (("old", "new") if going_on else ("new",)):
            _say(f"{kind}, ended at {moment}: {found}")
        _convert(folder, kind, b"o")
        left = sorted(str(path) for path in (folder / "out").rglob("*"))
        if left != meant:
            _say(f"{kind}, ended at {moment}, the next run leaves {left}")
        moment += step
    _say(moment)


def at_random(folder: Path, kind: str, kills: int) -> None:
    """Print what is wrong after kills from outside, at random moments of a conversion with two threads."""
    known = _prepare(folder, kind, 1024)
    start = time.monotonic()
    _convert(folder, kind, b"o", 1024)
    took = 1.2 * (time.monotonic() - start)
    for number in range(kills):
        sys.stdout.flush()
        child = os.fork()
        if not child:
            _convert(folder, kind, b"n", 1024)
            os._exit(0)
        time.sleep(took * (number + random.random()) / kills)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        found = _read(folder, kind, known)
        if found not in ("old", "new"):
            _say(f"{kind}, killed {number}: {found}")
        if found == "new":
            _convert(folder, kind, b"o", 1024)
    _say(kills)


def _run(*arguments: str | Path) -> list[str]:
    command = [sys.executable, "-m", "tests.test_convert_killed", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.splitlines()


def _stepped() -> list[object]:
    fast = [("file", 29), ("archive", 23), ("shards", 61)]
    return [*fast, *(pytest.param(each, 1, marks=pytest.mark.slow, id=f"every-{each}") for each in TARGETS)]


@pytest.mark.parametrize("deadly", ["kill", "interrupt"])
@pytest.mark.parametrize(("kind", "step"), _stepped())
def test_ended_at_any_system_call_the_target_is_old_or_new(
    kind: str, step: int, deadly: str, tmp_path: Path
) -> None:
    """SIGKILL and KeyboardInterrupt before or after each system call; the next run leaves no leftovers."""
    (last,) = _run(deadly, tmp_path, kind, str(step))
    assert int(last) > 100


@pytest.mark.slow
@pytest.mark.parametrize("kind", TARGETS)
def test_of_two_hundred_kills_none_tears_the_target(kind: str, tmp_path: Path) -> None:
    """Kills at random moments, with two threads at work."""
    assert _run("random", tmp_path, kind, "200") == ["200"]


if __name__ == "__main__":
    how, where, which, what = sys.argv[1:]
    if how == "random":
        at_random(Path(where), which, int(what))
    else:
        at_system_calls(Path(where), which, int(what), deadly=how == "kill")
