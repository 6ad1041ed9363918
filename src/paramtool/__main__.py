"""The process: ``paramtool`` and ``python -m paramtool`` begin here."""

from __future__ import annotations

import sys

_IS_MODULE = __name__ == "__main__" and __spec__ is not None and __spec__.name == "paramtool.__main__"
if _IS_MODULE and not getattr(sys.flags, "safe_path", False):
    # ``python -m`` looks for everything in the current folder first: a rich.py there would be ours
    del sys.path[0]

import os  # noqa: E402 - after the path is clean

from paramtool.signals import ENDINGS, handle  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; until it is imported, a signal ends the process without a traceback."""
    handle(_end)
    from paramtool.cli.main import main as run

    run()


def _end(number: int, _: object) -> None:
    os.write(2, f"{ENDINGS[number]}\n".encode())  # a Signals is its number
    os._exit(128 + number)


if __name__ == "__main__":
    main()
