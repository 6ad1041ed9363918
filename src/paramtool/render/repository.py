"""Where a file is in its repository: CI servers take paths from there, wherever the command ran."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

WORKSPACE = "GITHUB_WORKSPACE"
"""The variable with the folder that a job of GitHub Actions has its repositories in."""


def repository_path(file: str) -> str:
    """Return the path of `file` from the root of its repository; `file` itself if it is in none.

    The root is the folder with ``.git``, as for git itself.  In a job of GitHub Actions it is the outermost
    one in the workspace, so that a submodule counts as part of what was checked out, and the workspace
    itself where there is no ``.git``, as after a download without git.
    """
    try:
        path = Path(file)
        if not path.is_file():
            return file
        path = path.parent.resolve() / path.name  # a link is the file that git knows
        root = _root(path.parent)
    except (OSError, ValueError):  # a name that no file has
        return file
    return file if root is None else path.relative_to(root).as_posix()


def _root(folder: Path) -> Path | None:
    given = os.environ.get(WORKSPACE)
    workspace = Path(given).resolve() if given else None
    if workspace is None or not folder.is_relative_to(workspace):
        return next(_top_levels(folder), None)
    inside = [each for each in _top_levels(folder) if each.is_relative_to(workspace)]
    return inside[-1] if inside else workspace


def _top_levels(folder: Path) -> Iterator[Path]:
    """Yield the folders with ``.git``, innermost first; it is a file in a worktree or a submodule."""
    return (each for each in (folder, *folder.parents) if (each / ".git").exists())
