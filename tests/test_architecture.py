"""What a reader of the code, and whoever starts the tool, can rely on."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import paramtool
from paramtool.cli.command_group import SUMMARIES, load
from tests.conftest import ROOT

SOURCE = ROOT / "src" / "paramtool"
FILES = sorted(SOURCE.rglob("*.py"))

each_file = pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(SOURCE)) for path in FILES])

SAID_ABOVE = frozenset(("Atom", "Literal", "ListOf", "TupleOf"))
"""Records of a notation, which the docstring of their file sets out as a table."""

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
import io, sys
from paramtool.cli.main import _run
for arguments in {commands!r}:
    out, sys.stdout, sys.stderr = sys.stdout, io.StringIO(), io.StringIO()
    _run(list(arguments))
    sys.stdout, sys.stderr = out, sys.__stderr__
    print(arguments, 'torch' in sys.modules)
"""


def python(code: str) -> str:
    """Return what a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def test_what_needs_no_torch_imports_none() -> None:
    """Help, version, schema and usage errors are answered without importing torch."""
    lines = python(RUN.format(commands=QUICK)).splitlines()
    assert lines == [f"{arguments} False" for arguments in QUICK]


def test_only_the_command_that_is_typed_is_imported() -> None:
    """The list of commands needs none of them, and each of them no other."""
    code = (
        "import io, sys; from paramtool.cli.main import _run; sys.stdout = io.StringIO(); _run({!r});"
        "print(*(each for each in sys.modules if each.startswith('paramtool.cli.commands.')),"
        " file=sys.__stdout__)"
    )
    assert python(code.format(["--help"])) == "\n"
    for name in SUMMARIES:
        assert python(code.format([name, "--help"])).split() == [f"paramtool.cli.commands.{name}"]


def test_the_list_of_commands_says_what_each_says_of_itself() -> None:
    """A summary is the first line of the command's own help, and every file of the folder is listed."""
    assert {name: load(name).help.splitlines()[0] for name in SUMMARIES} == SUMMARIES
    files = {path.stem for path in (SOURCE / "cli" / "commands").glob("*.py")}
    assert files == {*SUMMARIES, "__init__"}


def test_torch_is_imported_where_it_is_needed() -> None:
    """The check above can tell: listing a model does import torch, and only then."""
    commands = [("inspect", str(ROOT / "configs" / "mlp.yaml"))]
    assert python(RUN.format(commands=commands)).splitlines() == [f"{commands[0]} True"]


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


@each_file
def test_a_file_says_what_it_is(path: Path) -> None:
    """Every file that holds code begins with a docstring, and none is longer than one idea."""
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= LONGEST_FILE
    assert ast.get_docstring(ast.parse(text)) or not text


@each_file
def test_what_is_public_says_what_it_does(path: Path) -> None:
    """Every public function and class at the top of a file has a docstring."""
    tree = ast.parse(path.read_text("utf-8"))
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    public = [each for each in tree.body if isinstance(each, definitions) and not each.name.startswith("_")]
    assert {each.name for each in public if not ast.get_docstring(each)} <= SAID_ABOVE


@each_file
def test_nothing_is_called_after_nothing(path: Path) -> None:
    """No file is a drawer for what has no place: its name says what it holds."""
    drawers = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "tools"}
    assert not drawers & {path.stem, *path.relative_to(SOURCE).parts}
