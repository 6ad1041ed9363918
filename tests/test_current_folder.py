"""The current folder: the last place to import from, and only for objects that are nowhere else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.processes import environment, execute

HIJACKED = ("__future__", "numpy", "paramtool", "rich", "signal", "torch", "typer", "typing", "yaml")
SCRIPT = "from paramtool.__main__ import main\nmain()\n"
OBJECT_OF_TORCH = "inspect torch.nn:Linear --arg in_features=2 --arg out_features=1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a current folder full of files that are called like modules."""
    inside = tmp_path / "inside"
    inside.mkdir()
    for name in HIJACKED:
        (inside / f"{name}.py").write_text("raise SystemExit('hijacked')\n")
    (inside / "nets.py").write_text("import helper\nNet = helper.Net\n")
    (inside / "helper.py").write_text("from torch import nn\nNet = nn.Linear(2, 1)\n")
    (inside / "model.yaml").write_text("model: {Linear: [2, 1]}\ninput: [3, 2]\nexpect: {parameters: 3}\n")
    return inside


def reached(folder: Path, module: str, *flags: str, env: dict[str, str] | None = None) -> list[str]:
    """Return whether the folder was added at the end, whether it stands elsewhere, and the obstacle."""
    for name in HIJACKED:
        (folder / f"{name}.py").unlink(missing_ok=True)
    script = folder.parent / "reached.py"
    script.write_text(
        "import os, sys\n"
        "from paramtool.network.current_folder import obstacle, reach\n"
        f"reach({module!r})\n"
        "print(sys.path[-1] == os.getcwd(), os.getcwd() in sys.path[:-1])\n"
        f"print(obstacle({module!r}))\n"
    )
    ended = execute(command=[sys.executable, *flags, str(script)], cwd=folder, env=env)
    assert (ended.status, ended.stderr) == (0, "")
    return ended.stdout.splitlines()


@pytest.mark.parametrize(
    "typed",
    ["initializers normal", "check", "grad", OBJECT_OF_TORCH],
)
def test_files_of_the_current_folder_change_nothing(typed: str, folder: Path, tmp_path: Path) -> None:
    """A rich.py, a torch.py or a paramtool.py beside the spec is not imported, whatever the command."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    (tmp_path / "clean").mkdir()
    (tmp_path / "clean" / "model.yaml").write_text((folder / "model.yaml").read_text())
    there, here = (
        execute(*typed.split(), command=[sys.executable, str(script)], cwd=each)
        for each in (tmp_path / "clean", folder)
    )
    assert here == there
    assert here.status == 0


def test_neither_do_they_with_python_m(folder: Path) -> None:
    """``python -m`` puts the current folder first; what it finds before this package runs is Python's."""
    for name in ("paramtool", "__future__"):
        (folder / f"{name}.py").unlink()
    ended = execute(*OBJECT_OF_TORCH.split(), cwd=folder)
    assert (ended.status, ended.stderr) == (0, "")


def test_an_object_there_and_what_it_imports_are_found(folder: Path) -> None:
    """``nets:Net`` is of the current folder, and imports its neighbour, but the installed torch."""
    (folder / "paramtool.py").unlink()
    (folder / "__future__.py").unlink()
    ended = execute("inspect", "nets:Net", "-f", "csv", cwd=folder)
    assert (ended.status, ended.stderr) == (0, "")
    assert [line.split(",")[0] for line in ended.stdout.splitlines()] == ["name", "weight", "bias"]


def test_it_is_last_and_only_where_it_is_needed(folder: Path) -> None:
    assert reached(folder, "nets.inner") == ["True False", "None"]
    assert reached(folder, "json.decoder") == ["False False", "None"]
    assert reached(folder, "nowhere") == ["False False", "None"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 has no -P")
def test_a_safe_path_is_kept_safe(folder: Path) -> None:
    out = "keeps the current folder out; PYTHONPATH=. lets it in"
    assert reached(folder, "nets", "-P") == ["False False", f"python -P {out}"]
    assert reached(folder, "nets", env={"PYTHONSAFEPATH": "1"}) == ["False False", f"PYTHONSAFEPATH {out}"]
    assert reached(folder, "nowhere", "-P") == ["False False", "None"]
    path = f"{environment()['PYTHONPATH']}:." if "PYTHONPATH" in environment() else "."
    assert reached(folder, "nets", "-P", env={"PYTHONPATH": path})[0] != "False False"


def test_a_namesake_of_an_installed_module_is_named(folder: Path) -> None:
    """Where json.py was meant and the json of Python was found, the message says which and what to do."""
    (folder / "tabnanny.py").write_text("Net = 1\n")
    added, said = reached(folder, "tabnanny")
    assert added == "False False"
    assert said.startswith("'tabnanny' of the current folder comes after /")
    assert said.endswith("tabnanny.py; PYTHONPATH=. puts the current folder first")
