"""Where a command writes weights, and how."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paramtool.api.arguments import check_type
from paramtool.cores import available_cores
from paramtool.errors import BadArgument
from paramtool.progress import Progress


@dataclass(frozen=True)
class Target:
    """Where to write, and how.

    Attributes:
        path: a file; with `max_shard_size` a folder.
        max_shard_size: bytes of tensors in one file at most.
        force: replace an existing file.
        jobs: threads; they change no value.
        progress: is called with the total in bytes, then with the size of each block.
        part: ``(k, n)`` to write only the files of part k of n, from 1, of a folder that n processes write,
            each with the same model, rules, seed and `max_shard_size`.
    """

    path: Path
    max_shard_size: int | None = None
    force: bool = False
    jobs: int = 0
    progress: Progress = lambda _: nullcontext(lambda _: None)
    part: tuple[int, int] | None = None

    def check(self) -> None:
        """Refuse an impossible part.

        Raises:
            BadArgument: with what is wrong.
        """
        if self.part is None:
            return
        if self.max_shard_size is None:
            raise BadArgument(
                "a Target with a part requires max_shard_size: a single file has a single writer"
            )
        check_type("part", self.part, (tuple, list), "a pair (k, n)")
        is_pair = len(self.part) == 2 and all(type(each) is int for each in self.part)
        if not is_pair or not 1 <= self.part[0] <= self.part[1]:
            raise BadArgument(f"part must be a pair (k, n) with k from 1 to n, got {self.part!r}")

    @property
    def writer_options(self) -> dict[str, Any]:
        """The arguments that decide which files are written."""
        part = None
        if self.part is not None:
            from paramtool.files.writing.part import Part

            part = Part(*self.part)
        return {"max_shard_size": self.max_shard_size, "force": self.force, "part": part}

    @property
    def options(self) -> dict[str, Any]:
        """The arguments that the writer takes of it."""
        jobs = self.jobs or available_cores()
        return {**self.writer_options, "jobs": jobs}
