"""What a reader of the code, and whoever starts the tool, can rely on."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable

import pytest

import paramtool
from paramtool.cli.command_group import SUMMARIES, load
from tests.checked_torch import INSTALLED, checked_against
from tests.conftest import ROOT

SOURCE = ROOT / "src" / "paramtool"
FILES = sorted(SOURCE.rglob("*.py"))

LONGEST_FILE = 300
"""Lines of a file that still holds one idea."""

QUICK = (
    ("--help",),
    ("--version",),
    ("inspect", "--help"),
    ("shared", "--help"),
    ("schema",),
    (),
    ("inspect", "--seed", "x"),
    ("inspct",),
    ("inspect", "no such file.yaml"),
)
"""Command lines whose answer does not need torch, which takes a second to import."""

RUN = """
import io, os, sys
from paramtool.cli.main import _run
for arguments in {commands!r}:
    if os.fork():
        os.wait()
        continue
    out, sys.stdout, sys.stderr = sys.stdout, io.StringIO(), io.StringIO()
    _run(list(arguments))
    sys.stdout, sys.stderr = out, sys.__stderr__
    commands = [name for name in sys.modules if name.startswith('paramtool.cli.commands.')]
    print([arguments, 'torch' in sys.modules, commands], flush=True)
    os._exit(0)
"""
"""Each command in a fork of a process that has imported the command line and no command."""


def python(code: str) -> str:
    """Return what a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def imported(commands: Iterable[tuple[str, ...]]) -> list[tuple[bool, list[str]]]:
    """Return for each command line whether it imports torch, and which commands."""
    code = checked_against(INSTALLED) + RUN.format(commands=commands)
    lines = [ast.literal_eval(line) for line in python(code).splitlines()]
    assert [arguments for arguments, *_ in lines] == list(commands)
    return [(torch, names) for _, torch, names in lines]


def test_what_needs_no_torch_imports_none() -> None:
    """Help, schema, usage errors and the names of a spec do without torch; its values take it."""
    model = str(ROOT / "configs" / "mlp.yaml")
    commands = [*QUICK, ("inspect", model), ("inspect", model, "--stats")]
    assert [torch for torch, _ in imported(commands)] == [*(False for _ in commands[1:]), True]


def test_only_the_command_that_is_typed_is_imported() -> None:
    """The list of commands needs none of them, and each of them no other."""
    found = [names for _, names in imported([("--help",), *((name, "--help") for name in SUMMARIES)])]
    assert found == [[], *([f"paramtool.cli.commands.{name}"] for name in SUMMARIES)]


def test_the_list_of_commands_says_what_each_says_of_itself() -> None:
    """A summary is the first line of the command's own help, and every file of the folder is listed."""
    assert {name: load(name).help.splitlines()[0] for name in SUMMARIES} == SUMMARIES
    files = {path.stem for path in (SOURCE / "cli" / "commands").glob("*.py")}
    assert files == {*SUMMARIES, "__init__"}


def test_importing_the_package_imports_no_torch() -> None:
    """`import paramtool` is quick; its operations, and torch with them, come when they are asked for."""
    code = "import sys, paramtool; print('torch' in sys.modules, paramtool.Format.json.value)"
    assert python(code) == "False json\n"


def test_every_name_of_the_package_is_there() -> None:
    """All of `__all__` and of `dir()` can be had."""
    for name in {*paramtool.__all__, *dir(paramtool)}:
        assert getattr(paramtool, name) is not None or name.startswith("__")
    assert callable(paramtool.inspect)
    assert callable(paramtool.gradients)
    namespace: dict[str, object] = {}
    exec("from paramtool import *", namespace)
    assert set(paramtool.__all__) <= set(namespace)


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    """What the package lacks is an AttributeError, so that hasattr() and getattr() work."""
    assert not hasattr(paramtool, "paramters")
    with pytest.raises(AttributeError, match="module 'paramtool' has no attribute 'paramters'"):
        _ = paramtool.paramters


def test_the_package_is_typed() -> None:
    """Type checkers of others use the annotations: the marker is there."""
    assert (SOURCE / "py.typed").is_file()


def test_every_file_holds_one_idea() -> None:
    """No file is long, nor a drawer for what has no place: its name says what it holds."""
    drawers = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "tools"}
    for path in FILES:
        assert len(path.read_text("utf-8").splitlines()) <= LONGEST_FILE, path
        assert not drawers & {path.stem, *path.relative_to(SOURCE).parts}, path
