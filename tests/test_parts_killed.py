"""A part of a folder killed at any moment leaves the old weights or the new, and its rerun completes them.

A twin of a part does no harm.  Run as a program, this file kills writers, as `test_files_killed` does.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from paramtool.errors import ParamtoolError
from paramtool.files.writing.part import Part
from paramtool.files.writing.weights import WeightsWriter
from tests.conftest import ROOT
from tests.test_files_killed import ENTRIES, _ended, _read, _say, _write

SCENARIOS = {
    "new": None,
    "same shards": 1024,
    "other shards": 2048,
    "one to shards": 10**6,
}
"""The limit of a shard of what was there before; None for nothing."""

FACTS = {"seed": 0}


def write_part(folder: Path, number: int, *, force: bool = True) -> tuple[str, ...]:
    """Write one part of two, and return what is still missing."""
    part = Part(number, 2, FACTS)
    with WeightsWriter(folder, ENTRIES, max_shard_size=1024, part=part, force=force) as writer:
        for entry in ENTRIES:
            if writer.writes(entry.name):
                writer.write(entry.name, 0, b"n" * entry.nbytes)
    return writer.missing


def _prepared(folder: Path, before: int | None, first: int) -> str:
    """Make a folder with what was there before, in which one part of two has been written."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if before is not None:
        _write(folder, before, b"o")
    write_part(folder, first, force=before is not None)
    return "nothing" if before is None else "old"


def at_system_calls(folder: Path, scenario: str, step: int, deadly: bool) -> None:
    """Print what is wrong after the end of the last part at every `step`-th boundary, and after its rerun."""
    setattr(os, "fsync", os.fstat)  # noqa: B010 - mypy would have it be an fsync
    before = SCENARIOS[scenario]
    _write(folder / "meant", 1024, b"n")
    meant = {path.name: path.read_bytes() for path in (folder / "meant").iterdir()}
    moment, going_on = 0, True
    while going_on:
        last = 1 + moment % 2
        was = _prepared(folder / "a", before, 3 - last)
        write = partial(write_part, folder / "a", last, force=before is not None)
        going_on = _ended(write, moment, deadly=deadly)
        found = _read(folder / "a")
        if found not in ({was, "new"} if going_on else {"new"}):
            _say(f"{scenario}, ended at {moment}: {found}")
        try:
            write()
        except ParamtoolError as error:  # all was done when it was ended
            if found != "new":
                _say(f"{scenario}, ended at {moment}: {error}")
        if _read(folder / "a") != "new":
            _say(f"{scenario}, ended at {moment}: its rerun leaves {_read(folder / 'a')}")
        if found != "new" or before is None:  # else the rerun has begun anew, and waits for the other part
            left = {path.name: path.read_bytes() for path in (folder / "a").iterdir() if path.is_file()}
            hidden = [path.name for path in (folder / "a").iterdir() if path.is_dir()]
            if left != meant or hidden:
                _say(f"{scenario}, ended at {moment}, the rerun leaves {sorted(left)} {hidden}")
        moment += step
    _say(moment)


def race(folder: Path, times: int) -> None:
    """Print what is wrong after two parts and a twin of each have run at once."""
    _write(folder / "meant", 1024, b"n")
    meant = {path.name: path.read_bytes() for path in (folder / "meant").iterdir()}
    for number in range(times):
        shutil.rmtree(folder / "a", ignore_errors=True)
        sys.stdout.flush()
        children = {}
        for part in random.sample((1, 2, 1, 2), 4):
            child = os.fork()
            if not child:
                try:
                    write_part(folder / "a", part, force=False)
                except ParamtoolError as error:
                    os._exit(1 if "being written" in str(error) or "already exists" in str(error) else 2)
                os._exit(0)
            children[child] = part
        ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        left = {path.name: path.read_bytes() if path.is_file() else b"" for path in (folder / "a").iterdir()}
        if max(ended) > 1 or left != meant:
            _say(f"race {number}: {list(children.values())} ended with {ended} and leave {sorted(left)}")
    _say(times)


def _stepped() -> list[object]:
    fast = [("new", 29), ("same shards", 43)]
    return [*fast, *(pytest.param(each, 1, marks=pytest.mark.slow, id=f"every-{each}") for each in SCENARIOS)]


@pytest.mark.parametrize("how", ["kill", "interrupt"])
@pytest.mark.parametrize(("scenario", "step"), _stepped())
def test_the_rerun_of_an_ended_part_completes_the_folder(
    scenario: str, step: int, how: str, tmp_path: Path
) -> None:
    """Ended at each system call, the folder has the old weights or none; one rerun gives the bytes of one."""
    arguments = [sys.executable, "-m", "tests.test_parts_killed", how, str(tmp_path), scenario, str(step)]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    (last,) = done.stdout.splitlines()
    assert int(last) > 100


@pytest.mark.parametrize("times", [10, pytest.param(500, marks=pytest.mark.slow)])
def test_twins_of_parts_at_once_do_no_harm(times: int, tmp_path: Path) -> None:
    """A twin is refused or writes the same bytes; in the end the folder is whole and nothing else is left."""
    arguments = [sys.executable, "-m", "tests.test_parts_killed", "race", str(tmp_path), "", str(times)]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"{times}\n", "")


if __name__ == "__main__":
    how, where, which, what = sys.argv[1:]
    if how == "race":
        race(Path(where), int(what))
        sys.exit()
    at_system_calls(Path(where), which, int(what), deadly=how == "kill")
