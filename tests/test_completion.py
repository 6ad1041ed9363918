"""Completion in the shells: the scripts are valid, and a Tab in bash completes options, values and files."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import COMMAND
from tests.warm import warm_command

SHELLS = ("bash", "zsh", "fish")
DONE = b"]\r\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make a folder with a MODEL, the command, and the script of each shell."""
    found = tmp_path_factory.mktemp("c")
    (found / "lenet.yaml").write_text("model: {Sequential: [{Linear: [4, 3]}, ReLU, {Linear: [3, 1]}]}\n")
    for shell in SHELLS:
        (found / f"script.{shell}").write_text(script(shell))
    with warm_command(found / "w"):
        yield found


def script(shell: str) -> str:
    """Return what ``--show-completion`` prints in a shell."""
    environment = {**os.environ, "_PARAMTOOL_COMPLETE": f"source_{shell}"}
    # the console script names the program; a module's own name would be __main__.py
    program = "import sys; sys.argv[0] = 'paramtool'; from paramtool.__main__ import main; main()"
    done = subprocess.run(
        [COMMAND[0], "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_valid_in_its_shell(shell: str, folder: Path) -> None:
    """``bash -n``, ``zsh -n`` and ``fish --no-execute`` parse it without a word."""
    program = shutil.which(shell)
    text = (folder / f"script.{shell}").read_text()
    assert "_PARAMTOOL_COMPLETE=complete_" + shell in text
    if program is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run(
        [program, "-n", str(folder / f"script.{shell}")], capture_output=True, text=True, check=True
    )
    assert done.stdout == done.stderr == ""


def at_a_prompt(typed: str, folder: Path) -> str:
    """Return the line that an interactive bash has after `typed`, in which a tab is the key."""
    child, screen = pty.fork()
    if child == 0:
        path = f"{folder / 'w' / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "TERM": "dumb", "PS1": "", "INPUTRC": "/dev/null"}
        os.chdir(folder)
        os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], environment)
    os.write(screen, b"stty -echo; bind 'set bell-style none'; . ./script.bash; echo [ready]\n")
    written = _until(screen, b"[ready" + DONE)
    # Ctrl-A goes to the start of the line, so that it is an argument and is not run
    os.write(screen, typed.encode() + b"\x01printf '[%s]\\n' \"" + b'\x05"\n')
    written = _until(screen, DONE, after=b"paramtool")
    os.write(screen, b"exit\n")
    os.close(screen)
    os.waitpid(child, 0)
    return written.decode().rpartition("[")[2].removesuffix("]\r\n")


def _until(screen: int, end: bytes, after: bytes = b"") -> bytes:
    written = b""
    while not (written.endswith(end) and after in written.rpartition(b"[")[2]):
        written += os.read(screen, 1 << 16)
    return written


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.filterwarnings("ignore:.*forkpty:DeprecationWarning")
@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("paramtool insp\t", "paramtool inspect "),
        ("paramtool inspect --patt\t", "paramtool inspect --pattern "),
        ("paramtool inspect len\t", "paramtool inspect lenet.yaml "),
        ("paramtool inspect lenet.yaml --module 2\t", "paramtool inspect lenet.yaml --module 2 "),
        ("paramtool init --with kaiming_n\t", "paramtool init --with kaiming_normal "),
    ],
)
def test_a_tab_completes(typed: str, expected: str, folder: Path) -> None:
    """A command, an option, MODEL as a file, a module of that MODEL, and an initializer."""
    assert at_a_prompt(typed, folder) == expected
