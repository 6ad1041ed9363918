"""Where a command writes weights, and how."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paramtool.cores import available_cores
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
    """

    path: Path
    max_shard_size: int | None = None
    force: bool = False
    jobs: int = 0
    progress: Progress = lambda _: nullcontext(lambda _: None)

    @property
    def options(self) -> dict[str, Any]:
        """The arguments that the writer takes of it."""
        jobs = self.jobs or available_cores()
        return {"max_shard_size": self.max_shard_size, "force": self.force, "jobs": jobs}
