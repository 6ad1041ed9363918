"""The process: ``paramtool`` and ``python -m paramtool`` begin here."""

from __future__ import annotations

import os
import signal
from typing import NoReturn

INTERRUPTED = 130


def main() -> NoReturn:
    """Run the command line; until it is imported, an interrupt ends the process without a traceback."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:  # which a shell sets for what it runs in the background
        signal.signal(signal.SIGINT, _end)
    from paramtool.cli.main import main as run

    signal.signal(signal.SIGINT, before)
    run()


def _end(*_: object) -> None:
    os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
