"""What several tests share: the command line in this process, and the paths of the project."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from paramtool.cli import main
from tests import absent_torch

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"

# The time of an example measures the load of the machine, more than the code.
settings.register_profile("any load", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any load")

ABSENT = absent_torch.watch()
"""What tells whether torch was asked for where there is none, else None: what needs it is skipped."""


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Skip a file that cannot be imported without torch."""
    if ABSENT:
        ABSENT.asked()
    report = yield
    if ABSENT and ABSENT.asked() and report.failed:
        report.outcome, report.longrepr = "skipped", (str(collector.path), 1, "Skipped: needs torch")
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Skip a test that fails and has asked for torch, in this process or in one that it started."""
    report = yield
    if ABSENT and call.when == "call" and ABSENT.asked() and report.failed:
        report.outcome, report.longrepr = "skipped", (str(item.path), 1, "Skipped: needs torch")
    return report


@dataclass(frozen=True)
class Result:
    """How a command ended and what it wrote."""

    status: int
    stdout: str
    stderr: str


Run = Callable[..., Result]


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> None:
    """Take interrupts, which a shell switches off for what it runs in the background, and nohup others."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture(autouse=True, scope="session")
def outside_of_runners() -> None:
    """Print what is printed elsewhere, also in a job of GitHub Actions."""
    os.environ.pop("GITHUB_ACTIONS", None)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process, with the error handling of the real one."""

    def run(*arguments: str) -> Result:
        capsys.readouterr()
        status = main._run(list(arguments))
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return run
