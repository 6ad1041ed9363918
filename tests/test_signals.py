"""Signals end a command quietly at every moment, with 128 and the signal's number."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from paramtool.signals import ENDINGS
from tests.processes import COMMAND, environment, execute

NETS = """
import os, signal, time, weakref
from torch import nn

def tell(swallow, number):
    try:
        os.kill(os.getpid(), number)
    except BaseException as error:
        if swallow == "raise":
            raise ValueError("told") from None
        if swallow == "no":
            raise

def net(swallow, number):
    tell(swallow, number)
    return nn.Linear(2, 1)

def twice(number):
    try:
        tell("no", number)
    finally:
        tell("no", number)

class Dying:
    def __init__(self, number):
        self.number = number
    def __del__(self):
        tell("no", self.number)

def in_a_destructor(number):
    Dying(number)
    return nn.Linear(2, 1)

def as_a_reference_dies(number):
    watched = nn.Linear(2, 1)
    reference = weakref.ref(watched, lambda _: tell("no", number))
    del watched
    time.sleep(1000)
"""


def ended_by(number: int) -> tuple[int, str, str]:
    return 128 + number, "", f"{ENDINGS[number]}\n"


@pytest.mark.parametrize("number", ENDINGS)
@pytest.mark.parametrize("moment", [0, 0.0001, 0.001, 0.2])
def test_while_it_reads(number: int, moment: float) -> None:
    """Ctrl-C is status 130 and one word; SIGTERM is 143: while it gets ready to read too."""
    process = subprocess.Popen(
        [*COMMAND, "inspect"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment({"PARAMTOOL_MODEL": "-"}),
    )
    with process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"note: MODEL is -, from $PARAMTOOL_MODEL\n"  # and now it reads
        time.sleep(moment)
        process.send_signal(number)
        assert process.stderr.read().decode() == ended_by(number)[2]
    assert process.returncode == 128 + number


@pytest.mark.parametrize("moment", ["paramtool.cli.main", "paramtool.cli.commands.schema"])
@pytest.mark.parametrize("number", ENDINGS)
def test_while_it_starts(number: int, moment: str) -> None:
    """Before the command line is imported, and while a command is: no traceback."""
    code = (
        "import os, sys\n"
        "class Interrupts:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {moment!r}:\n"
        f"            os.kill(os.getpid(), {int(number)})\n"
        "sys.meta_path.insert(0, Interrupts())\n"
        "from paramtool.__main__ import main\n"
        "main()\n"
    )
    ended = execute("schema", command=[sys.executable, "-c", code])
    assert (ended.status, ended.stdout, ended.stderr) == ended_by(number)


@pytest.mark.parametrize(
    ("made", "number"),
    [
        ("net swallow=no", signal.SIGTERM),
        ("net swallow=yes", signal.SIGINT),
        ("net swallow=raise", signal.SIGHUP),
        ("twice", signal.SIGTERM),
        ("in_a_destructor", signal.SIGTERM),
        ("as_a_reference_dies", signal.SIGINT),
    ],
)
def test_in_code_of_the_model(made: str, number: int, tmp_path: Path) -> None:
    """Whatever that code makes of it: caught, turned into another error, or met while it cleans up."""
    (tmp_path / "nets.py").write_text(NETS)
    name, *arguments = made.split()
    typed = [f"--arg={each}" for each in (*arguments, f"number={int(number)}")]
    ended = execute("inspect", f"nets:{name}", *typed, cwd=tmp_path)
    assert (ended.status, ended.stdout, ended.stderr) == ended_by(number)


def test_what_the_shell_ignores_stays_ignored() -> None:
    """``nohup paramtool …`` goes on after the terminal is gone."""
    code = (
        "import os, signal\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "import paramtool.signals\n"
        "paramtool.signals.handle(lambda *_: os._exit(9))\n"
        "os.kill(os.getpid(), signal.SIGHUP)\n"
        "os._exit(0)\n"
    )
    assert execute(command=[sys.executable, "-c", code]).status == 0
