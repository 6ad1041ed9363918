"""The process: ``paramtool`` and ``python -m paramtool`` begin here."""

from __future__ import annotations

import sys

_IS_MODULE = __name__ == "__main__" and __spec__ is not None and __spec__.name == "paramtool.__main__"
if _IS_MODULE and not getattr(sys.flags, "safe_path", False):
    # ``python -m`` looks for everything in the current folder first: a rich.py there would be ours
    del sys.path[0]

import os
import signal

TYPE_CHECKING = False  # typing is imported soon enough
if TYPE_CHECKING:
    from typing import NoReturn

_ENDINGS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "hung up"}


def main() -> NoReturn:
    """Run the command line; until it is imported, a signal ends the process without a traceback."""
    for number in _ENDINGS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup, or in the background
            signal.signal(number, _end)
    from paramtool.cli.main import main as run

    run()


def _end(number: int, _: object) -> None:
    os.write(2, f"{_ENDINGS[signal.Signals(number)]}\n".encode())
    os._exit(128 + number)


if __name__ == "__main__":
    main()
