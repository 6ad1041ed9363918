"""``--part K/N``: which of several processes this one is."""

from __future__ import annotations

import os
import re

from paramtool.cli import console
from paramtool.cores import available_cores
from paramtool.errors import ParamtoolError, shorten

TORCHRUN = "torchrun"
_PART = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")
_NUMBER = re.compile(r"[0-9]{1,9}")


def read_part(given: str | None, output: str | None, max_shard_size: str | None) -> tuple[int, int] | None:
    """Return K, from 1, and N; None if ``--part`` was not typed.

    The environment counts only for ``--part torchrun``: it is inherited by whatever a process of torchrun
    starts, so there it may be that only one of them runs this command, and means all files.

    Raises:
        ParamtoolError: if it is not a part, or the options that it requires are missing.
    """
    if given is None:
        _note_torchrun(output)
        return None
    if output is None:
        raise ParamtoolError("--part requires --output")
    if max_shard_size is None:
        raise ParamtoolError("--part requires --max-shard-size: a single file has a single writer")
    if given == TORCHRUN:
        return _of_torchrun()
    found = _PART.fullmatch(given)
    if found is None:
        raise ParamtoolError(
            f"--part '{shorten(given)}' is not K/N", hint="e.g. --part 3/16, or --part torchrun"
        )
    number, count = map(int, found.groups())
    if not 1 <= number <= count:
        known = f"parts go from 1/{count} to {count}/{count}" if count else "there must be at least one part"
        raise ParamtoolError(f"there is no part {given}", hint=known)
    return number, count


def jobs_of_part(given: str | None) -> int:
    """Return the threads of one process of several on this machine; 0 for all cores."""
    local = os.environ.get("LOCAL_WORLD_SIZE", "")
    if given != TORCHRUN or not _NUMBER.fullmatch(local):
        return 0
    return max(1, available_cores() // max(1, int(local)))


def _note_torchrun(output: str | None) -> None:
    """Note that every process of torchrun writes all files, if so."""
    world = os.environ.get("WORLD_SIZE", "")
    if output is None or "TORCHELASTIC_RUN_ID" not in os.environ:
        return
    if _NUMBER.fullmatch(world) and int(world) > 1 and "RANK" in os.environ:
        console.note(
            f"torchrun has {int(world):,} processes; if each runs this, each writes all of {output}; "
            "with --part torchrun each writes its own files"
        )


def _of_torchrun() -> tuple[int, int]:
    rank, world = (os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE"))
    is_known = _NUMBER.fullmatch(rank) and _NUMBER.fullmatch(world)
    if not is_known or not int(rank) < int(world):
        message = "--part torchrun requires RANK and WORLD_SIZE in the environment, as torchrun sets them"
        raise ParamtoolError(
            message, hint="e.g. torchrun --nproc-per-node 2 -m paramtool init …, or --part 1/2"
        )
    return int(rank) + 1, int(world)
