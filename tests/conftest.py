"""What several tests share: the command line in this process, and the paths of the project."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from paramtool.cli import main

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"


@dataclass(frozen=True)
class Result:
    """How a command ended and what it wrote."""

    status: int
    stdout: str
    stderr: str


Run = Callable[..., Result]


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> None:
    """Take interrupts, which a shell switches off for what it runs in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process, with the error handling of the real one."""

    def run(*arguments: str) -> Result:
        capsys.readouterr()
        status = main._run(list(arguments))
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return run
